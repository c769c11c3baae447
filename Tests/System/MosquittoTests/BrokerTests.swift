import Foundation
import Mosquitto
import NetworkAddresses
import Patience
import SystemCalls
import SystemPackage
import Testing
import Time

@Suite("With a real broker", .serialized) struct BrokerTests {
    private let broker: TestBroker
    /// mosquitto 2.0.11 just closes the socket, whatever the reason (measured).
    private let lost = Disconnection.lost("The connection was lost.")

    init() throws {
        broker = try TestBroker()
        try broker.start()
    }

    @Test("Messages of both qualities arrive, and those of the higher one are acknowledged")
    func qualities() throws {
        let sender = try TestClient(broker, "sender")
        let receiver = try TestClient(broker, "receiver")
        try sender.connect()
        try receiver.connect()
        // Nobody has subscribed, which the broker says.
        #expect(try sender.publish("a/b", "nobody") == 16)
        try receiver.subscribe("a/+")
        _ = try sender.link.publish("a/b", Array("zero".utf8), quality: .atMostOnce)
        #expect(try sender.publish("a/b", "one") == 0)
        #expect(try sender.publish("b/b", "elsewhere") == 16)
        #expect(try receiver.waitForMessages(2) == [BrokerMessage("a/b", "zero"), BrokerMessage("a/b", "one")])
        #expect(sender.messages.isEmpty)
    }

