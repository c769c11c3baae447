import BusMessages
import FieldRouter
import Foundation
import Keys
import Surroundings
import SystemCalls
import Testing
import WireGuardTypes

/// What gateways signed earlier is said again by somebody who may write to the broker; and what they sign with a wrong
/// clock.
@Suite("Notes of another time", .needsRoot, .serialized) struct ReplayTests {
    private static let names = ["gw01", "gw02", "gw08", "gw09"]

    private let broker: MessageBroker
    private let folder = "/run/kex-replay-\(UUID().uuidString)"
    private let signers = Dictionary(uniqueKeysWithValues: Self.names.map { ($0, SigningKey()) })

    init() throws {
        broker = try MessageBroker()
        try broker.start()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        for (name, key) in signers {
            try key.text.write(toFile: "\(folder)/\(name)", atomically: false, encoding: .utf8)
        }
        let trusted = signers.map { "\($1.publicKey) \($0)\n" }.joined()
        try trusted.write(toFile: "\(folder)/trusted", atomically: false, encoding: .utf8)
    }

    private func gateway(_ name: String, environment: [String] = []) throws -> GatewayFixture {
        let keys = "SigningKey=\(folder)/\(name)\nTrustedKeys=\(folder)/trusted"
        let gateway = try GatewayFixture(
            settings: "LinkAddress=fe80::5757:bb:1\nStaleAfter=1h",
            bus: "Broker=127.0.0.1:\(broker.port)\nName=\(name)\n\(keys)"
        )
        try gateway.startHandler()
        try gateway.startMQTT(environment: environment)
        try gateway.mqtt?.waitFor(#/connected to the broker/#)
        return gateway
    }

    @Test("Signed notes that are said again remove nobody who was heard since, and are not carried on")
    func replay() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (first, second) = (try gateway("gw01"), try gateway("gw02"))
        try first.startListener()
        let router = try first.makeConnectedRouter(1)
        try wait(for: "the router at the other gateway") { try second.peers()[router] != nil }
        // A new interface knows of no handshake, and the router is on its way back.
        try Command.check("ip -n \(first.namespace) link set \(first.domains[0].wireGuard)r1 down")
        try first.removeDevices(of: first.domains[0])
        try first.makeDevices(of: first.domains[0])
        try wait(for: "the router in the new interface") { try first.peers()[router] != nil }

        let peer = try BusPeer(broker)
        let key = PublicKey(text: router)!
        let listener = try broker.listener("kex/ffww01/router/+", arguments: ["-F", "%t %x"])
        for (age, name) in [(1200, "gw08"), (1, "gw08")] as [(Int64, String)] {
            let heard = RouterNote.State.heard(at: wallClockSeconds() - age - 60)
            try peer.say(heard, of: key, as: "gw09", age: age + 1, signedWith: signers["gw09"])
            try peer.say(.removed, of: key, as: name, age: age, signedWith: signers[name])
        }
        // What comes after them over the same way shows that they were taken in.
        let last = anyKey()
        let now = RouterNote.State.heard(at: wallClockSeconds())
        try peer.say(now, of: PublicKey(text: last)!, as: "gw09", signedWith: signers["gw09"])
        try peer.settle()
        for gateway in [first, second] {
            try wait(for: "the last note") { try gateway.peers()[last] != nil }
            #expect(try gateway.peers()[router] != nil)
        }
        // A refresh later nobody has said in a name of theirs that it is gone.
        usleep(6_000_000)
        for gateway in [first, second] { #expect(try gateway.peers()[router] != nil) }
        let removals = listener.output.matches(of: #/router\/[0-9a-f]{64} 0103[0-9a-f]{32}04([0-9a-f]{8})/#)
        #expect(removals.allSatisfy { $0.1 == "67773038" }, "\(listener.output)")
    }

    /// A library that moves the wall clock of a program by what a file says, in seconds.
    private func clockLibrary() throws -> String {
        let source = """
            #define _GNU_SOURCE
            #include <stdio.h>
            #include <stdlib.h>
            #include <time.h>
            #include <unistd.h>
            #include <sys/syscall.h>
            int clock_gettime(clockid_t clock, struct timespec *time) {
                int result = syscall(SYS_clock_gettime, clock, time);
                if (clock != CLOCK_REALTIME) return result;
                FILE *file = fopen(getenv("CLOCK_OFFSET"), "r");
                long offset = 0;
                if (file && fscanf(file, "%ld", &offset) != 1) offset = 0;
                if (file) fclose(file);
                time->tv_sec += offset;
                return result;
            }
            """
        try source.write(toFile: "\(folder)/clock.c", atomically: false, encoding: .utf8)
        try Command.check("clang -shared -fPIC -o \(folder)/clock.so \(folder)/clock.c")
        return "\(folder)/clock.so"
    }

    @Test(
        "A gateway whose clock was hours ahead is believed as soon as it is right, with what it said before; both say so"
    )
    func clock() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        func setClock(ahead seconds: Int) throws {
            try "\(seconds)".write(toFile: "\(folder)/offset", atomically: true, encoding: .utf8)
        }
        try setClock(ahead: 3 * 3600)
        let environment = ["LD_PRELOAD=\(try clockLibrary())", "CLOCK_OFFSET=\(folder)/offset"]
        let (first, second) = (try gateway("gw01", environment: environment), try gateway("gw02"))
        try first.startHTTPListener()
        func register() throws -> String {
            let router = FieldRouter(domain: "ffww01", key: anyKey())
            #expect(router.post("/api/v1/wg/key/exchange", first.httpPort) == .registered)
            return router.key
        }
        let early = try register()
        try second.mqtt?.waitFor(#/gw01's clock is 3 h ahead/#)
        #expect(try second.peers()[early] == nil)
        try setClock(ahead: 0)
        try first.mqtt?.waitFor(#/the clock was set back by 3 h/#)
        let late = try register()
        try wait(for: "both at the other gateway") {
            try Set([early, late]).isSubset(of: second.peers().keys)
        }
        try second.mqtt?.waitFor(#/[1-9] from another time/#)
    }
}
