import Foundation
import Glibc
import LinkLaboratory
import Surroundings
import Testing

/// What the hub sees of a pair that it relays.
@Suite(.needsRoot, .serialized, .timeLimit(.minutes(20))) struct RelayCaptureTests {
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
}
