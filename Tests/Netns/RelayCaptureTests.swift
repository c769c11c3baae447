import Foundation
import Glibc
import LinkLaboratory
import Surroundings
import Testing

/// What the hub sees of a pair that it relays.
@Suite(.needsRoot, .serialized, .timeLimit(.minutes(60))) struct RelayCaptureTests {
    /// Says of each datagram that crosses the hub's interfaces what it begins with, and whether the words are in it.
    private static let capture = """
        import collections, signal, socket, sys

        words, ends, kinds = sys.argv[1].encode(), sys.argv[2:], collections.Counter()
        capture = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        capture.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)

        def print_all(*_):
            for (interface, kind), count in kinds.items():
                print("seen", interface, kind, count)
            print("end", flush=True)
            sys.exit()

        signal.signal(signal.SIGTERM, print_all)
        print("ready", flush=True)
        while True:
            packet, (interface, *_) = capture.recvfrom(65536)
            if words in packet:
                kinds[interface, "words"] += 1
            addresses = {socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])}
            if interface == "eth0" and packet[0] >> 4 == 4 and packet[9] == 17 and addresses & set(ends):
                kinds[interface, "type-" + packet[28:32].hex()] += 1
        """

    private static let words = "the words that nobody reads"

    @Test func `nothing in clear, in its tunnel or outside of it`() throws {
        let mesh = try LinkMesh()
        let a = try mesh.laboratory.makeHost("a", behind: .symmetric)
        let b = try mesh.laboratory.makeHost("b", behind: .symmetric)
        for host in [a, b] { try mesh.join(host) }
        for machine in [mesh.hub, a, b] { try mesh.start(machine) }
        let pattern = Self.words.utf8.map { String(format: "%02x", $0) }.joined()
        let ping = ["ping", "-n", "-q", "-i", "0.01", "-c", "200", "-s", "200", "-p", String(pattern.prefix(32))]
        // The capture sees what there is to see: the hub's tunnel carries the words of those that it serves.
        let words = String(Self.words.prefix(16))
        func captured(_ what: () throws -> Void) throws -> [String: Int] {
            let capture = try mesh.hub.start(
                ["python3", "-c", Self.capture, words, a.publicAddress, b.publicAddress],
                log: "capture-\(UUID().uuidString)"
            )
            try capture.waitFor(#/ready/#)
            try what()
            capture.end(with: SIGTERM)
            #expect(capture.output.contains("end"))
            var counts: [String: Int] = [:]
            for match in capture.output.matches(of: #/seen \S+ (\S+) (\d+)/#) {
                counts[String(match.output.1), default: 0] += Int(match.output.2) ?? 0
            }
            return counts
        }
        try mesh.wait(a, b, for: "relayed")
        let relayed = try captured {
            let result = try a.run(ping + [mesh.address(of: b)])
            #expect(result.output.contains("200 received"), "\(result.output)")
        }
        let data = relayed["type-04000000"] ?? 0
        print("figure: relayed: \(data) packets of WireGuard's data, of all that went by: \(relayed)")
        #expect(relayed["words"] == nil)
        // Each of 400 packets came to the hub and left it.
        #expect(data >= 800)
        for kind in relayed.keys {
            // Handshakes and data of WireGuard, and probes.
            let known = ["type-01000000", "type-02000000", "type-04000000", "type-6b787031"]
            #expect(known.contains(kind), "\(kind)")
        }
        // The capture is not blind: without the program the hub sees them all.
        for host in [a, b] { try #require(mesh.program(of: host)).end(with: SIGTERM) }
        let routed = try captured { _ = try a.run(ping + [mesh.address(of: b)]) }
        #expect(routed["words"] ?? 0 >= 200, "\(routed)")
    }

    private static let receiver = """
        import socket, sys

        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        end.bind((sys.argv[1], 7000))
        print("ready", flush=True)
        count = 0
        while end.recv(2048) != b"end":
            count += 1
        print("received", count, flush=True)
        """

    /// 1,300 bytes, and 100 Mbit/s of them if the machine can do it.
    private static let sender = """
        import socket, sys, time

        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        start, packet = time.monotonic(), bytes(1300)
        for number in range(int(sys.argv[2])):
            out.sendto(packet, (sys.argv[1], 7000))
            time.sleep(max(start + number / 9615 - time.monotonic(), 0))
        time.sleep(1)
        for _ in range(10):
            out.sendto(b"end", (sys.argv[1], 7000))
        """

    /// Hundredths of seconds that processes had a processor.
    private func processorTime(_ processes: [Int32]) -> Int {
        processes.map { process in
            let line = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
            let fields = line.split(separator: ")").last?.split(separator: " ") ?? []
            return fields.count > 12 ? (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0) : 0
        }.reduce(0, +)
    }

    @Test func `what relaying costs the hub, and what decrypting and encrypting`() throws {
        let mesh = try LinkMesh()
        let a = try mesh.laboratory.makeHost("a", behind: .symmetric)
        let b = try mesh.laboratory.makeHost("b", behind: .symmetric)
        for host in [a, b] { try mesh.join(host) }
        for machine in [mesh.hub, a, b] { try mesh.start(machine) }
        let keeper = try #require(mesh.program(of: mesh.hub)).processIdentifier
        let device = try #require(mesh.hub.device).processIdentifier
        /// Microseconds for each packet that arrives.
        func cost() throws -> Double {
            let path = "/proc/\(keeper)/task/\(keeper)/children"
            let member = try String(contentsOfFile: path, encoding: .utf8).split(separator: " ").compactMap {
                Int32($0)
            }
            let receiver = try b.start(
                ["python3", "-c", Self.receiver, mesh.address(of: b)],
                log: "receiver-\(UUID().uuidString)"
            )
            try receiver.waitFor(#/ready/#)
            let before = processorTime([keeper, device] + member)
            _ = try a.run(["python3", "-c", Self.sender, mesh.address(of: b), Extent.isLong ? "100000" : "12000"])
            try receiver.waitFor(#/received/#)
            let time = processorTime([keeper, device] + member) - before
            let count = receiver.output.firstMatch(of: #/received (\d+)/#).flatMap { Int($0.output.1) } ?? 0
            #expect(count > 6000)
            return Double(time) * 10_000 / Double(max(count, 1))
        }
        try mesh.wait(a, b, for: "relayed")
        let relayed = try cost()
        for host in [a, b] { try #require(mesh.program(of: host)).end(with: SIGTERM) }
        let routed = try cost()
        print("figure: hub, a packet: \(relayed) µs relayed, \(routed) µs decrypted and encrypted")
        // A program for tests takes twice as long as the one that is installed.
        #expect(relayed < routed * 2)
    }
}
