import Foundation
import Glibc
import LinkLaboratory
import Patience
import Surroundings
import Testing

/// Links on demand with the programs, and with packets that are really there.
@Suite(.needsRoot, .serialized, .timeLimit(.minutes(60))) struct OnDemandTests {
    private static let configuration = "[Link]\nOnDemand=yes\nIdle=1min\n"

    private func mesh(_ names: [String], configuration: String? = Self.configuration) throws -> (LinkMesh, [LabMachine])
    {
        let mesh = try LinkMesh()
        let hosts = try names.map { try mesh.laboratory.makeHost($0, behind: .portRestricted) }
        for host in hosts { try mesh.join(host) }
        try mesh.start(mesh.hub)
        for host in hosts { try mesh.start(host, configuration: configuration) }
        for host in hosts {
            try waitUntil("\(host.name) knows its hub") { mesh.way(host, to: mesh.hub) == "hub" }
            for other in hosts where other !== host {
                try waitUntil("\(host.name) knows \(other.name)") { mesh.way(host, to: other) == "through-hub" }
            }
        }
        return (mesh, hosts)
    }

    /// Everybody else that a machine has as a peer.
    private func peers(_ machine: LabMachine, _ hosts: [LabMachine]) throws -> [String] {
        try hosts.filter { try $0 !== machine && machine.peer($0) != nil }.map(\.name)
    }

    @Test func `two that speak have a link, and only they; it goes when they are silent`() throws {
        let (mesh, hosts) = try mesh(["a", "b", "c", "d"])
        let (a, b) = (hosts[0], hosts[1])
        for host in hosts { #expect(try peers(host, hosts) == []) }
        let pings = try a.ping(mesh.address(of: b), rate: 10)
        let made = try mesh.wait(a, b, for: "direct", seconds: 30)
        try pings.wait(for: 50)
        #expect(try peers(a, hosts) == ["b"] && peers(b, hosts) == ["a"])
        for host in hosts.dropFirst(2) { #expect(try peers(host, hosts) == []) }
        let count = pings.count()
        let start = ContinuousClock.now
        try waitUntil("the link of a and b is gone", seconds: 180) {
            try peers(a, hosts) == [] && peers(b, hosts) == []
        }
        let gone = ContinuousClock.now - start
        // Some 5 s go by between two looks at its counters.
        #expect(gone > .seconds(50))
        #expect(try a.reaches(mesh.address(of: b)))
        print(
            "figure: on demand: direct \(LinkMesh.text(made)) after the first packet, \(count.lost.count) of \(count.sent) "
                + "pings lost; gone \(gone) after the last one"
        )
    }

    @Test func `one quiet pair is seen beside much traffic`() throws {
        let (mesh, hosts) = try mesh(["a", "b"])
        let (a, b) = (hosts[0], hosts[1])
        let flood = try a.start(["python3", "-c", Self.flood, mesh.address(of: mesh.hub), "60"], log: "flood")
        defer { flood.end(with: SIGKILL) }
        try waitUntil("there is much traffic") { try (a.peer(mesh.hub)?.sentBytes ?? 0) > 20_000_000 }
        let pings = try a.ping(mesh.address(of: b), rate: 5)
        let made = try mesh.wait(a, b, for: "direct", seconds: 30)
        print("figure: on demand beside 100 Mbit/s: direct \(LinkMesh.text(made)) after the first of 5 packets/s")
        _ = pings.count()
    }

    /// Sends 1,300 bytes 9,600 times a second to a port where nobody is, for so many seconds.
    private static let flood = """
        import socket, sys, time
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        start, sent = time.monotonic(), 0
        while (now := time.monotonic() - start) < float(sys.argv[2]):
            while sent < now * 9600:
                try:
                    sender.sendto(bytes(1272), (sys.argv[1], 9))
                except OSError:
                    pass
                sent += 1
            time.sleep(0.001)
        """

    @Test(arguments: [true, false])
    func `what it costs to look at 100 Mbit/s`(isOnDemand: Bool) throws {
        let (mesh, hosts) = try mesh(["a"], configuration: isOnDemand ? Self.configuration : nil)
        let a = hosts[0]
        let keeper = try #require(mesh.program(of: a)).processIdentifier
        let member = try children(keeper).flatMap { try [$0] + children($0) }
        let device = try #require(a.device).processIdentifier
        let devices = try [device] + children(device)
        let processes = try [keeper] + children(keeper) + member
        let before = try (seconds(processes), seconds(devices))
        let time = Extent.isLong ? 10 : 1
        let flood = try a.start(["python3", "-c", Self.flood, mesh.address(of: mesh.hub), "\(time)"], log: "flood")
        flood.waitForEnd()
        let after = try (seconds(processes), seconds(devices))
        print(
            "figure: 100 Mbit/s for \(time) s, \(isOnDemand ? "on demand" : "with all"): kex-link \(after.0 - before.0) s, "
                + "wireguard-go \(after.1 - before.1) s of processors"
        )
    }

    private func children(_ process: Int32) throws -> [Int32] {
        let path = "/proc/\(process)/task/\(process)/children"
        return try String(contentsOfFile: path, encoding: .utf8).split(separator: " ").compactMap { Int32($0) }
    }

    /// Of processors, of all these processes.
    private func seconds(_ processes: [Int32]) throws -> Double {
        var ticks = 0
        for process in Set(processes) {
            let text = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
            let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
            ticks += [11, 12].compactMap { Int(fields[$0]) }.reduce(0, +)
        }
        return Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}
