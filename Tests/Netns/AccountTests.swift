import Checkout
import FieldRouter
import Foundation
import Mosquitto
import NetworkAddresses
import Surroundings
import SystemCalls
import Testing
import WireGuardTypes

/// What a broker lets an account do, and what `kex-mqtt` says of it.
@Suite("Accounts with the broker", .needsRoot, .serialized) final class AccountTests {
    private let folder = "/run/kex-account-\(UUID().uuidString)"

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        try write("", to: "passwords")
        for user in ["gw01", "gw02"] { try setPassword(of: user, to: "secret") }
        try write("secret\n", to: "password")
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private func write(_ text: String, to name: String) throws {
        try text.write(toFile: "\(folder)/\(name)", atomically: false, encoding: .utf8)
    }

    private func setPassword(of user: String, to password: String) throws {
        let result = try Command.run("mosquitto_passwd", ["-b", "\(folder)/passwords", user, password])
        guard result.status == 0 else { throw Failure("no password: \(result)") }
    }

    /// The rules of docs/MIGRATION.md.
    private func rules() throws -> String {
        let page = try String(contentsOf: Checkout.file("docs/MIGRATION.md"), encoding: .utf8)
        let section = try #require(page.range(of: "## The broker's account\n"))
        let block = try #require(page[section.upperBound...].firstMatch(of: #/```\n((?:pattern [^\n]+\n)+)```/#))
        return String(block.1)
    }

    private func broker(_ rules: String) throws -> MessageBroker {
        try write(rules, to: "acl")
        let lines = "allow_anonymous false\npassword_file \(folder)/passwords\nacl_file \(folder)/acl"
        let broker = try MessageBroker(lines)
        try broker.start()
        return broker
    }

    private func gateway(_ name: String, _ port: UInt16, user: String? = nil) throws -> GatewayFixture {
        let account = "User=\(user ?? name)\nPasswordFile=\(folder)/password"
        let gateway = try GatewayFixture(
            settings: "LinkAddress=fe80::5757:bb:1",
            bus: "Broker=127.0.0.1:\(port)\nName=\(name)\n\(account)"
        )
        try gateway.startHandler()
        try gateway.startMQTT()
        return gateway
    }

