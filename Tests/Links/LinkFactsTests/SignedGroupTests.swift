import Keys
import LinkFacts
import NetworkAddresses
import Secrets
import Testing
import WireGuardTypes

/// A datagram of the field, and what is in it.
private struct Recorded: Sendable {
    let signer, receiver: Node
    let datagram: [UInt8]
    let facts: [Fact]

    init(_ signer: Node, _ receiver: Node, nonceAndTag: String, _ facts: [Fact]) {
        self.signer = signer
        self.receiver = receiver
        self.facts = facts
        // What comes behind the tag is in the vectors as well, and here made again.
        datagram =
            fromHex("5300") + signer.publicKey.bytes + fromHex(nonceAndTag) + facts.flatMap(\.encoded)
    }
}

private let c = Node.c
private let a = Node.a
private let b = Node.b
private let bootOfA = Fact.Statement.alive(BootID(bytes: fromHex("cce8e120039e4c959bcfe39d7fe10df4"))!)
private let bootOfC = Fact.Statement.alive(BootID(bytes: fromHex("c1d9101bbf6242dbb0146658abba8e25"))!)

private let recorded = [
    // Made by the field's encoder with every kind of fact
    Recorded(
        c,
        a,
        nonceAndTag: "fe88c59f4997e6625b301895680a79f496a8cdea61227e9df679eed701584d2e8ff73cef5dcc088e",
        vectors.map(\.fact)
    ),
    // Captured: from a leaf to its router
    Recorded(
        a,
        c,
        nonceAndTag: "009e81e173e8dda436a36500f1df01ff65e38d2e9d1e4757b9acc089ad5f6885bc031c24e3aba958",
        [Fact(a.publicKey, .endpoint(Endpoint("10.77.0.2:51820")!), 254), Fact(a.publicKey, bootOfA)]
    ),
    // From the router: itself, and then the other leaf
    Recorded(
        c,
        a,
        nonceAndTag: "ec94689a2a53ce5ff842f6b699ab006fcae27dccc6098dd306343dfb1e37fc0676a183baf53c58ba",
        [
            Fact(c.publicKey, .endpoint(Endpoint("10.77.0.1:51820")!), 254),
            Fact(c.publicKey, .allowedIP(IPPrefix("192.168.77.0/24")!), 254), Fact(c.publicKey, bootOfC),
        ]
    ),
    Recorded(
        c,
        a,
        nonceAndTag: "e3a9f82b522cc2beb32b66ae6d519cc04e4baa95b8d66bb944346e6b763f4ed544f93e48297b9a41",
        [
            Fact(b.publicKey, .endpoint(Endpoint("10.77.0.3:51820")!), 254),
            Fact(a.publicKey, .member(MemberMetadata()), 254),
            Fact(b.publicKey, .allowedIP(IPPrefix("192.168.77.3/32")!), 254),
            Fact(b.publicKey, .member(MemberMetadata()), 254), Fact(c.publicKey, bootOfC),
        ]
    ),
    // From one leaf to the other: only that it is there
    Recorded(
        a,
        b,
        nonceAndTag: "222d3a28e2c1ae909c12c4e2ffe6b44775dd3a44991f658f712d9cd8bd75a87f47706c0434604043",
        [Fact(a.publicKey, bootOfA)]
    ),
]

private func refusal(_ datagram: [UInt8], from source: IPv6Address, to receiver: Node) -> RefusedDatagram? {
    let signer = receiver.signer
    do throws(RefusedDatagram) {
        _ = try signer.facts(in: datagram.span, from: source)
        return nil
    } catch {
        return error
    }
}

@Suite("Signed groups") struct SignedGroupTests {
    @Test("of the field are read, and written as the field writes them", arguments: recorded.indices)
    func vector(index: Int) throws {
        let recorded = recorded[index]
        let receiver = recorded.receiver.signer
        let read = try receiver.facts(in: recorded.datagram.span, from: recorded.signer.address)
        #expect(read.signer == recorded.signer.publicKey)
        #expect(read.facts == recorded.facts)
        let signer = recorded.signer.signer
        var nonce = Loaded(nonce: recorded.datagram[34..<58])
        let groups = FactGroups(recorded.facts).groups
        #expect(groups.count == 1)
        let written = try signer.datagram(of: groups[0], for: recorded.receiver.publicKey, using: &nonce)
        #expect(written == recorded.datagram)
    }

