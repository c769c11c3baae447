import Checkout
import Foundation
import Testing

/// What the sandbox of each unit keeps a process from, tried from inside.
///
/// Each attempt is made three times: without a sandbox, where it must work; with the one directive alone, which must
/// stop it; and in the unit as it is installed. So no attempt fails for another reason than the one that stands beside
/// it.
enum Sandbox {
    struct Row: Sendable, CustomTestStringConvertible {
        var directive: String
        /// As in the units.
        var value: String
        /// What `probe.py` calls it.
        var attempt: String
        var units = Sandbox.units
        /// What else the attempt with the directive alone needs.
        var besides: [String] = []
        /// Only the virtual machine has control groups with controllers and IP filters.
        var isForKernel = false

        var testDescription: String { "\(directive)=\(value)" }
    }

    static let units = withoutNetwork + ["kex-mqtt.service", "kex-handler.service", link]
    private static let link = "kex-link@wgww01.service"
    private static let withoutNetwork = ["kexd.service", "kex-http.service", "kex-cleanup@ffww01.service"]

    static let rows = [
        Row(
            directive: "RestrictAddressFamilies",
            value: "AF_UNIX",
            attempt: "inet-socket",
            units: withoutNetwork + ["kex-handler.service"]
        ),
        Row(
            directive: "RestrictAddressFamilies",
            value: "AF_UNIX AF_INET AF_INET6",
            attempt: "netlink-socket",
            units: withoutNetwork + ["kex-mqtt.service"]
        ),
        Row(
            directive: "RestrictAddressFamilies",
            value: "AF_NETLINK AF_UNIX AF_INET AF_INET6 AF_PACKET",
            attempt: "xdp-socket",
            units: [link]
        ),
        Row(directive: "PrivateNetwork", value: "yes", attempt: "interfaces", units: withoutNetwork),
        Row(directive: "CapabilityBoundingSet", value: "", attempt: "chown"),
        Row(directive: "NoNewPrivileges", value: "yes", attempt: "new-privileges"),
        Row(directive: "PrivateUsers", value: "yes", attempt: "host-users", units: withoutNetwork),
        Row(directive: "ProtectSystem", value: "strict", attempt: "write-usr"),
        Row(directive: "ProtectSystem", value: "strict", attempt: "write-etc"),
        Row(directive: "ProtectHome", value: "yes", attempt: "home"),
        Row(directive: "PrivateTmp", value: "yes", attempt: "tmp"),
        Row(directive: "PrivateDevices", value: "yes", attempt: "devices", units: units.filter { $0 != link }),
        // It has the one above, and no other.
        Row(directive: "PrivateDevices", value: "yes", attempt: "other-device", units: [link]),
        Row(directive: "PrivateIPC", value: "yes", attempt: "ipc"),
        Row(directive: "ProtectKernelTunables", value: "yes", attempt: "tunable"),
        Row(directive: "ProtectKernelModules", value: "yes", attempt: "modules"),
        Row(directive: "ProtectKernelLogs", value: "yes", attempt: "kernel-log"),
        Row(directive: "ProtectControlGroups", value: "yes", attempt: "control-group"),
        Row(directive: "ProtectClock", value: "yes", attempt: "clock"),
        Row(directive: "ProtectHostname", value: "yes", attempt: "hostname"),
        Row(
            directive: "ProtectProc",
            value: "invisible",
            attempt: "other-processes",
            units: units.filter { $0 != link },
            besides: ["User=nobody"]
        ),
        Row(directive: "ProcSubset", value: "pid", attempt: "system-information"),
        Row(directive: "RestrictNamespaces", value: "yes", attempt: "namespaces"),
        Row(directive: "RestrictRealtime", value: "yes", attempt: "realtime", isForKernel: true),
        Row(directive: "RestrictSUIDSGID", value: "yes", attempt: "set-user-id"),
        Row(directive: "LockPersonality", value: "yes", attempt: "personality"),
        Row(directive: "MemoryDenyWriteExecute", value: "yes", attempt: "write-and-execute"),
        Row(directive: "SystemCallArchitectures", value: "native", attempt: "other-architecture", isForKernel: true),
        Row(
            directive: "SystemCallFilter",
            value: "@system-service",
            attempt: "rare-call",
            besides: ["SystemCallErrorNumber=EPERM"],
            isForKernel: true
        ),
        Row(directive: "UMask", value: "0077", attempt: "open-umask"),
        Row(directive: "LimitCORE", value: "0", attempt: "core-dump"),
        Row(
            directive: "LimitNOFILE",
            value: "16384",
            attempt: "few-descriptors",
            units: ["kexd.service", "kex-http.service"]
        ),
        Row(
            directive: "MemoryMax",
            value: "512M",
            attempt: "memory",
            units: ["kexd.service", "kex-http.service", "kex-mqtt.service", "kex-handler.service", link],
            besides: ["OOMPolicy=continue"],
            isForKernel: true
        ),
        Row(
            directive: "TasksMax",
            value: "16",
            attempt: "tasks",
            units: ["kexd.service", "kex-http.service", "kex-mqtt.service", "kex-handler.service", link],
            isForKernel: true
        ),
        // In the unit AF_INET is let through for this attempt.
        Row(
            directive: "IPAddressDeny",
            value: "any",
            attempt: "datagram",
            units: ["kex-handler.service"],
            isForKernel: true
        ),
    ]

