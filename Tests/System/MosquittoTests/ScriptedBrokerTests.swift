import Mosquitto
import NetworkAddresses
import SystemCalls
import SystemPackage
import Testing
import Time

@Suite("With a broker of our own making", .serialized) struct ScriptedBrokerTests {
    private let listener: Owner
    private let client: TestClient

    init() throws {
        listener = Owner(try Socket.listen(on: .v4(IPv4Address(value: 0x7f00_0001), port: 0)))
        let port = try #require(try Socket.localAddress(of: listener.raw).endpoint).port
        client = try TestClient(BrokerSettings(host: "127.0.0.1", port: port, clientID: "client"))
    }

    /// Lets the client connect, and sends these bytes whatever it says.
    ///
    /// - Returns: the connection, which ends with its owner.
    private func answer(_ bytes: [UInt8]) throws -> Owner {
        client.link.connect(now: .now)
        var accepted: Owner?
        while accepted == nil {
            try client.step(until: .now + .milliseconds(10))
            if let connection = try Socket.accept(from: listener.raw) { accepted = Owner(connection.takeDescriptor()) }
        }
        let connection = try #require(accepted)
        var rest = bytes[...]
        while !rest.isEmpty {
            rest = rest.dropFirst(try Socket.send(Array(rest), to: connection.raw) ?? 0)
            try client.step(until: .now)
        }
        return connection
    }

    /// CONNACK of success, without properties.
    private static let welcome: [UInt8] = [0x20, 3, 0, 0, 0]

    @Test("What a broker says before it ends the connection is told")
    func ended() throws {
        let connection = try answer(Self.welcome + [0xe0, 2, 142, 0])
        let end = try withExtendedLifetime(connection) { try client.disconnection() }
        #expect(end == .ended(142))
        #expect(end.description == "the broker ended the connection: Session taken over (reason 142)")
    }

    @Test(
        "A broker of an older MQTT, or of none, lets nobody in",
        arguments: [
            [0x20, 2, 0, 1], Array("HTTP/1.1 400 Bad Request\r\n".utf8), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ]
            as [[UInt8]]
    )
    func strange(bytes: [UInt8]) throws {
        let connection = try answer(bytes)
        _ = try withExtendedLifetime(connection) { try client.disconnection() }
        #expect(!client.events.contains(.connected))
    }

    @Test("A broker that takes nothing does not make us keep more than may be on its way")
    func stuck() throws {
        let connection = try answer(Self.welcome)
        try client.wait(for: "a connection") { $0.contains(.connected) ? true : nil }
        let payload = [UInt8](repeating: 7, count: BrokerLimit.payload)
        var published = 0
        #expect(throws: BrokerError.busy) {
            // Far more than the two sockets take.
            while published < 20_000 {
                _ = try client.link.publish("t", payload, quality: .atMostOnce)
                published += 1
            }
        }
        #expect(published >= BrokerLimit.unacknowledged)
        _ = withExtendedLifetime(connection) { client.isConnected }
    }

    @Test("A message far over the limit that comes all the same is dropped and counted")
    func oversized() throws {
        let payload = [UInt8](repeating: 7, count: 1 << 20)
        // PUBLISH: length of what follows in groups of seven bits; then topic, no properties, payload.
        let length = payload.count + 4
        let header: [UInt8] = [0x30, UInt8(length & 127 | 128), UInt8(length >> 7 & 127 | 128), UInt8(length >> 14)]
        let topic: [UInt8] = [0, 1, UInt8(ascii: "t"), 0]
        let connection = try answer(Self.welcome + header + topic + payload + [0x30, 5] + topic + [1])
        let messages = try withExtendedLifetime(connection) { try client.waitForMessages(1) }
        #expect(messages == [BrokerMessage("t", "\u{1}")])
        #expect(client.link.droppedMessages == 1)
    }
}

/// Owns a descriptor where only what can be copied may stand.
private final class Owner {
    private let owned: OwnedDescriptor
    var raw: FileDescriptor { owned.raw }

    init(_ owned: consuming OwnedDescriptor) { self.owned = owned }
}