    @Test("With the rules of MIGRATION.md gateways share their routers, and none may speak of another")
    func page() throws {
        let broker = try broker(try rules())
        let (first, second) = (try gateway("gw01", broker.port), try gateway("gw02", broker.port))
        for gateway in [first, second] { try gateway.mqtt?.waitFor(#/connected to the broker/#) }
        try first.startListener()
        try first.startHTTPListener()
        let heard = try first.makeConnectedRouter(1)
        let asked = anyKey()
        let router = FieldRouter(domain: "ffww01", key: asked)
        #expect(router.post("/api/v1/wg/key/exchange", first.httpPort) == .registered)
        try wait(for: "both at the other gateway") { try Set([heard, asked]).isSubset(of: second.peers().keys) }
        var answers: Set<String> = []
        try wait(for: "both to be chosen") {
            let outcome = FieldRouter(domain: "ffww01", key: anyKey()).exchange(port: first.httpPort)
            if case .gateway(_, let port, _, _) = outcome { answers.insert(port) }
            return answers.count == 2
        }
        let stranger = try BusPeer(broker) { ($0.user, $0.password) = ("gw02", "secret") }
        try stranger.publish("wireguard-worker/gw01/status", Array("0".utf8), isRetained: true)
        try stranger.publish("kex/ffww01/count/gw01", Array("0".utf8), isRetained: true)
        try stranger.settle()
        for gateway in [first, second] {
            #expect(gateway.mqtt?.output.contains(/the broker refused|about this gateway|malformed/) == false)
        }
    }

    @Test("What the broker refuses is logged once for each kind of topic, with what to do")
    func missingRule() throws {
        let whole = try rules()
        let broker = try broker(whole.split(separator: "\n").filter { !$0.contains("kex/") }.joined(separator: "\n"))
        let gateway = try gateway("gw01", broker.port)
        try gateway.startListener()
        let mqtt = try #require(gateway.mqtt)
        try mqtt.waitFor(#/the broker refused kex\/ffww01\/count\/gw01: Not authorized \(reason 135\); .*MIGRATION.md/#)
        let routers = try [1, 2].map(gateway.makeConnectedRouter)
        #expect(routers.count == 2)
        try mqtt.waitFor(#/the broker refused kex\/ffww01\/router\/[0-9a-f]{64}: Not authorized/#)
        #expect(mqtt.output.matches(of: #/the broker refused kex\/ffww01\/router/#).count == 1)
    }

    @Test("An account that may not read what gateways say is told so, although its subscriptions succeed")
    func unreadable() throws {
        let whole = try rules()
        let lines = whole.split(separator: "\n").filter { $0 != "pattern read kex/+/count/+" }
        try #require(lines.count == whole.split(separator: "\n").count - 1)
        let broker = try broker(lines.joined(separator: "\n"))
        let gateway = try gateway("gw01", broker.port)
        try gateway.mqtt?.waitFor(#/does not send it kex\/ffww01\/count\/\+: may the account read it\? .*MIGRATION.md/#)
        broker.stop()
    }

    @Test("A password that is wrong when the broker is back is said, although it was said before that it was lost")
    func changedPassword() throws {
        let broker = try broker(try rules())
        let gateway = try gateway("gw01", broker.port)
        let mqtt = try #require(gateway.mqtt)
        try mqtt.waitFor(#/connected to the broker/#)
        broker.stop()
        try mqtt.waitFor(#/the broker ended the connection|lost the connection|cannot reach the broker/#)
        try setPassword(of: "gw01", to: "another")
        try broker.start()
        // A line on the broker comes once in ten seconds at most.
        try wait(for: "the reason") {
            mqtt.output.contains(
                /the broker refused the connection: Not authorized \(reason 135\); are User= and PasswordFile=/
            )
        }
        try setPassword(of: "gw01", to: "secret")
        broker.stop()
        try broker.start()
        try wait(for: "the connection") { mqtt.output.matches(of: #/connected to the broker/#).count == 2 }
    }

    @Test("Two gateways of one name are told so, and not with a line for each time that one throws the other out")
    func oneName() throws {
        let broker = try broker(try rules())
        let gateways = try ["gw01", "gw01"].map { try gateway($0, broker.port) }
        try wait(for: "the word") {
            gateways.contains { $0.mqtt?.output.contains(/does another gateway have this Name=/) == true }
        }
        // They go on throwing each other out meanwhile.
        usleep(5_000_000)
        for gateway in gateways {
            let lines = try #require(gateway.mqtt).output.split(separator: "\n")
            #expect(lines.count { $0.contains("connected to the broker") } == 1, "\(lines)")
            #expect(lines.count { $0.contains("does another gateway") } <= 1, "\(lines)")
        }
    }

    @Test("A broker that has only MQTT 3.1.1 is named")
    func oldBroker() throws {
        let listener = try Socket.listen(on: .v4(IPv4Address(value: 0x7f00_0001), port: 0))
        let port = try #require(try Socket.localAddress(of: listener.raw).endpoint).port
        let gateway = try gateway("gw01", port)
        // CONNACK: unacceptable protocol version (MQTT 3.1.1, section 3.2.2.3).
        let answer: [UInt8] = [0x20, 2, 0, 1]
        try wait(for: "the word") {
            while let accepted = try Socket.accept(from: listener.raw) {
                let connection = accepted.takeDescriptor()
                _ = try Socket.send(answer, to: connection.raw)
                usleep(100_000)
            }
            return gateway.mqtt?.output.contains(/this broker does not speak MQTT 5/) == true
        }
    }
}