    fileprivate static func prepare(_ machine: Machine) throws {
        try machine.installPackage()
        try machine.check(
            """
            [ -e /usr/sbin/kex-link ] || apt-get install -y -qq /share/link/kex-link_*.deb > /dev/null
            touch /root/marker /tmp/marker /dev/marker; mkdir -p /usr/lib/modules/marker
            readlink /proc/self/ns/ipc > /share/namespace-ipc
            chmod 755 /share; chmod 644 /share/probe.py /share/namespace-ipc
            """
        )
    }

    /// What came of each attempt.
    private static func results(_ output: String) -> [String: String] {
        var results: [String: String] = [:]
        for line in output.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            if words.count == 2 { results[words[0]] = words[1] }
        }
        return results
    }

    /// Each directive alone stops its attempt, which works without it.
    fileprivate static func tryAlone(on machine: Machine, isForKernel: Bool) throws {
        try prepare(machine)
        let rows = Self.rows.filter { $0.isForKernel == isForKernel }
        let run = "systemd-run --quiet --wait --pipe"
        let names = rows.map(\.attempt).joined(separator: " ")
        let open = results(try machine.check("\(run) -p LimitCORE=infinity python3 /share/probe.py \(names)"))
        for row in rows {
            #expect(open[row.attempt] == "allowed", "\(row.attempt) without a sandbox")
            let options = ([row.directive + "=" + row.value] + row.besides).map { "-p '\($0)'" }.joined(separator: " ")
            let one = results(try machine.run("\(run) \(options) python3 /share/probe.py \(row.attempt)").output)
            #expect(one[row.attempt] == "blocked", "\(row.attempt) with \(row.testDescription)")
        }
    }

    /// Each unit as it is installed stops all of them.
    fileprivate static func tryUnits(on machine: Machine, isForKernel: Bool) throws {
        try prepare(machine)
        for unit in units {
            let rows = Self.rows.filter { $0.isForKernel == isForKernel && $0.units.contains(unit) }
            guard !rows.isEmpty else { continue }
            let folder = "/run/systemd/system/\(unit).d"
            let names = rows.map(\.attempt).joined(separator: " ")
            let lets = names.contains("datagram") ? "RestrictAddressFamilies=AF_INET" : ""
            let output = try machine.check(
                """
                systemctl stop kexd.socket kex-http.socket kex-bus.socket kex-handler.socket kex-fleet.socket \
                    kex-control.socket \(unit)
                # The device that it follows is none of udev's in a container.
                sed '/^[A-Za-z]*=sys-subsystem-net-devices-/d' /lib/systemd/system/kex-link@.service \
                    > /run/systemd/system/kex-link@.service
                mkdir -p \(folder)
                cat > \(folder)/probe.conf <<END
                [Service]
                Type=oneshot
                ExecStart=
                ExecStart=/usr/bin/python3 /share/probe.py \(names)
                ExecReload=
                Restart=no
                WatchdogSec=0
                OOMPolicy=continue
                Sockets=
                StandardOutput=file:/run/probe.out
                \(lets)
                END
                rm -f /run/probe.out
                systemctl daemon-reload
                systemctl start \(unit) || true
                cat /run/probe.out
                rm -r \(folder) /run/systemd/system/kex-link@.service
                systemctl daemon-reload
                systemctl stop \(unit)
                systemctl start kexd.socket kex-handler.service
                """
            )
            let found = results(output)
            for row in rows {
                #expect(found[row.attempt] == "blocked", "\(row.directive) of \(unit): \(row.attempt)")
            }
        }
    }

    /// Directives of the units that are no part of the sandbox, or shown in another way.
    static let elsewhere = [
        "Type": "tests of activation", "ExecStart": "all tests", "ExecReload": "tests of reloading",
        "User": "tests of rights", "Group": "tests of rights",
        "Restart": "tests of faults", "RestartPreventExitStatus": "", "KillMode": "tests of links",
        "ExecStopPost": "tests of links", "RuntimeDirectory": "tests of links",
        "RuntimeDirectoryPreserve": "tests of links",
        "RestartSec": "tests of faults",
        "WatchdogSec": "tests of the watchdog", "Sockets": "tests of activation", "TimeoutStartSec": "",
        "StandardOutput": "", "StandardError": "tests of the journal",
        "StateDirectory": "tests of the state", "StateDirectoryMode": "tests of the state",
        "DeviceAllow": "tests of links: packets are held", "BindPaths": "tests of links: packets are held",
        "AmbientCapabilities": "every registration needs it",
        "ProtectProc": "of kex-link@ it holds for the member, which is not root",
        "SystemCallErrorNumber": "EPERM of the filter instead of an end by signal: rare-call is told, not killed",
        "RemoveIPC": "there is no System V IPC to leave behind: PrivateIPC",
    ]
}

