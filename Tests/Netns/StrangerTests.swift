import Foundation
import Surroundings
import Testing

/// What strangers can do, against the programs themselves.
@Suite("Strangers", .needsRoot, .serialized) struct StrangerTests {
    @Test("A thousand registrations of a live router's key cost it no packet, and no peer")
    func hostileRegistrations() throws {
        let gateway = try GatewayFixture.running()
        let router = try gateway.makeConnectedRouter(1)
        let interface = "\(gateway.domains[0].wireGuard)r1"
        // 127.0.0.0/8 has no limit here: what is tested is the policy behind it.
        let ping = try Daemon(
            [
                "ip", "netns", "exec", gateway.namespace, "ping", "-i", "0.01", "-c", "500", "-W", "2", "-q", "-I",
                interface, "\(GatewayFixture.gatewayAddress)%\(interface)",
            ],
            log: "\(gateway.folder)/ping.log"
        )
        for _ in 0..<1000 { #expect(try gateway.register(router) == "") }
        try ping.waitFor(#/500 packets transmitted, 500 received, 0% packet loss/#)
        // Longer than the time after which a silent session would be reset.
        usleep(34_000_000)
        #expect(gateway.handler?.output.contains("reset the session") == false)
        #expect(try gateway.peers().keys.contains(router))
    }

    @Test("A learning event brings the flood entry at once, with Fdb=flood")
    func learningEvent() throws {
        let gateway = try GatewayFixture.running(settings: "Fdb=flood")
        let key = try gateway.makeRouter(1)
        #expect(try gateway.register(key) == "")
        #expect(try gateway.fdb().isEmpty)
        // Long enough for the questions to WireGuard to have become rare.
        usleep(12_000_000)
        let monitor = try Daemon(
            ["bridge", "-n", gateway.namespace, "-timestamp", "monitor", "fdb"],
            log: "\(gateway.folder)/monitor.log"
        )
        usleep(300_000)
        try gateway.connectRouter(1)
        try gateway.sendFrame(fromRouter: 1)
        try wait(for: "the flood entry") { try !gateway.fdb().isEmpty }
        /// Microseconds within the hour.
        func time(of mac: String) throws -> Int {
            let pattern = try Regex(
                #":(\d\d):(\d\d) \d+ +(\d+) usec\n+\#(mac)"#,
                as: (Substring, Substring, Substring, Substring).self
            )
            let (_, minutes, seconds, rest) = try monitor.waitFor(pattern)
            return (Int(minutes)! * 60 + Int(seconds)!) * 1_000_000 + Int(rest)!
        }
        let microseconds = try time(of: "00:00:00:00:00:00") - time(of: "02:00:00:00:00:99")
        print("from the learning event to the flood entry: \(Double(microseconds) / 1000) ms")
        #expect(gateway.handler?.output.contains("first sign of life of \(key)") == true)
    }

    @Test("A closed domain takes its own keys only, calls them by name, and logs a refusal once")
    func closedDomain() throws {
        let gateway = try GatewayFixture(settings: "AllowedKeys=/run/kex-test-allowed-\(getpid())")
        let list = "/run/kex-test-allowed-\(getpid())"
        defer { unlink(list) }
        let (friend, stranger) = (try newKey(), try newKey())
        try "# friends\n\(friend) Anna's roof # since May\n".write(toFile: list, atomically: true, encoding: .utf8)
        try gateway.startHandler()
        try gateway.startListener()
        #expect(try gateway.register(friend) == "")
        for _ in 0..<3 { #expect(try gateway.register(stranger) == "ERR: PROHIBITED_WGKEY\n") }
        let handler = try #require(gateway.handler)
        try handler.waitFor(#/registered \S+ \(Anna's roof\) from/#)
        #expect(handler.output.split(separator: "refused \(stranger)").count == 2, "said once")
        // Reloaded: the friend is one no more, and leaves at once.
        try "\(stranger) Bert\n".write(toFile: list, atomically: true, encoding: .utf8)
        kill(handler.processIdentifier, SIGHUP)
        try wait(for: "the end of the peer") { try gateway.peers().isEmpty }
        #expect(try gateway.register(friend) == "ERR: PROHIBITED_WGKEY\n")
        #expect(try gateway.register(stranger) == "")
    }

    @Test("A source has its burst of new keys; other sources are served; known keys cost nothing")
    func newKeys() throws {
        let gateway = try GatewayFixture.running(unlimited: "127.0.0.9")
        var replies: [String] = []
        for _ in 0..<34 { replies.append(try gateway.register(anyKey(), source: 2)) }
        #expect(replies == (0..<34).map { $0 < 32 ? "" : "ERR: RATE_LIMITED\n" })
        let key = anyKey()
        #expect(try gateway.register(key, source: 3) == "")
        #expect(try gateway.register(key, source: 2) == "")
        #expect(try gateway.register(anyKey(), source: 9) == "")
        #expect(try gateway.peers().count == 34)
    }
}
