import Checkout
import Foundation
import Testing

extension InContainer {
    @Suite("Direct links, as a package") struct LinkTests {
        @Test("It installs, says its version, brings nothing of the gateway, and goes again with all that it made")
        func package() throws {
            let machine = try Container()
            let output = try machine.check(
                """
                apt-get update -qq
                apt-get install -y -qq --no-install-recommends /share/link/kex-link_*.deb > /dev/null 2>&1
                kex-link --version | cut -d' ' -f1
                grep -q ^swift-system /usr/share/doc/kex-link/built-from
                (dpkg-query -W -f '${Package} ${db:Status-Status}\\n' 'kex*' 'libmosquitto*' 2> /dev/null || true) | grep -v not-installed
                id -un kex-link; id -Gn kex-link
                systemctl is-enabled kex-link@wg0 || true
                systemctl list-units --all --plain --no-legend 'kex*'
                mkdir -p /run/kex-link && touch /run/kex-link/wg0.peers
                systemctl enable -q kex-link@wg0
                echo '[Link]' > /etc/kex/link/wg0.conf
                apt-get purge -y -qq kex-link > /dev/null 2>&1
                ls -d /run/kex-link /etc/systemd/system/*.device.wants/kex-link* /lib/systemd/system/kex-* 2> /dev/null || true
                ls /etc/kex/link
                """
            )
            #expect(
                output == "kex-link\nkex-link installed\nkex-link\nkex-link\ndisabled\nwg0.conf",
                "the operator's file stays"
            )
            machine.cutPower()
        }
    }
}

extension InVirtualMachine {
    @Suite("Direct links, on the kernel's WireGuard", .serialized) struct LinkTests {
        let machine: VirtualMachine

        init() throws {
            machine = try VirtualMachine.prepared()
            try machine.check(
                """
                [ -e /usr/sbin/kex-link ] || apt-get install -y -qq /share/link/kex-link_*.deb > /dev/null
                systemctl enable -q kex-link@wglink
                systemctl reset-failed kex-link@wglink 2> /dev/null || true
                ip link delete wglink 2> /dev/null || true
                """
            )
        }

        private func makeInterface() throws {
            try machine.check(
                """
                ip link add wglink type wireguard
                wg genkey > /tmp/key
                wg set wglink private-key /tmp/key listen-port 10099
                ip link set wglink up
                """
            )
            try machine.wait(for: "the links", until: "kex-link status wglink")
        }

        /// The keeper, and its member.
        private let processes = """
            keeper=$(systemctl show -P MainPID kex-link@wglink)
            member=$(ps --ppid $keeper -o pid= | tr -d ' ')
            """

        @Test("Enabled, it comes and goes with its interface, and comes again with the next of that name")
        func device() throws {
            #expect(try machine.run("systemctl is-active kex-link@wglink").output == "inactive\n")
            for _ in 0..<2 {
                try makeInterface()
                let shown = try machine.check(
                    "systemctl show -p ActiveState,Type,WatchdogUSec,StatusText kex-link@wglink"
                )
                #expect(shown.contains("ActiveState=active") && shown.contains("Type=notify"), "\(shown)")
                #expect(shown.contains("WatchdogUSec=10s") && shown.contains("serves wglink"), "\(shown)")
                try machine.check("ip link delete wglink")
                // And not failed.
                try machine.wait(for: "its end", until: "[ \"$(systemctl is-active kex-link@wglink)\" = inactive ]")
            }
        }

