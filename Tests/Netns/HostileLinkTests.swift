import Checkout
import Foundation
import Glibc
import LinkLaboratory
import Surroundings
import Testing

/// A member that was taken over, against the programs.
@Suite(.needsRoot, .serialized, .timeLimit(.minutes(60))) struct HostileLinkTests {
    /// Counts the datagrams that come to a machine, by where they are from and where they go.
    private static let counter = """
        import collections, signal, socket, struct, sys

        end = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
        places = collections.Counter()

        def print_all(*_):
            for (source, address, port), count in places.items():
                print("to", source, address, port, count)
            print("end", flush=True)
            sys.exit()

        signal.signal(signal.SIGTERM, print_all)
        print("ready", flush=True)
        while True:
            packet = end.recv(2048)
            if packet[9] == 17:
                port = struct.unpack(">H", packet[22:24])[0]
                places[socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), port] += 1
        """

    /// Kilobytes that a program and its member have in memory, each.
    private func memory(_ program: LabProcess) -> [Int] {
        let keeper = program.processIdentifier
        let children = (try? String(contentsOfFile: "/proc/\(keeper)/task/\(keeper)/children", encoding: .utf8)) ?? ""
        return ([keeper] + children.split(separator: " ").compactMap { Int32($0) }).map { process in
            let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
            return status.firstMatch(of: #/VmRSS:\s+(\d+)/#).flatMap { Int($0.output.1) } ?? 0
        }
    }

    @Test func `a member that was taken over harms nobody`() throws {
        let seconds = Extent.isLong ? 120 : 30
        let mesh = try LinkMesh()
        let a = try mesh.laboratory.makeHost("a", behind: .full)
        let b = try mesh.laboratory.makeHost("b", behind: .portRestricted)
        let c = try mesh.laboratory.makeHost("c", behind: .open)
        // Nobody answers there, and it is all of 11.0.0.0/8 as well.
        let victim = try mesh.laboratory.makeHub("victim")
        try victim.shell(
            """
            ip route add local 11.0.0.0/8 dev lo
            nft 'table ip quiet { chain input { type filter hook input priority 0; meta l4proto udp drop; }; }'
            """
        )
        try mesh.laboratory.shell(
            "ip -n \(mesh.laboratory.publicNamespace) route add 11.0.0.0/8 via \(victim.address)"
        )
        for host in [a, b, c] { try mesh.join(host) }
        for machine in [mesh.hub, a, b, c] { try mesh.start(machine) }
        for (one, other) in [(a, b), (a, c), (b, c)] { try mesh.wait(one, other, for: "direct") }
        let honest = [mesh.hub, a, b]
        let before = try honest.map { memory(try #require(mesh.program(of: $0))) }
        let lines = honest.map { mesh.program(of: $0)?.output.split(separator: "\n").count ?? 0 }

        try #require(mesh.program(of: c)).end(with: SIGKILL)
        let counter = try victim.start(["python3", "-c", Self.counter], log: "counter")
        try counter.waitFor(#/ready/#)
        let pings = try a.ping(mesh.address(of: b))
        let hostile = try c.start(
            [
                "python3", Checkout.file("Tests/Links/hostile.py").path, c.interface, "\(c.folder)/private.key", "1000",
                victim.address,
            ] + honest.map { "\($0.publicKey)=\($0.publicAddress):51820" },
            log: "hostile"
        )
        try hostile.waitFor(#/ready/#)
        try pings.wait(for: seconds * 95, seconds: Double(seconds) * 4)
        hostile.end(with: SIGTERM)
        let count = pings.count()
        counter.end(with: SIGTERM)
        let report = try #require(hostile.output.firstMatch(of: #/sent (\d+) in (\d+)/#))
        let elapsed = try #require(Int(report.output.2))
        print("figure: hostile member: \(report.output.1) datagrams in \(elapsed) s")
        print("figure: \(count.lost.count) of \(count.sent) pings lost between others, gap \(count.longestGap)")
        #expect(count.lost.isEmpty)
        #expect(mesh.way(a, to: b) == "direct" && mesh.way(b, to: a) == "direct")
        for (index, machine) in honest.enumerated() {
            let program = try #require(mesh.program(of: machine))
            let after = memory(program)
            let text = program.output.split(separator: "\n").dropFirst(lines[index])
            print("figure: \(machine.name): memory \(before[index]) to \(after) kB, \(text.count) lines in the log")
            #expect(zip(before[index], after).allSatisfy { $1 < $0 + 16_384 }, "\(before[index]) to \(after)")
            #expect(text.count < 150, "\(text.joined(separator: "\n"))")
        }
        try judge(counter.output, [a, b, mesh.hub], victim, seconds: elapsed)
    }

    /// What went to places that nobody answers at.
    private func judge(_ output: String, _ machines: [LabMachine], _ victim: LabMachine, seconds: Int) throws {
        #expect(output.contains("end"))
        for machine in machines {
            let packets = output.matches(of: #/to (\S+) (\S+) (\d+) (\d+)/#).filter {
                $0.output.1 == machine.publicAddress
            }
            let counts = packets.compactMap { Int($0.output.4) }
            let toVictim = packets.filter { $0.output.2 == victim.address }.compactMap { Int($0.output.4) }.reduce(0, +)
            let all = counts.reduce(0, +)
            print(
                "figure: \(machine.name) sent \(all) packets to \(counts.count) places that never answer in \(seconds) s, at "
                    + "most \(counts.max() ?? 0) to one, \(toVictim) to one address"
            )
            #expect(counts.max() ?? 0 <= 16 + seconds / 10)
            #expect(toVictim <= 64 + seconds)
            // 128 at once, and 2 a second for what one member names.
            #expect(all <= 2 * (128 + 2 * seconds))
        }
    }
}
