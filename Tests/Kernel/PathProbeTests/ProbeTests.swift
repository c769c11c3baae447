import Keys
import NetworkAddresses
@testable import PathProbe
import SourceLimits
import Testing
import WireGuardTypes

@Suite struct `Probe on the wire` {
    /// By a program in Python, with hashlib's BLAKE2b and an XChaCha20-Poly1305 of its own: a request of A with nonce
    /// 40…57, and answers of B.
    private let request = fromHex(
        "6b787031404142434445464748494a4b4c4d4e4f5051525354555657742ba2d558a70d2fdea09b781b99b22423ed329b5e6a98982f913ced"
            + "68c9199cd4e08c47a3b8e22e661dbf595e97cba2766eaa0f6d04654e976bcd087a4bebb6"
    )
    private let v4Answer = fromHex(
        "6b787031606162636465666768696a6b6c6d6e6f7071727374757677e1b0d4403369058d72e3cb5be0ee2e4d2c87ce9339cdb8fc4556a3d3"
            + "0d887aa4b7eab40923bbb1df909d3fa28716a532e9b5e5001c28d7931adc60b558ed1d36"
    )
    private let v6Answer = fromHex(
        "6b787031808182838485868788898a8b8c8d8e8f909192939495969772d1e815632270159083dcbcfeb89046ecd9e3f48f5dc159bb6353bc"
            + "9500580c965b16b5ef5ff3dd681b399b5906d9dd5ad2df105c5769f5c6861ae70c100b30"
    )

    @Test func `another implementation's are understood`() throws {
        var couple = Couple()
        let answer = try couple.answer(to: request, from: "203.0.113.9:51820")
        #expect(couple.request().counter == 1)
        let observed = try #require(Endpoint("203.0.113.9:51820"))
        let expected = ProbeTable.Event.answer(from: key(64), counter: 1, observed: observed)
        for answer in [answer, v4Answer] {
            var asker = couple.a
            #expect(try asker.read(answer.span, from: observed, at: after(.zero)) == expected)
        }
        #expect(
            try couple.a.read(v6Answer, from: "192.0.2.1:7")
                == .answer(from: key(64), counter: 1, observed: Endpoint("[2001:db8::9]:51820"))
        )
        #expect(answer.count == Probe.length && request.count == Probe.length)
    }

    @Test(arguments: [nil, "192.0.2.1:0", "255.255.255.255:65535", "[::]:0", "[2001:db8::1]:51820", "[fe80::1]:1"])
    func `an endpoint comes back`(text: String?) {
        let probe = Probe(kind: .answer, boot: 1 << 63, counter: .max, observed: text.map { Endpoint($0)! })
        #expect(Probe(body: probe.body) == probe)
    }

    @Test func `an address has one spelling`() {
        let mapped = Endpoint.v6(IPv6Address(mapping: IPv4Address("192.0.2.1")!), port: 5)
        #expect(Probe(kind: .answer, boot: 0, counter: 1, observed: mapped).observed == Endpoint("192.0.2.1:5"))
        let scoped = Endpoint.v6(IPv6Address("fe80::1")!, port: 5, scope: 3)
        #expect(Probe(kind: .answer, boot: 0, counter: 1, observed: scoped).observed == Endpoint("[fe80::1]:5"))
        let good = Probe(kind: .request, boot: 1, counter: 1).body
        func changed(_ changes: [Int: UInt8]) -> [UInt8] {
            var body = good
            for (index, byte) in changes { body[index] = byte }
            return body
        }
        #expect(Probe(body: good) != nil)
        #expect(Probe(body: changed([0: 0])) == nil && Probe(body: changed([0: 3])) == nil, "kind")
        #expect(Probe(body: changed([17: 5])) == nil, "family")
        #expect(Probe(body: changed([33: 1])) == nil && Probe(body: changed([35: 1])) == nil, "none, and yet one")
        #expect(Probe(body: changed([17: 4])) != nil && Probe(body: changed([17: 4, 22: 1])) == nil, "behind an IPv4")
        #expect(Probe(body: changed([17: 6, 28: 0xff, 29: 0xff])) == nil, "IPv4 as IPv6")
        #expect(Probe(body: Array(good.dropLast())) == nil && Probe(body: good + [0]) == nil)
    }

    @Test func `each changed byte is noticed`() throws {
        var couple = Couple()
        for index in request.indices {
            var other = request
            other[index] ^= 1
            let refusal: RefusedProbe =
                switch index {
                case ..<4: .notAProbe
                case ..<36: .gate
                case ..<40: .unknown
                default: .notAuthentic
                }
            #expect(throws: refusal, "byte \(index)") { try couple.b.read(other, from: "192.0.2.1:7") }
        }
        #expect(throws: RefusedProbe.notAProbe) { try couple.b.read(request + [0], from: "192.0.2.1:7") }
        #expect(throws: RefusedProbe.notAProbe) { try couple.b.read([], from: "192.0.2.1:7") }
        #expect(try couple.b.read(request, from: "192.0.2.1:7") != .request(from: key(32), answer: nil))
    }
}