extension InContainer {
    @Suite("The sandbox, by its effect") struct SandboxTests {
        @Test("Each directive alone stops its attempt, which works without it")
        func alone() throws { try Sandbox.tryAlone(on: try Container.prepared(), isForKernel: false) }

        @Test("Each unit as it is installed stops all of them")
        func units() throws { try Sandbox.tryUnits(on: try Container.prepared(), isForKernel: false) }

        @Test("Every directive of the units has a row here, or a reason why not", arguments: Sandbox.units)
        func completeness(unit: String) throws {
            let file = unit.replacing(#/@\w+/#, with: "@")
            let text = try String(contentsOf: Checkout.file("systemd/\(file)"), encoding: .utf8)
            let service = try #require(text.range(of: "[Service]"))
            let end = text.range(of: "[Install]")?.lowerBound ?? text.endIndex
            let keys = Set(
                text[service.upperBound..<end].split(separator: "\n").filter { !$0.hasPrefix("#") }
                    .map { String($0.prefix { $0 != "=" }) }
            )
            let covered = Set(Sandbox.rows.filter { $0.units.contains(unit) }.map(\.directive))
            #expect(keys.subtracting(covered).subtracting(Sandbox.elsewhere.keys) == [])
            #expect(covered.subtracting(keys) == [], "rows without a directive")
        }

        @Test(
            "systemd's own figure",
            arguments: [
                ("kexd.service", 15), ("kex-http.service", 15), ("kex-mqtt.service", 25), ("kex-handler.service", 25),
                ("kex-cleanup@ffww01.service", 15), ("kex-link@wgww01.service", 27),
            ]
        )
        func exposure(unit: String, tenths: Int) throws {
            let machine = try Container.prepared()
            try Sandbox.prepare(machine)
            let output = try machine.check("systemd-analyze security --no-pager --threshold=\(tenths) \(unit)")
            print(output.components(separatedBy: "\n").last ?? "")
        }
    }
}

extension InVirtualMachine {
    @Suite("The sandbox, as far as a container has none") struct SandboxTests {
        @Test("Each directive alone stops its attempt, which works without it")
        func alone() throws { try Sandbox.tryAlone(on: try VirtualMachine.prepared(), isForKernel: true) }

        @Test("Each unit as it is installed stops all of them")
        func units() throws { try Sandbox.tryUnits(on: try VirtualMachine.prepared(), isForKernel: true) }
    }
}
