import Foundation
import Testing

extension InContainer {
    /// The installed package under systemd, in a container, with WireGuard in user space.
    @Suite("Under systemd") struct ContainerTests {
        let machine: Container

        init() throws {
            machine = try Container.prepared()
        }

        private static let packages = "kex kex-gateway kex-http kex-bus kex-client kex-common"

        @Test("The packages need no toolchain, start nothing by themselves, and leave alone what is not their own")
        func package() throws {
            // A machine of its own: installing and removing are the test.
            let machine = try Container()
            let output = try machine.check(
                """
                apt-get update -qq
                apt-get install -y -qq /share/kex*.deb > /dev/null
                ! dpkg-query --show --showformat '${Package}\\n' | grep -i -e swift -e clang -e llvm
                for unit in kexd.socket kex-http.socket kex-https.socket kex-bus.socket kex-handler.socket kex-fleet.socket \
                    kex-control.socket kexd.service kex-http.service kex-mqtt.service kex-handler.service; do
                    echo "$unit $(systemctl is-enabled $unit) $(systemctl is-active $unit || true)"
                done
                for program in kexd kex-http kex-mqtt kex-handler kex-cleanup kex-client; do $program --version; done
                id -Gn kex-http; id -Gn kexd; id -Gn kex-mqtt; id -Gn kex-handler; id -Gn kex-cleanup
                """
            )
            #expect(output.components(separatedBy: "disabled inactive").count == 12, "\(output)")
            #expect(output.hasSuffix("kex\nkex\nkex-bus\nkex-handler\nkex-admin"), "\(output)")
            try machine.installPackage()
            #expect(try machine.check(". /share/lab.sh; \(register(key(1)))") == "")
            // An older package had kex-mqtt in these groups.
            try machine.check("usermod --gid kex --append --groups kex-admin,mail kex-mqtt")
            // Upgrade: the same package once more. Peers, configuration and state stay, and the services are new.
            let before = try machine.check(
                "systemctl show -P MainPID kexd kex-handler; wg show wgww01 peers; md5sum /etc/kex/*"
            )
            try machine.check("apt-get install -y -qq --reinstall /share/kex*.deb > /dev/null")
            try machine.wait(for: "the services", until: "systemctl is-active kexd kex-handler")
            #expect(try machine.check("id -Gn kex-mqtt") == "kex-bus mail")
            let after = try machine.check(
                "systemctl show -P MainPID kexd kex-handler; wg show wgww01 peers; md5sum /etc/kex/*"
            )
            #expect(before != after)
            #expect(before.split(separator: "\n").dropFirst(2) == after.split(separator: "\n").dropFirst(2))
            // Removal: tunnels go on.
            try machine.check("apt-get remove -y -qq \(Self.packages) > /dev/null")
            #expect(
                try machine.check(
                    """
                    wg show wgww01 peers
                    ip link show dev vxww01 >/dev/null && ls /etc/kex/kex.conf /var/lib/kex -d
                    ! systemctl is-active -q kexd.socket && ! systemctl is-active -q kex-handler.service
                    ! systemctl is-active -q kex-cleanup@ffww01.timer
                    """
                ).hasSuffix("/etc/kex/kex.conf\n/var/lib/kex")
            )
            try machine.check(
                "apt-get purge -y -qq kex-gateway > /dev/null; ! test -e /var/lib/kex; test -e /etc/kex/kex.conf"
            )
            machine.cutPower()
        }

