import Foundation
import HandlerChannel
import KexGateway
import Surroundings
import Testing

/// Floods of keys that nobody has.
@Suite("Sieges", .needsRoot, .serialized) struct SiegeTests {
    private static let keys = Extent.isLong ? 1_000_000 : 20_000

    /// A hundred sources hold out as long as the burst of new keys of ten thousand with this many keys.
    @Test(
        "While junk keys pour in the peers stay under their cap, memory is flat, and a new router is in at one of its tries",
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
        // Those whose places newcomers get leave right after them, which this test can see: one newcomer of a single
        // source, and otherwise as many as the handler takes from the front door at once. See DepartureTests.places().
        let places =
            sources == 1
            ? DomainLimit.pendingOfSource + 1 : DomainLimit.pending + 2 * ChannelLimit.records - 1
        let start = Date()
        // When so many sources begin at once, the first ten seconds are theirs: none has brought a key yet. A router
        // tries once a minute, and what is asked is whether such a try gets in.
        let (firstTry, pause) = (sources < 1000 ? 1.0 : 15.0, 30.0)
        var (most, mostFloods, tries) = (0, 0, 0)
        var entered: TimeInterval?
        while flood.isRunning || entered == nil {
            if entered == nil, -start.timeIntervalSinceNow >= firstTry + Double(tries) * pause {
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
        #expect(most <= 2 + places, "\(report)")
        #expect((1...2).contains(mostFloods), "\(report)")
        #expect(after[0] - before[0] < 8192 && after[1] - before[1] < 8192, "\(report)")
        try gateway.handler?.waitFor(Regex<Substring>(verbatim: "first sign of life of \(newcomer)"))
    }

    @Test("Watching for the first handshakes of a thousand routers takes no more than its share of a processor")
    func watching() throws {
        let gateway = try GatewayFixture.running()
        let handler = try #require(gateway.handler).processIdentifier
        for _ in 0..<1000 { #expect(try gateway.register(anyKey()) == "") }
        func share(seconds: Double) throws -> Double {
            let before = try processorTime(of: handler)
            usleep(UInt32(seconds * 1_000_000))
            return (try processorTime(of: handler) - before) / seconds
        }
        let (first, later) = (try share(seconds: 5), try share(seconds: 20))
        print("watching 1,000 pending routers: \(first * 100) % of a core just after, \(later * 100) % later")
        #expect(first < 0.1 && later < 0.1)
    }

    @Test("While four thousand connections trickle, exchanges are answered as ever")
    func trickling() throws {
        let gateway = try GatewayFixture.running(unlimited: "192.0.2.1")
        let router = try gateway.makeConnectedRouter(1)
        // A minute when asked for; the tests' own time is long enough for each connection to end once.
        let seconds = Self.keys >= 1_000_000 ? 60 : 12
        let crowd = Command.path(of: "kex-crowd")
        let idle = try Daemon(
            ["prlimit", "--nofile=8192", crowd, "idle", "\(gateway.port)", "500", "4000", "\(seconds)"],
            log: "\(gateway.folder)/idle.log"
        )
        try idle.waitFor(#/holding 4000/#)
        let listener = try #require(gateway.listener)
        let probe = try Command.check("\(crowd) probe \(gateway.port) ffww01 \(router) \((seconds - 2) * 40)")
        #expect(idle.isRunning || seconds == 12)
        try idle.waitFor(#/held \d+, ended/#)
        let figures = "\(idle.output) \(probe) kexd \(try memory(listener.processIdentifier)) KiB"
        print(figures.replacing("\n", with: ", "))
        #expect(probe.contains(#"["success": \#((seconds - 2) * 40)]"#), "\(figures)")
    }

    /// Resident memory in KiB.
    private func memory(_ process: pid_t) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        return try #require(status.firstMatch(of: #/VmRSS:\s+(\d+) kB/#).flatMap { Int($0.1) })
    }
}
