import Keys
import LinkFacts
import LinkMessages
import NetworkAddresses
import Testing
import WireGuardTypes

/// Two members that have each other's keys.
private struct Two {
    let aKey = PrivateKey()
    let bKey = PrivateKey()
    var a: MessageSealer
    var b: MessageSealer
    var random = SystemRandomNumberGenerator()

    init(boots: (UInt64, UInt64) = (1, 2)) throws {
        a = try Self.sealer(aKey, bKey, boots.0)
        b = try Self.sealer(bKey, aKey, boots.1)
    }

    static func sealer(_ own: PrivateKey, _ other: PrivateKey, _ boot: UInt64) throws -> MessageSealer {
        let secret = try own.sharedSecret(with: other.publicKey)
        return MessageSealer(secret: secret, own: own.publicKey, other: other.publicKey, boot: boot)
    }

    mutating func sealedByA(_ message: LinkMessage) -> [UInt8] { a.seal(message, using: &random) }
}

private let key = PrivateKey().publicKey
private let fact = Fact(
    subject: key,
    .endpoint(Endpoint("192.0.2.1:51820")!),
    timeToLive: .usual
)

@Suite struct MessageTests {
    static let messages: [LinkMessage] = [
        .facts(FactDelta(sequence: 7, isFirst: true, facts: [fact, fact])),
        .facts(FactDelta(sequence: .max, isFirst: false, facts: [])),
        .received(3),
        .forward(key, [1, 2, 3]),
        .undelivered(key, .notConnected),
        .call(
            Call(
                wantsAnswer: true,
                hasChangingPort: true,
                factsPort: 51_821,
                candidates: [
                    Call.Candidate(.interface, Endpoint("10.0.0.2:51820")!),
                    Call.Candidate(.observed, Endpoint("[2001:db8::2]:4")!),
                ]
            )
        ),
        .relayWanted(key),
        .relayGranted(key, port: 40_000),
        .relayGranted(key, port: nil),
        .echo(1 << 63, isAnswer: true),
        .switching(.moved),
        .switching(.drained),
        .switching(.settled),
    ]

    @Test(arguments: messages) func `what was sealed is opened`(message: LinkMessage) throws {
        var two = try Two()
        let sealed = two.sealedByA(message)
        #expect(sealed[0] == MessageSealer.marker)
        #expect(try two.b.open(sealed) == message)
        #expect(two.b.otherBoot == 1)
    }

    @Test func `a message is for one receiver, in one direction, and once`() throws {
        var two = try Two()
        let sealed = two.sealedByA(.received(1))
        #expect(throws: RefusedMessage.forged) { try two.a.open(sealed) }
        #expect(try two.b.open(sealed) == .received(1))
        #expect(throws: RefusedMessage.replayed) { try two.b.open(sealed) }
        var stranger = try Two.sealer(PrivateKey(), two.aKey, 1)
        #expect(throws: RefusedMessage.forged) { try stranger.open(sealed) }
    }

    @Test func `each changed bit is noticed`() throws {
        var two = try Two()
        let sealed = two.sealedByA(.echo(5, isAnswer: false))
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 1
            #expect(throws: RefusedMessage.self) { try two.b.open(changed) }
        }
        #expect(try two.b.open(sealed) == .echo(5, isAnswer: false))
    }

    @Test(arguments: messages) func `a message that ends early, or goes on, is refused`(message: LinkMessage) throws {
        var two = try Two()
        let sealed = two.sealedByA(message)
        for count in 0..<sealed.count {
            #expect(throws: RefusedMessage.self) { try two.b.open(Array(sealed.prefix(count))) }
        }
        #expect(throws: RefusedMessage.self) { try two.b.open(sealed + [0]) }
    }

    @Test func `a datagram has at most 1,212 bytes`() throws {
        var two = try Two()
        let inner = [UInt8](repeating: 7, count: MessageSealer.maximumForwarded)
        let longest = two.sealedByA(.forward(key, inner))
        #expect(longest.count == MessageSealer.maximumDatagram)
        #expect(try two.b.open(longest) == .forward(key, inner))
        let longer = two.sealedByA(.forward(key, inner + [7]))
        #expect(throws: RefusedMessage.malformed(.excess)) { try two.b.open(longer) }
    }

    @Test func `a call has at most 32 candidates, which can be forwarded`() throws {
        var two = try Two()
        let candidate = Call.Candidate(.interface, Endpoint("[2001:db8::1]:51820")!)
        let many = Call(wantsAnswer: false, factsPort: 1, candidates: Array(repeating: candidate, count: 33))
        let sealed = two.sealedByA(.call(many))
        #expect(sealed.count <= MessageSealer.maximumForwarded)
        guard case .call(let call) = try two.b.open(sealed) else { throw RefusedMessage.forged }
        #expect(call.candidates.count == Call.maximumCandidates)
    }
}