@Suite struct `Probes of all pairs` {
    @Test func `a request is taken once, and so is its answer`() throws {
        var couple = Couple()
        let request = couple.request().datagram
        let answer = try couple.answer(to: request)
        #expect(throws: RefusedProbe.replayed(key(32))) { try couple.b.read(request, from: "192.0.2.1:7") }
        #expect(throws: Never.self) { try couple.a.read(answer, from: "192.0.2.2:7") }
        #expect(throws: RefusedProbe.notAsked(key(64))) { try couple.a.read(answer, from: "192.0.2.2:7") }
    }

    @Test func `answers may come in any order, to the last 512 requests`() {
        var awaited = AwaitedAnswers()
        func take(_ counter: UInt64) -> Bool { awaited.take(counter) }
        #expect(!take(0) && !take(1))
        for counter in 1...1000 as ClosedRange<UInt64> { #expect(awaited.next() == counter) }
        #expect(!take(488) && take(489) && !take(489) && take(1000) && !take(1001) && !take(.max))
        #expect((490...999).allSatisfy { take($0) } && !(1...1000).contains { take($0) })
        #expect(awaited.next() == 1001 && take(1001))
    }

    @Test func `one pair asks 128 times at once at places that never answered, and keeps no other from asking`() {
        var table = ProbeTable(own: key(64), boot: 1)
        for number in 1...20 { _ = table.add(key(UInt8(number)), secret: Couple.secret) }
        func ask(_ number: Int, _ place: Int, after milliseconds: Int = 0) -> Bool {
            let endpoint = Endpoint.v4(IPv4Address(value: 0x0B00_0000 + UInt32(number * 1000 + place)), port: 1)
            return table.request(to: key(UInt8(number)), at: endpoint, now: after(.milliseconds(milliseconds))) != nil
        }
        let atOnce = (0..<200).filter { ask(1, $0) }.count
        #expect(atOnce == 128)
        let (isEarly, isInTime) = (ask(1, 200, after: 499), ask(1, 201, after: 500))
        #expect(!isEarly && isInTime)
        // The first 96 of each pair have 500 of their own, and who has had his goes on with the others.
        let counts = (2...20).map { number in (0..<200).filter { ask(number, $0, after: 500) }.count }
        #expect(counts.reduce(0, +) == 500 + 5 * 32)
        // And 200 a second.
        let (next, tooMany) = (ask(15, 300, after: 505), ask(15, 301, after: 505))
        #expect(next && !tooMany)
    }

    @Test func `a pair that comes back goes on with its numbers`() {
        var couple = Couple()
        let last = couple.request().counter
        couple.a.remove(key(64))
        #expect(couple.a.request(to: key(64), at: nil, now: after(.zero)) == nil)
        _ = couple.a.add(key(64), secret: Couple.secret)
        #expect(couple.request().counter == last + 1)
    }

    @Test func `what is sent again is counted as a stranger's`() throws {
        var couple = Couple()
        let request = couple.request().datagram
        _ = try couple.answer(to: request)
        for _ in 0..<100 {
            #expect(throws: RefusedProbe.replayed(key(32))) { try couple.b.read(request, from: "198.51.100.1:7") }
        }
        #expect(throws: RefusedProbe.tooMany) { try couple.b.read(request, from: "198.51.100.1:7") }
    }

    @Test func `nothing is reflected, and nothing is for somebody else`() throws {
        var couple = Couple()
        let request = couple.request().datagram
        // A's gate is another one.
        #expect(throws: RefusedProbe.gate) { try couple.a.read(request, from: "192.0.2.1:7") }
        var stranger = ProbeTable(own: key(64), boot: 1)
        #expect(throws: RefusedProbe.unknown) { try stranger.read(request, from: "192.0.2.1:7") }
    }

    @Test func `an answer is of this start, and to something asked`() throws {
        var couple = Couple()
        let request = couple.request().datagram
        let answer = try couple.answer(to: request)
        var again = ProbeTable(own: key(32), boot: 12)
        _ = again.add(key(64), secret: Couple.secret)
        _ = again.request(to: key(64), at: nil, now: after(.zero))
        #expect(throws: RefusedProbe.notAsked(key(64))) { try again.read(answer, from: "192.0.2.2:7") }
        // The same start that has asked nothing: whoever has the key may say what he likes.
        var fresh = ProbeTable(own: key(32), boot: 11)
        _ = fresh.add(key(64), secret: Couple.secret)
        #expect(throws: RefusedProbe.notAsked(key(64))) { try fresh.read(answer, from: "192.0.2.2:7") }
        let keys = ProbeKeys(own: key(64), other: key(32), secret: Couple.secret)
        let invented = keys.datagram(of: Probe(kind: .answer, boot: 11, counter: 0))
        #expect(throws: RefusedProbe.notAsked(key(64))) { try fresh.read(invented, from: "192.0.2.2:7") }
    }

    @Test func `a pair gets 20 answers at once, and 20 a second`() throws {
        var couple = Couple()
        func answers(_ count: Int, at now: Duration) throws -> Int {
            try (0..<count).count { _ in
                let request = couple.request(at: after(now)).datagram
                return try couple.b.read(request, from: "192.0.2.1:7", at: after(now))
                    != .request(from: key(32), answer: nil)
            }
        }
        #expect(try answers(25, at: .zero) == 20)
        #expect(try answers(5, at: .milliseconds(49)) == 0)
        #expect(try answers(5, at: .milliseconds(50)) == 1)
        #expect(try answers(40, at: .seconds(2)) == 20)
    }

    @Test func `strangers are looked at 100 times at once, and keep nobody out who is known`() throws {
        var couple = Couple()
        let early = couple.request().datagram
        let late = couple.request().datagram
        #expect(throws: Never.self) { try couple.b.read(couple.request().datagram, from: "192.0.2.1:7") }
        var stranger = ProbeTable(own: key(96), boot: 1)
        _ = stranger.add(key(64), secret: SharedSecret(bytes: 1...32)!)
        let forged = stranger.request(to: key(64), at: nil, now: after(.zero))!.datagram
        for _ in 0..<100 {
            #expect(throws: RefusedProbe.unknown) { try couple.b.read(forged, from: "198.51.100.1:7") }
        }
        #expect(throws: RefusedProbe.tooMany) { try couple.b.read(forged, from: "198.51.100.1:7") }
        #expect(throws: RefusedProbe.tooMany) { try couple.b.read(early, from: "192.0.2.9:7") }
        #expect(throws: Never.self) { try couple.b.read(early, from: "192.0.2.1:7") }
        #expect(throws: RefusedProbe.unknown) {
            try couple.b.read(forged, from: "198.51.100.1:7", at: after(.milliseconds(10)))
        }
        #expect(throws: Never.self) { try couple.b.read(late, from: "192.0.2.9:7", at: after(.milliseconds(20))) }
    }

