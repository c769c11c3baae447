import Foundation
import Testing

/// Floods of keys that nobody has. `KEX_SIEGE_KEYS=` says how many keys each brings; the tests' own number is small.
@Suite("Sieges", .serialized) struct SiegeTests {
    private static let keys = ProcessInfo.processInfo.environment["KEX_SIEGE_KEYS"].flatMap { Int($0) } ?? 20_000

    /// A hundred sources hold out as long as the burst of new keys of ten thousand with this many keys.
    @Test(
        "While junk keys pour in the peers stay under their cap, memory is flat, and a new router is in within a minute",
        arguments: [1, max(100, min(10_000, keys / 100))]
    )
    func siege(sources: Int) throws {
        let gateway = try GatewayFixture.running(unlimited: "192.0.2.1")
        _ = try gateway.makeConnectedRouter(1)
        let newcomer = try gateway.makeRouter(2)
        let processes = try [#require(gateway.listener), #require(gateway.handler)].map(\.processIdentifier)
        let before = try processes.map(memory)
        let flood = try Daemon(
            [Command.path(of: "kex-crowd"), "flood", "\(gateway.port)", "ffww01", "\(sources)", "\(Self.keys)"],
            log: "\(gateway.folder)/flood.log"
        )
        let start = Date()
        usleep(1_000_000)
        var (most, mostFloods, tries) = (0, 0, 0)
        var entered: TimeInterval?
        while flood.isRunning || entered == nil {
            if entered == nil {
                tries += 1
                if try gateway.register(newcomer, source: 77) == "" {
                    entered = -start.timeIntervalSinceNow
                    try gateway.connectRouter(2)
                }
            }
            most = max(most, try gateway.peers().count)
            mostFloods = max(mostFloods, try gateway.fdb().count { $0.hasPrefix("00:00:00:00:00:00") })
            usleep(200_000)
            try #require(-start.timeIntervalSinceNow < 1800)
        }
        let after = try processes.map(memory)
        let report = """
            \(sources) sources, \(Self.keys) keys: \(flood.output.split(separator: "\n").joined(separator: ", ")); \
            \(most) peers at most, flood list \(mostFloods); newcomer in after \(entered ?? -1) s, \(tries) tries; \
            kexd \(before[0]) → \(after[0]) KiB, kex-handler \(before[1]) → \(after[1]) KiB
            """
        print(report)
        #expect(flood.status == 0)
        #expect(!flood.output.contains("broken"), "\(report)")
        #expect(most <= (sources == 1 ? 34 : 1026), "\(report)")
        #expect(mostFloods == 2, "\(report)")
        #expect(try #require(entered) < 60, "\(report)")
        #expect(after[0] - before[0] < 8192 && after[1] - before[1] < 8192, "\(report)")
        try gateway.handler?.waitFor(Regex<Substring>(verbatim: "first sign of life of \(newcomer)"))
    }

    /// Resident memory in KiB.
    private func memory(_ process: pid_t) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        return try #require(status.firstMatch(of: #/VmRSS:\s+(\d+) kB/#).flatMap { Int($0.1) })
    }
}
