import BusMessages
import KexProtocol
import Testing

@testable import KexMQTT

@Suite("What the broker sends back") struct EchoTests {
    private static let unread = BusNotice.unread(filter: "kex/ffww01/count/+")
    private static let readAgain = BusNotice.readAgain(filter: "kex/ffww01/count/+")

    /// A member whose count the broker has accepted.
    private func published() throws -> (Member, BusMessage) {
        var gateway = Member()
        gateway.connect()
        gateway.list([(1, gateway.seconds)])
        let count = try #require(gateway.publications().first { $0.topic == "kex/ffww01/count/gw01" })
        let message = try BusMessage(topic: Array(count.topic.utf8).span, payload: count.payload.span, trusting: nil)
        return (gateway, message)
    }

    @Test("Nothing is said when its own count comes back in time, and nothing before that")
    func heard() throws {
        var (gateway, message) = try published()
        gateway.pass(BusLimit.echoTime - .seconds(1))
        #expect(!gateway.member.takeNotices().contains(Self.unread))
        gateway.receive(message)
        gateway.pass(.seconds(60))
        #expect(!gateway.member.takeNotices().contains { $0 == Self.unread || $0 == Self.readAgain })
    }

    @Test("It is said once that the count does not come, not again with each connection, and that it comes again")
    func missing() throws {
        var (gateway, message) = try published()
        gateway.pass(BusLimit.echoTime)
        #expect(gateway.member.takeNotices().contains(Self.unread))
        gateway.member.disconnect(at: gateway.now)
        gateway.connect()
        #expect(gateway.publications().contains { $0.topic == "kex/ffww01/count/gw01" })
        gateway.pass(BusLimit.echoTime)
        #expect(!gateway.member.takeNotices().contains(Self.unread))
        gateway.receive(message)
        #expect(gateway.member.takeNotices().contains(Self.readAgain))
    }

    @Test("A connection that ends before it is due says nothing")
    func disconnected() throws {
        var (gateway, _) = try published()
        gateway.member.disconnect(at: gateway.now)
        gateway.pass(BusLimit.echoTime)
        #expect(!gateway.member.takeNotices().contains(Self.unread))
    }
}