    @Test("A retained message is there for whoever comes later, until it expires or is taken away")
    func retained() throws {
        let sender = try TestClient(broker, "sender")
        try sender.connect()
        try sender.publish("r/stays", "a", isRetained: true)
        try sender.publish("r/expires", "b", isRetained: true, expiry: 1)
        try sender.publish("r/empty", "c", isRetained: true)
        try sender.publish("r/empty", "", isRetained: true)
        let first = try TestClient(broker, "first")
        try first.connect()
        try first.subscribe("r/#")
        let both = try first.waitForMessages(2).sorted { $0.payload[0] < $1.payload[0] }
        #expect(
            both == [
                BrokerMessage("r/stays", "a", isRetained: true), BrokerMessage("r/expires", "b", isRetained: true),
            ]
        )
        // mosquitto counts whole seconds.
        try first.run(for: .milliseconds(2100))
        let second = try TestClient(broker, "second")
        try second.connect()
        try second.subscribe("r/#")
        try second.run(for: .milliseconds(200))
        #expect(second.messages == [BrokerMessage("r/stays", "a", isRetained: true)])
        // Whoever asks for what is new gets that alone.
        second.forget()
        let id = try second.link.subscribe(to: "r/#", quality: .atLeastOnce, withKept: false)
        try second.wait(for: "the subscription") { $0.contains(.subscribed(id: id, reason: 1)) ? true : nil }
        try sender.publish("r/new", "d")
        #expect(try second.waitForMessages(1) == [BrokerMessage("r/new", "d")])
    }

    @Test("The will is published when the connection ends without a word, and not after one")
    func will() throws {
        let receiver = try TestClient(broker, "receiver")
        try receiver.connect()
        try receiver.subscribe("w/+")
        func member(_ name: String) throws -> TestClient {
            let client = try TestClient(broker, name) {
                $0.will = .init(topic: "w/\(name)", payload: [UInt8(ascii: "0")])
            }
            try client.connect()
            return client
        }
        let polite = try member("polite")
        try polite.link.disconnect(polite.loop)
        #expect(!polite.isBusy)
        #expect(polite.link.deadline == nil)
        var killed: TestClient? = try member("killed")
        #expect(killed?.isConnected == true)
        killed = nil
        #expect(try receiver.waitForMessages(1) == [BrokerMessage("w/killed", "0")])
        try receiver.run(for: .milliseconds(200))
        #expect(receiver.messages.count == 1)
    }

    @Test("A second client of the same name throws the first out")
    func takenOver() throws {
        let first = try TestClient(broker, "twin")
        try first.connect()
        let second = try TestClient(broker, "twin")
        try second.connect()
        #expect(try first.disconnection() == lost)
        #expect(!first.isConnected)
        #expect(second.isConnected)
    }

    @Test(
        "When the broker stops, it is told at once; when it is back, so is the link, and subscriptions are to be made anew"
    )
    func comeback() throws {
        let client = try TestClient(broker, "client")
        try client.connect()
        try client.subscribe("c/+")
        client.forget()
        broker.stop()
        #expect(try client.disconnection() == lost)
        #expect(throws: BrokerError.notConnected) { try client.link.publish("c/d", [], quality: .atLeastOnce) }
        #expect(throws: BrokerError.notConnected) { try client.link.subscribe(to: "c/d", quality: .atLeastOnce) }
        client.forget()
        #expect(try client.failToConnect() == .unreachable("Connection refused (errno 111)"))
        try broker.start()
        try client.connect()
        try client.publish("c/d", "before")
        try client.subscribe("c/+")
        try client.publish("c/d", "after")
        #expect(try client.waitForMessages(1) == [BrokerMessage("c/d", "after")])
    }

    @Test("What was not acknowledged when the broker was killed is forgotten, and does not come in the next connection")
    func killed() throws {
        let client = try TestClient(broker, "client")
        try client.connect()
        broker.stop(SIGKILL)
        // The socket takes it: nobody has told the client yet.
        _ = try client.link.publish("k/k", [1], quality: .atLeastOnce)
        let reason = try client.disconnection()
        guard case .lost = reason else {
            Issue.record("\(reason)")
            return
        }
        try broker.start()
        let receiver = try TestClient(broker, "receiver")
        try receiver.connect()
        try receiver.subscribe("k/#")
        try client.connect()
        try client.run(for: .milliseconds(100))
        try receiver.run(for: .milliseconds(100))
        #expect(receiver.messages.isEmpty)
        #expect(!client.events.contains { if case .acknowledged = $0 { true } else { false } })
    }

    @Test("A broker that says nothing is given up after the time of a sign of life, and the loop never waited for it")
    func silence() throws {
        let listener = try Socket.listen(on: .v4(.init(value: 0x7f00_0001), port: 0))
        let port = try Socket.localAddress(of: listener.raw).endpoint!.port
        let client = try TestClient(BrokerSettings(host: "127.0.0.1", port: port, clientID: "client"))
        let start = MonotonicTime.now
        client.link.connect(now: start)
        guard case .lost = try client.disconnection() else {
            Issue.record("\(client.events)")
            return
        }
        #expect(BrokerLimit.keepalive - .seconds(1) <= .now - start)
        // Each round is a wait; a loop that turns without one has thousands.
        #expect(client.rounds < 40)
    }

    @Test("A name that nobody knows is told, and the look-up is not waited for")
    func unknownHost() throws {
        let client = try TestClient(BrokerSettings(host: "broker.invalid", port: 1883, clientID: "client"))
        client.link.connect(now: .now)
        let isBusy = client.link.isBusy
        #expect(isBusy, "it would have waited")
        guard case .unreachable = try client.disconnection() else {
            Issue.record("\(client.events)")
            return
        }
    }

    @Test("A link that goes while it connects harms nobody, nor does an end of it")
    func early() throws {
        for _ in 0..<50 {
            let client = try TestClient(broker, "early")
            client.link.connect(now: .now)
            try client.step(until: .now)
        }
        let client = try TestClient(broker, "early")
        for _ in 0..<50 {
            client.link.connect(now: .now)
            try client.step(until: .now)
            try client.link.disconnect(client.loop)
        }
        client.forget()
        try client.run(for: .milliseconds(100))
        #expect(client.events.isEmpty)
        // Events of connections that were given up would wake the loop again and again.
        #expect(client.rounds < 60)
        try client.connect()
    }

    @Test("A message at the limits comes; one over them is dropped and counted; one of a mebibyte does not even come")
    func sizes() throws {
        let receiver = try TestClient(broker, "receiver")
        try receiver.connect()
        try receiver.subscribe("#")
        let sender = try Folder()
        func send(_ size: Int, _ topic: String) throws {
            let file = try sender.write(String(repeating: "x", count: size), to: "payload")
            try sender.run("mosquitto_pub", "-p", "\(broker.port)", "-q", "1", "-t", topic, "-f", file)
        }
        let longest = String(repeating: "t", count: BrokerLimit.topic)
        try send(BrokerLimit.payload, longest)
        try send(BrokerLimit.payload + 1, "payload")
        try send(1, longest + "t")
        try send(1 << 20, "mebibyte")
        try send(1, "last")
        #expect(try receiver.waitForMessages(2).map(\.payload.count) == [BrokerLimit.payload, 1])
        #expect(receiver.messages.map(\.topic) == [Array(longest.utf8), Array("last".utf8)])
        #expect(receiver.link.droppedMessages == 2)
        #expect(receiver.isConnected)
    }

    @Test("What we would not take, we do not publish either")
    func outgoing() throws {
        let client = try TestClient(broker, "client")
        try client.connect()
        let most = [UInt8](repeating: 1, count: BrokerLimit.payload)
        let longest = String(repeating: "t", count: BrokerLimit.topic)
        _ = try client.link.publish(longest, most, quality: .atLeastOnce)
        #expect(throws: BrokerError.tooLong) { try client.link.publish("t", most + [1], quality: .atLeastOnce) }
        #expect(throws: BrokerError.tooLong) { try client.link.publish(longest + "t", [], quality: .atLeastOnce) }
        #expect(throws: BrokerError.tooLong) { try client.link.subscribe(to: longest + "t", quality: .atMostOnce) }
        #expect(throws: BrokerError.notAllowed("Invalid function arguments provided.")) {
            try client.link.publish("t/+", [], quality: .atLeastOnce)
        }
        #expect(client.isConnected)
    }

    @Test("No more publications are taken than may be on their way, until one is acknowledged")
    func busy() throws {
        let client = try TestClient(broker, "client")
        try client.connect()
        for _ in 0..<BrokerLimit.unacknowledged {
            _ = try client.link.publish("b", [1], quality: .atLeastOnce)
        }
        #expect(throws: BrokerError.busy) { try client.link.publish("b", [1], quality: .atLeastOnce) }
        #expect(throws: BrokerError.busy) { try client.link.publish("b", [1], quality: .atMostOnce) }
        func acknowledged() -> Int {
            client.events.count { if case .acknowledged = $0 { true } else { false } }
        }
        try client.wait(for: "acknowledgements") { _ in acknowledged() == BrokerLimit.unacknowledged ? true : nil }
        // Those of the lowest quality are on their way until the socket takes them.
        for _ in 0..<3 * BrokerLimit.unacknowledged { _ = try client.link.publish("b", [1], quality: .atMostOnce) }
        try client.publish("b", "last")
    }

    @Test("20,000 retained messages are published and received")
    func many() throws {
        let count = 20000
        let sender = try TestClient(broker, "sender")
        try sender.connect()
        let start = MonotonicTime.now
        let payload = [UInt8](repeating: 7, count: 100)
        var next = 0
        while next < count {
            do throws(BrokerError) {
                _ = try sender.link.publish("m/\(next)", payload, quality: .atLeastOnce, isRetained: true, expiry: 3600)
                next += 1
            } catch {
                guard error == .busy else { throw error }
                try sender.step(until: .now + .seconds(Patience.program))
            }
        }
        try sender.wait(for: "acknowledgements") { $0.count == count + 1 ? true : nil }
        let published = MonotonicTime.now
        let receiver = try TestClient(broker, "receiver")
        try receiver.connect()
        let subscribed = MonotonicTime.now
        try receiver.subscribe("m/#")
        let messages = try receiver.waitForMessages(count)
        let received = MonotonicTime.now
        #expect(Set(messages.map(\.topic)).count == count)
        #expect(messages.allSatisfy { $0.isRetained && $0.payload == payload })
        print("\(count) retained: published in \(published - start), received in \(received - subscribed)")
    }
}