    /// How many requests of so many are made.
    private func requests(_ couple: inout Couple, _ places: [Endpoint?], at now: Duration) -> Int {
        places.count { couple.a.request(to: key(64), at: $0, now: after(now)) != nil }
    }

    @Test func `a pair asks unproven places 128 times at once, and 2 a second, and others as often as it likes`() {
        var couple = Couple()
        let places = (0..<501).map { Endpoint("10.0.\($0 / 100).\($0 % 100 + 1):7") }
        #expect(requests(&couple, places, at: .zero) == 128)
        #expect(requests(&couple, (1...3).map { Endpoint("10.9.9.\($0):7") }, at: .milliseconds(500)) == 1)
        #expect(requests(&couple, [nil, nil, nil], at: .milliseconds(500)) == 3)
    }

    @Test func `a place that never answered is asked 16 times at once, and 6 times a minute`() {
        var couple = Couple()
        let place = Endpoint("192.0.2.1:7")
        #expect(requests(&couple, Array(repeating: place, count: 100), at: .zero) == 16)
        #expect(requests(&couple, Array(repeating: place, count: 100), at: .seconds(59)) == 5)
        #expect(requests(&couple, Array(repeating: nil, count: 100), at: .seconds(59)) == 100)
    }

    @Test func `all ports of an address are asked 128 times at once, and once a second`() {
        var couple = Couple()
        let places = (1...200).map { Endpoint("192.0.2.1:\($0)") }
        #expect(requests(&couple, places, at: .zero) == 128)
        #expect(requests(&couple, places.reversed(), at: .seconds(10)) == 10)
        #expect(requests(&couple, [Endpoint("192.0.2.2:7")], at: .seconds(10)) == 1)
    }