        @Test("The one package of version 0.1 becomes several: peers, state, configuration and enabled units stay")
        func upgrade() throws {
            let machine = try Container()
            try machine.check(
                """
                mkdir -p /tmp/old
                for package in /share/kex*.deb; do dpkg-deb -x $package /tmp/old; done
                rm -r /tmp/old/usr/share/doc/kex-* /tmp/old/usr/share/lintian
                mv /tmp/old/usr/lib/sysusers.d/kex-common.conf /tmp/old/usr/lib/sysusers.d/kex.conf
                mv /tmp/old/usr/lib/tmpfiles.d/kex-common.conf /tmp/old/usr/lib/tmpfiles.d/kex.conf
                cp -r /share/package-0.1 /tmp/old/DEBIAN
                dpkg-deb --root-owner-group -b /tmp/old /tmp/kex_0.1.0_all.deb > /dev/null
                """
            )
            try machine.installPackage("/tmp/kex_0.1.0_all.deb")
            try machine.check("systemctl enable -q --now kex-http.socket")
            #expect(try machine.check(". /share/lab.sh; \(register(key(1)))") == "")
            try machine.wait(for: "the saved state", until: "test -s /var/lib/kex/ffww01.state")
            let kept = """
                wg show wgww01 peers; bridge fdb show dev vxww01 | sort; md5sum /etc/kex/*; cut -d' ' -f1-2 /var/lib/kex/*.state | md5sum
                systemctl is-enabled kexd.socket kex-http.socket kex-https.socket kex-handler.socket kex-fleet.socket \
                    kex-control.socket kex-cleanup@ffww01.timer || true
                systemctl is-active kexd.socket kex-http.socket kex-handler.socket kex-control.socket kex-cleanup@ffww01.timer
                """
            let before = (try machine.check(kept), try machine.check("systemctl show -P MainPID kexd kex-handler"))
            #expect(try machine.check("dpkg-query -W -f '${Version}\\n' kex") == "0.1.0")
            try machine.check("apt-get install -y -qq /share/kex*.deb > /dev/null")
            try machine.wait(for: "the services", until: "systemctl is-active kexd kex-handler")
            #expect(try machine.check(kept) == before.0)
            // The new programs run.
            #expect(try machine.check("systemctl show -P MainPID kexd kex-handler") != before.1)
            #expect(try machine.check(". /share/lab.sh; \(register(key(2)))") == "")
            #expect(
                try machine.check("ls /usr/lib/sysusers.d/kex* /usr/lib/tmpfiles.d/kex* | xargs -n 1 basename")
                    == "kex-common.conf\nkex-common.conf"
            )
            // What was all of it may go; what it brought stays.
            try machine.check("apt-get purge -y -qq kex > /dev/null; systemctl is-active kexd kex-handler")
            #expect(try machine.check("ls /var/lib/kex") == "ffww01.state")
            machine.cutPower()
        }

        @Test("Each package installs, says its version, and goes again without the others")
        func alone() throws {
            let machine = try Container()
            try machine.check("apt-get update -qq")
            for (package, program, needsCommon) in [
                ("kex-gateway", "kexd", true), ("kex-http", "kex-http", true), ("kex-bus", "kex-mqtt", true),
                ("kex-client", "kex-client", false),
            ] {
                let common = needsCommon ? "/share/kex-common_*.deb" : ""
                let output = try machine.check(
                    """
                    apt-get install -y -qq --no-install-recommends /share/\(package)_*.deb \(common) > /dev/null 2>&1
                    \(program) --version | cut -d' ' -f1
                    grep -q ^swift-system /usr/share/doc/\(package)/built-from
                    ! systemctl list-units --all --state=failed --plain --no-legend | grep kex
                    apt-get purge -y -qq \(package) \(needsCommon ? "kex-common" : "") > /dev/null
                    dpkg-query -W -f '${Package} ${db:Status-Status}\\n' 'kex*' 2> /dev/null | grep -v not-installed || echo none
                    ls /lib/systemd/system | grep -c '^kex[d-]' || true
                    """
                )
                #expect(output == "\(program)\nnone\n0", "\(package)")
            }
            machine.cutPower()
        }

        @Test("The first connection starts both services; they say when they are ready, and systemd watches them")
        func activation() throws {
            try machine.check("systemctl stop kexd.service kex-handler.service")
            #expect(try machine.lab(register(key(1))) == "")
            for unit in ["kexd", "kex-handler"] {
                let shown = try machine.check("systemctl show -p ActiveState,Type,WatchdogUSec,StatusText \(unit)")
                #expect(shown.contains("ActiveState=active") && shown.contains("Type=notify"))
                #expect(shown.contains("WatchdogUSec=10s"), "\(shown)")
                #expect(shown.contains(unit == "kexd" ? "listening on" : "1 of 1 domains in service"), "\(shown)")
            }
        }

        @Test("Both families reach the port")
        func families() throws {
            for address in ["127.0.0.1", "::1"] {
                #expect(try machine.lab(register(key(1), address: address)) == "")
            }
        }

        @Test("journalctl finds events, domains and keys by their fields")
        func journal() throws {
            #expect(try machine.lab(register(key(2))) == "")
            #expect(try machine.lab(register("nonsense")) == "ERR: INVALID_WGKEY")
            #expect(try machine.lab("printf 'nowhere\\n\(key(2))\\n' | \(client)") == "ERR: INVALID_DOMAIN")
            let own = try machine.lab("gateway_key")
            #expect(try machine.lab(register(own)) == "ERR: PROHIBITED_WGKEY")
            try machine.wait(
                for: "the lines",
                until: """
                    journalctl -q -o cat KEX_EVENT=registered KEX_DOMAIN=ffww01 KEX_KEY='\(key(2))' | grep -q 'registered \(key(2))' &&
                    journalctl -q -o cat KEX_EVENT=refused _COMM=kexd | grep -q INVALID_WGKEY &&
                    journalctl -q -o cat KEX_EVENT=refused _COMM=kex-handler | grep -q prohibited
                    """
            )
        }

        @Test("A journal that does not read keeps nobody waiting")
        func journalHangs() throws {
            let journald = try machine.check("systemctl show -P MainPID systemd-journald")
            try machine.check("kill -STOP \(journald)")
            defer { _ = try? machine.run("kill -CONT \(journald)") }
            // More lines than its socket's queue holds.
            let answers = try machine.lab(
                """
                for number in {1..600}; do printf 'ffww01\\nnonsense\\n' | \(client); done | sort | uniq -c
                \(register(key(3)))
                """
            )
            #expect(answers == "600 ERR: INVALID_WGKEY" || answers.hasSuffix(" 600 ERR: INVALID_WGKEY"), "\(answers)")
        }

        @Test("A handler that hangs is replaced by the watchdog; meanwhile kexd answers UNAVAILABLE")
        func watchdog() throws {
            #expect(try machine.lab(register(key(1))) == "")
            let output = try machine.lab(
                """
                old=$(systemctl show -P MainPID kex-handler)
                restarts=$(systemctl show -P NRestarts kex-handler)
                kill -STOP $old
                start=$(date +%s%N)
                \(register(key(4)))
                echo "answered after $(( ($(date +%s%N) - start) / 1000000 )) ms"
                for _ in {1..3000}; do [ "$(systemctl show -P MainPID kex-handler)" != $old ] && break; sleep 0.1; done
                echo "replaced after $(( ($(date +%s%N) - start) / 1000000 )) ms"
                echo "restarts: $(( $(systemctl show -P NRestarts kex-handler) - restarts ))"
                """
            )
            #expect(output.hasPrefix("ERR: UNAVAILABLE\n"), "\(output)")
            let figure = try #require(output.firstMatch(of: #/answered after (\d+) ms/#)?.1)
            let replaced = try #require(output.firstMatch(of: #/replaced after (\d+) ms/#)?.1)
            print("watchdog: answered after \(figure) ms, replaced after \(replaced) ms")
            try machine.wait(
                for: "the gateway",
                until: ". /share/lab.sh; test -z \"$(\(register(key(4))))\""
            )
            try machine.wait(
                for: "systemd's word",
                until: "journalctl -q -o cat -u kex-handler | grep 'Watchdog timeout'"
            )
        }

        @Test("A listener that hangs is replaced too")
        func listenerWatchdog() throws {
            #expect(try machine.lab(register(key(1))) == "")
            try machine.lab(
                """
                old=$(systemctl show -P MainPID kexd); kill -STOP $old
                for _ in {1..3000}; do [ "$(systemctl show -P MainPID kexd)" != $old ] && break; sleep 0.1; done
                test "$(systemctl show -P MainPID kexd)" != $old
                """
            )
            try machine.wait(
                for: "the gateway",
                until: ". /share/lab.sh; test -z \"$(\(register(key(4))))\""
            )
        }

        @Test("30 crashes of kexd in a row while clients connect: the port answers afterwards")
        func crashes() throws {
            let output = try machine.lab(
                """
                { for _ in {1..300}; do \(register(key(1))) || true; sleep 0.02; done; } >/dev/null 2>&1 & clients=$!
                for crash in {1..30}; do
                    for _ in {1..3000}; do
                        systemctl kill --kill-who=main -s KILL kexd 2>/dev/null && break; sleep 0.02
                    done
                    sleep 0.1
                done
                wait $clients || true
                systemctl is-active kexd.socket
                systemctl show -P NRestarts kexd
                \(register(key(1)))
                """
            )
            let lines = output.split(separator: "\n")
            #expect(lines.first == "active" && lines.count == 2, "\(output)")
            #expect(try #require(Int(lines.last ?? "")) >= 25, "\(output)")
        }

        @Test("systemctl reload: a new domain works at once at both programs, a broken file fails and changes nothing")
        func reload() throws {
            let handler = try machine.check("systemctl show -P MainPID kex-handler kexd")
            try machine.check(
                """
                mkdir -p /etc/kex/kex.conf.d
                printf '[Domain more]\\nWireGuard=wgmore\\nVXLAN=vxmore\\nNonsense=1\\n' > /etc/kex/kex.conf.d/more.conf
                ! systemctl reload kex-handler
                """
            )
            #expect(try machine.lab(register(key(1))) == "")
            #expect(try machine.lab("printf 'more\\n\(key(1))\\n' | \(client)") == "ERR: INVALID_DOMAIN")
            try machine.check("sed -i /Nonsense/d /etc/kex/kex.conf.d/more.conf; systemctl reload kex-handler")
            // Known, though its interfaces are not there.
            try machine.wait(
                for: "the new domain",
                until: "test \"$(printf 'more\\n\(key(1))\\n' | \(client))\" = 'ERR: UNAVAILABLE'"
            )
            #expect(try machine.check("systemctl show -P MainPID kex-handler kexd") == handler)
            try machine.check("rm /etc/kex/kex.conf.d/more.conf; systemctl reload kex-handler")
        }

        @Test(
            "A configuration that cannot be used does not keep the machine busy, and the port comes back with a good one"
        )
        func brokenAtStart() throws {
            try machine.check(
                """
                printf '[Gateway]\\nNonsense=1\\n' > /etc/kex/kex.conf.d/broken.conf
                systemctl stop kexd.service kex-handler.service
                """
            )
            try machine.check("(\(register(key(1))) >/dev/null) & sleep 4; true")
            let lines = try machine.check("journalctl -q -o cat --since -4s KEX_EVENT=mistake | wc -l")
            #expect(try #require(Int(lines)) <= 4, "one for each start of each program")
            try machine.check("rm /etc/kex/kex.conf.d/broken.conf; systemctl restart kex-handler kexd")
            #expect(try machine.lab(register(key(1))) == "")
        }

        @Test(
            "A damaged state file: the handler starts, says what was lost, and keeps the file",
            arguments: ["flip", "cut"]
        )
        func damagedState(kind: String) throws {
            let damage =
                kind == "flip"
                ? "printf x | dd of=$state bs=1 seek=200 conv=notrunc status=none" : "truncate -s -40 $state"
            let output = try machine.check(
                """
                state=/var/lib/kex/ffww01.state
                systemctl stop kex-handler
                test -s $state
                \(damage)
                cp $state /tmp/damaged
                systemctl start kex-handler
                journalctl -q -o cat -n 1 KEX_EVENT=state-damaged
                cmp /tmp/damaged $state.damaged
                systemctl is-active kex-handler
                """
            )
            #expect(output.contains("was damaged") && output.hasSuffix("active"), "\(output)")
        }

        @Test("The timer asks for a sweep")
        func timer() throws {
            try machine.check(
                """
                mkdir -p /run/systemd/system/kex-cleanup@.timer.d
                printf '[Timer]\\nOnActiveSec=\\nOnUnitActiveSec=\\nOnActiveSec=200ms\\nAccuracySec=1ms\\nRandomizedDelaySec=0\\n' \\
                    > /run/systemd/system/kex-cleanup@.timer.d/short.conf
                systemctl daemon-reload
                systemctl restart kex-cleanup@ffww01.timer
                """
            )
            try machine.wait(
                for: "the sweep",
                until: "journalctl -q -o cat -u kex-cleanup@ffww01 | grep 'routers\\? checked'"
            )
            try machine.check("rm -r /run/systemd/system/kex-cleanup@.timer.d; systemctl daemon-reload")
        }

        // MARK: - Clients

        /// Sends what comes in, prints what comes back.
        private let client = "bash -c 'exec 3<>/dev/tcp/127.0.0.1/10012; cat >&3; timeout 120 cat <&3'"
        private func register(_ key: String, address: String = "127.0.0.1") -> String {
            "bash -c 'exec 3<>/dev/tcp/\(address)/10012; printf \"ffww01\\n\(key)\\n\" >&3; timeout 120 cat <&3'"
        }

        /// A key that differs from all others by its number.
        private func key(_ number: UInt8) -> String {
            Data([number] + [UInt8](repeating: 0x40, count: 31)).base64EncodedString()
        }
    }
}
