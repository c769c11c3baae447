import Keys
import LinkFacts
import LinkMessages
import NetworkAddresses
import Testing
import WireGuardTypes

@testable import LinkKeeper

@Suite struct `A farewell` {
    private let own = PrivateKey()
    private let hub = PrivateKey()
    private let other = PrivateKey()
    private let phone = PrivateKey()

    private func farewell(hubAllowedIPs: [String]) -> Farewell {
        var random = SystemRandomNumberGenerator()
        let peers = [
            Peer(publicKey: hub.publicKey, allowedIPs: hubAllowedIPs.map { IPPrefix($0)! }),
            Peer(publicKey: phone.publicKey, allowedIPs: [IPPrefix("10.0.0.9/32")!]),
            Peer(publicKey: other.publicKey, allowedIPs: [IPPrefix("10.0.0.7/32")!]),
        ]
        return Farewell(
            from: own,
            peers: peers,
            // One is gone.
            made: [other.publicKey, PrivateKey().publicKey],
            using: &random
        )
    }

    private func opened(_ bytes: [UInt8], by key: PrivateKey, _ sealer: inout MessageSealer?) throws -> LinkMessage {
        let secret = try key.sharedSecret(with: own.publicKey)
        var own = sealer ?? MessageSealer(secret: secret, own: key.publicKey, other: self.own.publicKey, boot: 1)
        defer { sealer = own }
        return try own.open(bytes)
    }

    @Test func `is said to those that peers were made of, by their tunnels and by the hub`() throws {
        let farewell = farewell(hubAllowedIPs: ["10.0.0.0/24"])
        #expect(farewell.direct.map(\.address) == [other.publicKey.memberAddress])
        #expect(farewell.forwarded.map(\.address) == [hub.publicKey.memberAddress])
        var (atHub, atOther): (MessageSealer?, MessageSealer?)
        #expect(try opened(farewell.direct[0].bytes, by: other, &atOther) == .switching(.back))
        guard case .forward(let key, let inner) = try opened(farewell.forwarded[0].bytes, by: hub, &atHub)
        else {
            Issue.record("nothing to forward")
            return
        }
        #expect(key == other.publicKey)
        // The same start, and another number: nobody takes it for the first one again.
        #expect(try opened(inner, by: other, &atOther) == .switching(.back))
    }

    @Test func `goes only by the tunnels of the pairs where there is no hub`() {
        let farewell = farewell(hubAllowedIPs: ["10.0.0.1/32"])
        #expect(farewell.direct.count == 1 && farewell.forwarded.isEmpty)
    }
}