    @Test func `of so many places as are remembered, others are not asked for a while`() {
        var destinations = Destinations()
        func place(_ number: Int) -> Endpoint { Endpoint("10.\(number >> 16).\(number >> 8 & 255).\(number & 255):7")! }
        let taken = (0...Destinations.maximum).map { destinations.take(place($0), at: after(.zero)) }
        #expect(taken.count { $0 } == Destinations.maximum && taken.last == false)
        let known = destinations.take(place(0), at: after(.zero))
        let later = destinations.take(place(Destinations.maximum), at: after(.seconds(20)))
        #expect(known && later)
        #expect(destinations.count <= Destinations.maximum)
    }

    @Test func `there are as many pairs as the limit says`() throws {
        var table = ProbeTable(own: key(32), boot: 1)
        func name(_ number: Int) -> PublicKey {
            let bytes = [UInt8](repeating: 7, count: 30) + [UInt8(number >> 8), UInt8(number & 255)]
            return PublicKey(bytes: bytes.span)!
        }
        func add(_ number: Int) -> Bool { table.add(name(number), secret: Couple.secret) }
        func asks(_ number: Int) -> Bool { table.request(to: name(number), at: nil, now: after(.zero)) != nil }
        for number in 0..<ProbeTable.maximumPairs { #expect(add(number)) }
        #expect(!add(5000))
        #expect(add(0), "that one is there")
        table.remove(name(0))
        table.remove(name(0))
        #expect(!asks(0) && asks(4095))
        #expect(add(5000) && table.members.count == ProbeTable.maximumPairs)
    }

    @Test func `places are remembered in bounded memory, the recent ones longest`() {
        var sources = KnownSources()
        func place(_ number: Int) -> Endpoint { .v4(IPv4Address(value: UInt32(number)), port: 1) }
        for number in 0...ProbeTable.maximumSources { sources.remember(key(1), at: place(number)) }
        #expect(sources.count <= ProbeTable.maximumSources)
        #expect(sources[place(0)] == nil && sources[place(ProbeTable.maximumSources)] == key(1))
        #expect(sources[place(ProbeTable.maximumSources / 2)] == key(1))
    }
}
