import EventLoop
import NetworkAddresses
import Relay
import SystemCalls
import Testing
import Time
import WireGuardTypes

@Suite struct `A relay whose caller reads the probes` {
    /// Takes what came, and says of whom it is where he is.
    private func serve(_ hub: inout Hub, _ members: [UInt16: PublicKey]) throws -> [Relay.Arrival] {
        var all: [Relay.Arrival] = []
        while true {
            let count = try hub.loop.wait(until: .now + .milliseconds(2))
            if count == 0 { return all }
            for index in 0..<count where hub.relay.owns(hub.loop[index].token) {
                let arrivals = hub.relay.serve(hub.loop[index].token, at: .now)
                for arrival in arrivals {
                    guard let sender = members[arrival.source.port] else { continue }
                    hub.relay.setEnd(
                        of: sender,
                        at: arrival.source,
                        local: arrival.local,
                        towards: arrival.member,
                        at: .now
                    )
                    hub.relay.send([9, 9], to: arrival.source, from: arrival.member, local: arrival.local)
                }
                all += arrivals
            }
        }
    }

    @Test(arguments: ["127.0.0.1", "[::1]"])
    func `forwards between those whom the caller knows, answers for him, and forgets`(host: String) throws {
        var hub = try Hub()
        var a = try Member(1, host: host)
        var b = try Member(2, host: host)
        let ports = (try hub.take(a), try hub.take(b))
        let members = [try a.place.port: a.key, try b.place.port: b.key]
        try a.probe(ports.1)
        try b.probe(ports.0)
        let arrivals = try serve(&hub, members)
        #expect(Set(arrivals.map(\.member)) == [a.key, b.key] && arrivals.allSatisfy { $0.bytes.count == 92 })
        #expect(try a.receive().map(\.bytes) == [[9, 9]])
        #expect(try b.receive().map(\.from) == [ports.0])
        try a.send([4, 1], to: ports.1)
        try b.send([4, 2], to: ports.0)
        #expect(try serve(&hub, members).isEmpty)
        #expect(try b.receive().map(\.bytes) == [[4, 1]])
        #expect(try a.receive().map(\.bytes) == [[4, 2]])
        hub.relay.forget(b.key, a.key)
        try a.send([4, 3], to: ports.1)
        #expect(try serve(&hub, members).isEmpty)
        #expect(try b.receive().isEmpty && hub.relay.pairCount == 0)
    }

    @Test func `learns nothing of somebody whom the caller does not know`() throws {
        var hub = try Hub()
        var a = try Member(1)
        var b = try Member(2)
        let port = try hub.take(b)
        try a.probe(port)
        #expect(try serve(&hub, [:]).count == 1)
        try a.send([4], to: port)
        #expect(try serve(&hub, [:]).isEmpty)
        #expect(try b.receive().isEmpty && hub.relay.pairCount == 0 && hub.relay.counts.strangers == 1)
        // At the port of nobody nothing is sent.
        hub.relay.send([1], to: try a.place, from: a.key, local: nil)
        hub.relay.setEnd(of: b.key, at: try b.place, local: nil, towards: a.key, at: .now)
        #expect(hub.relay.pairCount == 0)
    }
}
