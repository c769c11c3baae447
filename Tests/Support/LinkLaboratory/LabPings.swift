import Foundation
import Glibc

/// Pings that go on until somebody counts them.
public final class LabPings {
    /// What became of them.
    public struct Count: Sendable {
        public let sent: Int
        public let received: Int
        /// Their numbers, from 1.
        public let lost: [Int]
        public let duplicates: Int
        /// Answers that came behind one to a later ping.
        public let overtaken: Int
        /// Most that were lost one behind the other.
        public let longestGap: Int
        /// The middle one of the round trips, in milliseconds.
        public let medianRoundTrip: Double
    }

    private let process: LabProcess

    /// - Parameter rate: a second, at most 500.
    init(on machine: LabMachine, to address: String, rate: Int) throws {
        let log = "pings-\(UUID().uuidString)"
        let interval = "\(1 / Double(rate))"
        process = try machine.start(["ping", "-n", "-i", interval, "-W", "2", address], log: log)
    }

    public var output: String { process.output }

    /// So many answers have come up to now.
    public var received: Int { process.output.matches(of: #/icmp_seq=\d+ ttl/#).count }

    /// Waits until so many more answers have come.
    public func wait(for more: Int, seconds: Double = 60) throws {
        let before = received
        try waitUntil("\(more) answers to pings", seconds: seconds) { received >= before + more }
    }

    /// Ends the pings.
    ///
    /// - Parameter patience: as long as a round trip may take: the last pings are given so much.
    public func count(patience: Duration = .milliseconds(500)) -> Count {
        // Those that are sent meanwhile are not counted if nothing comes back: it may be on its way.
        let asked = Set(Self.sequences(process.output)).max() ?? 0
        usleep(UInt32(patience / .microseconds(1)))
        process.end(with: SIGINT)
        let output = process.output
        let sent = output.firstMatch(of: #/(\d+) packets transmitted/#).flatMap { Int($0.output.1) } ?? 0
        let sequences = Self.sequences(output)
        let answered = Set(sequences)
        // Without a later answer it cannot be said what became of the last ones: those of the patience are left out.
        let last = max(answered.max() ?? 0, asked)
        let end = last == 0 ? sent : last
        let lost = end == 0 ? [] : (1...end).filter { !answered.contains($0) }
        var (longest, run, previous) = (0, 0, -1)
        for number in lost {
            run = number == previous + 1 ? run + 1 : 1
            previous = number
            longest = max(longest, run)
        }
        let times = output.matches(of: #/time=([\d.]+) ms/#).compactMap { Double($0.output.1) }.sorted()
        return Count(
            sent: end,
            received: answered.count,
            lost: lost,
            duplicates: sequences.count - answered.count,
            overtaken: zip(sequences, sequences.dropFirst()).count { $0 > $1 },
            longestGap: longest,
            medianRoundTrip: times.isEmpty ? 0 : times[times.count / 2]
        )
    }

    private static func sequences(_ output: String) -> [Int] {
        output.matches(of: #/icmp_seq=(\d+) ttl/#).compactMap { Int($0.output.1) }
    }
}

extension LabMachine {
    /// Starts to ping.
    public func ping(_ address: String, rate: Int = 100) throws -> LabPings {
        try LabPings(on: self, to: address, rate: rate)
    }

    /// Whether a ping comes back within a second.
    public func reaches(_ address: String) throws -> Bool {
        try run(["ping", "-n", "-c", "1", "-W", "1", address]).status == 0
    }
}