    @Test("have the secret of two members as the key of their tags, the same for both")
    func secrets() throws {
        let secrets = [
            (c, a, "007caa7243c4e4d5b926c0274f452126dd991aa33f35a45ba26d49a2b446ea4a"),
            (c, b, "74ebe261176b8b5ff056b82251b23bf1ac94eb0fe4f7071df22442d62a7bf33f"),
            (a, b, "362763cad20ab47a286c00c83048924cd0a6687859c832bd92ff3e589419d029"),
        ]
        for (one, other, secret) in secrets {
            #expect(one.signer.publicKey == one.publicKey)
            #expect(try one.privateKey.sharedSecret(with: other.publicKey).bytes.copy == fromHex(secret))
            #expect(try other.privateKey.sharedSecret(with: one.publicKey).bytes.copy == fromHex(secret))
        }
        for (one, other) in [(c, a), (a, c)] {
            var (signer, dice) = (one.signer, Dice(seed: 10))
            let datagram = try signer.datagram(of: [], for: other.publicKey, using: &dice)
            let key = try #require(SymmetricKey(bytes: fromHex(secrets[0].2)))
            #expect(Array(datagram[58...]) == key.seal([], nonce: Array(datagram[34..<58])))
        }
    }

    @Test("are as long as they were captured")
    func lengths() { #expect(recorded.map(\.datagram.count) == [428, 166, 206, 278, 125]) }

    @Test("count for their receiver alone, and from their signer's address alone", arguments: recorded.indices)
    func others(index: Int) {
        let recorded = recorded[index]
        let key = recorded.signer.publicKey
        for node in [a, b, c] {
            if node.publicKey != recorded.receiver.publicKey, node.publicKey != key {
                #expect(
                    refusal(recorded.datagram, from: recorded.signer.address, to: node) == .tag(signer: key)
                )
            }
            if node.publicKey != key {
                #expect(
                    refusal(recorded.datagram, from: node.address, to: recorded.receiver)
                        == .address(signer: key, source: node.address)
                )
            }
        }
    }

    @Test("No bit of the tag, the nonce or the facts can be another; the time before the signer can")
    func tampering() throws {
        let datagram = recorded[1].datagram
        for index in datagram.indices {
            for bit in 0..<8 {
                var other = datagram
                other[index] ^= 1 << UInt8(bit)
                let refusal = refusal(other, from: a.address, to: c)
                switch index {
                case 0, 2..<34: #expect(refusal != nil, "bit \(bit) of byte \(index)")
                case 1:
                    // 128 and more begins a number of two bytes, and the signer is another.
                    #expect((refusal == nil) == (bit < 7), "bit \(bit) of byte 1")
                default: #expect(refusal == .tag(signer: a.publicKey), "bit \(bit) of byte \(index)")
                }
            }
        }
    }

    @Test("What is cut, or has more behind it, is refused")
    func lengthsOfOthers() {
        let datagram = recorded[1].datagram
        for count in 0..<datagram.count {
            let expected: RefusedDatagram =
                switch count {
                case 0: .malformed(.short(.attribute))
                case 1: .malformed(.short(.timeToLive))
                case 2..<34: .malformed(.short(.subject))
                case 34..<58: .malformed(.short(.nonce))
                case 58..<74: .malformed(.short(.tag))
                default: .tag(signer: a.publicKey)
                }
            #expect(refusal(Array(datagram.prefix(count)), from: a.address, to: c) == expected, "\(count) bytes")
        }
        #expect(refusal(datagram + [0], from: a.address, to: c) == .tag(signer: a.publicKey))
        let more = datagram + [UInt8](repeating: 0, count: 2424 - datagram.count)
        #expect(refusal(more, from: a.address, to: c) == .tag(signer: a.publicKey))
        #expect(refusal(more + [0], from: a.address, to: c) == .tooLong(2425))
    }

    /// What A says to C.
    private func said(_ facts: [UInt8]) throws -> [UInt8] {
        var (signer, dice) = (a.signer, Dice(seed: 5))
        return try signer.datagram(of: facts, for: c.publicKey, using: &dice)
    }

    @Test("An empty one is one, of 74 bytes")
    func empty() throws {
        let datagram = try said([])
        #expect(datagram.count == 74)
        let receiver = c.signer
        #expect(try receiver.facts(in: datagram.span, from: a.address).facts == [])
    }

    @Test("More than 1500 bytes of facts are read")
    func long() throws {
        let facts = [Fact](repeating: Fact(a.publicKey, bootOfA), count: 30)
        let bytes = facts.flatMap(\.encoded)
        #expect(bytes.count > 1500)
        let datagram = try said(bytes)
        let receiver = c.signer
        #expect(try receiver.facts(in: datagram.span, from: a.address).facts == facts)
    }

    @Test("One bad fact takes the others with it, with a good tag as well")
    func badFacts() throws {
        let good = Fact(a.publicKey, bootOfA).encoded
        let key = hexadecimal(b.publicKey.bytes)
        let bad: [([UInt8], MalformedFact)] = [
            (fromHex("5300" + key), .nestedGroup),
            (recorded[1].datagram, .nestedGroup),
            (fromHex("0000" + key), .legacyPing),
            (fromHex("ff"), .unknownAttribute(0xff)),
            (fromHex("7a00" + key), .unknownAttribute(0x7a)),
            (fromHex("6d808004" + key), .timeToLive(65536)),
            (Array(good.dropLast()), .short(.value)),
            (fromHex("6d"), .short(.timeToLive)),
        ]
        for (bytes, reason) in bad {
            for facts in [good + bytes, bytes] {
                let datagram = try said(facts)
                #expect(refusal(datagram, from: a.address, to: c) == .facts(signer: a.publicKey, reason))
            }
        }
    }

    @Test("A fact in no group is not believed, and what is no fact is none")
    func unsigned() {
        for (fact, bytes) in vectors {
            #expect(refusal(bytes, from: c.address, to: a) == .unsigned(fact))
            #expect(refusal(bytes + [0x6d], from: c.address, to: a) == .malformed(.trailingBytes(1)))
            #expect(refusal(Array(bytes.dropLast()), from: c.address, to: a) != nil)
        }
        #expect(refusal([0], from: c.address, to: a) == .malformed(.legacyPing))
        #expect(refusal([0xff], from: c.address, to: a) == .malformed(.unknownAttribute(0xff)))
        #expect(refusal(fromHex("53808004"), from: c.address, to: a) == .malformed(.timeToLive(65536)))
    }

    @Test("Whom nobody has introduced is neither heard nor told anything")
    func stranger() throws {
        var (receiver, dice) = (c.signer, Dice(seed: 6))
        let datagram = try a.signer.datagram(of: [], for: c.publicKey, using: &dice)
        _ = try receiver.facts(in: datagram.span, from: a.address)
        receiver.remove(a.publicKey)
        #expect(throws: RefusedDatagram.stranger(a.publicKey)) {
            try receiver.facts(in: datagram.span, from: a.address)
        }
        #expect(throws: NoSecret.self) { try receiver.datagram(of: [], for: a.publicKey, using: &dice) }
    }

    @Test("No two have the same nonce")
    func nonces() throws {
        let signer = a.signer
        var random = SystemRandomNumberGenerator()
        let datagrams = try (0..<100).map { _ in try signer.datagram(of: [], for: c.publicKey, using: &random) }
        #expect(Set(datagrams.map { Array($0[34..<58]) }).count == 100)
        for datagram in datagrams { #expect(refusal(datagram, from: a.address, to: c) == nil) }
    }
}