        @Test("Its member has no rights, and another one takes its place when the file is read again")
        func rights() throws {
            try makeInterface()
            let rights = try machine.check(
                """
                \(processes)
                grep -E '^(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs):' /proc/$member/status | tr -s '\\t ' ' '
                grep ^CapBnd: /proc/$keeper/status
                [ $(stat -c %U /proc/$keeper) = root ]
                grep -q "^Uid:.$(id -u kex-link)" /proc/$member/status
                # It sees no process of others.
                user="--reuid=kex-link --regid=kex-link --clear-groups"
                setpriv $user test -e /proc/1
                ! nsenter --target=$member --mount setpriv $user test -e /proc/1
                """
            )
            for set in ["Inh", "Prm", "Eff", "Bnd", "Amb"] {
                #expect(rights.contains("Cap\(set): 0000000000000000\n"), "\(rights)")
            }
            #expect(rights.contains("NoNewPrivs: 1\n") && !rights.contains("Uid: 0"), "\(rights)")
            // CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP, CAP_NET_ADMIN and CAP_NET_RAW.
            #expect(rights.hasSuffix("CapBnd:\t00000000000031e0"), "\(rights)")
            // It does not hear that it is to end: it has to be killed, with the keeper's rights.
            try machine.check(
                """
                \(processes)
                kill -STOP $member
                printf '[Link]\\nHideInterfaces=docker*\\n' > /etc/kex/link/wglink.conf
                systemctl reload kex-link@wglink
                """
            )
            try machine.wait(for: "another member", until: "kex-link status wglink")
            #expect(try machine.check("journalctl -q -o cat -u kex-link@wglink | grep -c 'begins anew'") == "1")
            // A mistake fails the reload, and changes nothing.
            try machine.check(
                """
                \(processes)
                echo Nonsense=1 >> /etc/kex/link/wglink.conf
                ! systemctl reload kex-link@wglink
                [ "$member" = "$(ps --ppid $(systemctl show -P MainPID kex-link@wglink) -o pid= | tr -d ' ')" ]
                rm /etc/kex/link/wglink.conf
                ip link delete wglink
                """
            )
        }

        @Test("A killed keeper leaves no peer behind that it made, and all others; then it serves again")
        func killed() throws {
            try makeInterface()
            try machine.check(
                """
                made=$(wg genkey | wg pubkey)
                wg genkey | wg pubkey > /tmp/operators
                wg set wglink peer $made allowed-ips 10.9.0.1/32 peer $(cat /tmp/operators) allowed-ips 10.9.0.0/16
                \(processes)
                kill -STOP $keeper
                printf '# interface %s\\n%s\\n' $(cat /sys/class/net/wglink/ifindex) $made > /run/kex-link/wglink.peers
                kill -KILL $keeper
                """
            )
            try machine.wait(
                for: "the peer's end",
                until: "[ \"$(wg show wglink peers)\" = \"$(cat /tmp/operators)\" ] && kex-link status wglink"
            )
            try machine.check("ip link delete wglink")
        }

        @Test("An upgrade lets what runs go on as the new version, and a removal ends it")
        func upgrade() throws {
            try makeInterface()
            let before = try machine.check("systemctl show -P MainPID kex-link@wglink")
            try machine.check("apt-get install -y -qq --reinstall /share/link/kex-link_*.deb > /dev/null")
            try machine.wait(for: "the links", until: "kex-link status wglink")
            #expect(try machine.check("systemctl show -P MainPID kex-link@wglink") != before)
            try machine.check(
                """
                apt-get remove -y -qq kex-link > /dev/null
                ! systemctl is-active -q kex-link@wglink
                ip link delete wglink
                apt-get install -y -qq /share/link/kex-link_*.deb > /dev/null
                systemctl is-enabled -q kex-link@wglink
                """
            )
        }

        @Test("Whoever ends the service ends it in order: nothing is left of it")
        func stop() throws {
            try makeInterface()
            try machine.check("systemctl stop kex-link@wglink; ip link delete wglink")
            let journal = try machine.check("journalctl -q -o cat -u kex-link@wglink")
            #expect(
                !journal.contains("starts again"),
                "the member was ended by systemd and not by its keeper:\n\(journal)"
            )
            #expect(try machine.run("systemctl is-failed kex-link@wglink").output == "inactive\n")
        }

        @Test("Behind two NATs traffic goes directly, over the relay when the path is cut, and directly again")
        func paths() throws {
            let script = try String(contentsOf: Checkout.file("Tests/Machines/links.sh"), encoding: .utf8)
            let output = try machine.check(
                "cat > /tmp/links.sh <<'END OF SCRIPT'\n\(script)\nEND OF SCRIPT\nsh /tmp/links.sh"
            )
            #expect(
                output == """
                    behind NATs: direct
                    moved: 0 lost, in order
                    a held packets
                    b held packets
                    pings: 50 received
                    cut: relayed
                    pings: 50 received
                    repaired: direct
                    pings: 400 received
                    """
            )
        }
    }
}
