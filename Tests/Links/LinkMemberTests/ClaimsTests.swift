import LinkFacts
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

@Suite("What was heard") struct ClaimsTests {
    private let until = Claim.Hold.until(beginning + .seconds(255))
    private let standing = Claims.Standing(limit: FactLimits.factsOfRouter, isPeer: true)

    private func say(
        _ claims: inout Claims,
        _ subject: Int,
        _ statement: Fact.Statement,
        from source: Int,
        _ hold: Claim.Hold? = nil,
        limit: Int = FactLimits.factsOfRouter,
        isPeer: Bool = true,
        at now: MonotonicTime = beginning
    ) -> Claims.Outcome {
        claims.take(
            Fact(key(subject), statement),
            from: key(source),
            hold ?? until,
            Claims.Standing(limit: limit, isPeer: isPeer),
            at: now
        ) { $0 == key(subject) ? 0 : $0 == key(100) ? 1 : 2 }
    }

    @Test("What two say stands twice, and each takes back its own")
    func sources() {
        var claims = Claims()
        #expect(say(&claims, 1, .at("192.0.2.1:7"), from: 2) == .changed)
        #expect(say(&claims, 1, .at("192.0.2.1:7"), from: 3) == .changed)
        #expect(claims[key(1)].map(\.source) == [key(2), key(3)])
        let ends = [1, 2].map { _ in claims.withdraw(Fact(key(1), .at("192.0.2.1:7"), 0), from: key(2)) }
        #expect(ends == [true, false])
        #expect(claims[key(1)].map(\.source) == [key(3)])
        #expect(claims.forget(key(3)) == [key(1)])
        #expect(claims.subjects.isEmpty)
        #expect(claims.size(of: key(2)) == 0 && claims.size(of: key(3)) == 0)
    }

    @Test("Each source has its own times; the later one stays")
    func times() {
        var claims = Claims()
        _ = say(&claims, 1, .member, from: 2, .until(beginning + .seconds(100)))
        #expect(say(&claims, 1, .member, from: 2, .until(beginning + .seconds(90))) == .known)
        _ = say(&claims, 1, .member, from: 3, .until(beginning + .seconds(200)))
        #expect(claims.expire(at: beginning + .seconds(95)).isEmpty)
        #expect(claims.expire(at: beginning + .seconds(99)).isEmpty)
        #expect(claims.expire(at: beginning + .seconds(100)).map(\.claim.source) == [key(2)])
        #expect(claims[key(1)].map(\.source) == [key(3)])
        #expect(claims.nextExpiry == beginning + .seconds(200))
    }

    @Test("What lasts does not expire, and fades when its source begins anew")
    func lasting() {
        var claims = Claims()
        _ = say(&claims, 1, .member, from: 2, .lasting(.observed))
        _ = say(&claims, 1, .at("192.0.2.1:7"), from: 2, .lasting(.own))
        #expect(claims.nextExpiry == nil)
        #expect(claims.fade(key(2), until: beginning + .seconds(30)) == [key(1)])
        // It is said again, and lasts again.
        #expect(say(&claims, 1, .member, from: 2, .lasting(.observed)) == .changed)
        let expired = claims.expire(at: beginning + .seconds(30))
        #expect(expired.map(\.claim.statement) == [.at("192.0.2.1:7")])
        #expect(claims[key(1)].map(\.hold) == [.lasting(.observed)])
    }

    @Test("Of alive facts the last one counts")
    func alive() {
        var claims = Claims()
        #expect(say(&claims, 1, .boot(1), from: 2) == .changed)
        #expect(say(&claims, 1, .boot(1), from: 2) == .known)
        #expect(say(&claims, 1, .boot(2), from: 2) == .changed)
        #expect(claims[key(1)].map(\.statement) == [.boot(2)])
    }

    @Test("A source has room for so much, and another one for as much")
    func quota() {
        var claims = Claims()
        for number in 0..<FactLimits.factsOfMember {
            #expect(
                say(
                    &claims,
                    number / 60,
                    .from("10.\(number / 250).\(number % 250).0/24"),
                    from: 500,
                    limit: FactLimits.factsOfMember
                ) == .changed
            )
        }
        #expect(claims.size(of: key(500)) == FactLimits.factsOfMember)
        #expect(say(&claims, 1, .from("11.0.0.0/24"), from: 500, limit: FactLimits.factsOfMember) == .tooMuch)
        // What it has, it may say again; and what it takes back makes room.
        #expect(say(&claims, 0, .from("10.0.0.0/24"), from: 500, limit: FactLimits.factsOfMember) == .known)
        _ = claims.withdraw(Fact(key(0), .from("10.0.0.0/24"), 0), from: key(500))
        #expect(say(&claims, 1, .from("11.0.0.0/24"), from: 500, limit: FactLimits.factsOfMember) == .changed)
        #expect(say(&claims, 1, .from("11.0.0.0/24"), from: 501, limit: FactLimits.factsOfMember) == .changed)
    }

    @Test("A long fact counts for as many as it is long, and none is longer than a datagram")
    func longFacts() throws {
        func name(_ total: Int) throws -> Fact.Statement {
            // 1 + 1 + 32 before the metadata, its length, 'n', and the length of the name.
            let bytes = total - 34 - (total > 34 + 1 + 1 + 1 + 127 ? 5 : 3)
            let statement = Fact.Statement.member(String(repeating: "x", count: bytes))
            try #require(Fact(key(1), statement, 0).encodedLength == total)
            return statement
        }
        var claims = Claims()
        #expect(say(&claims, 1, try name(64), from: 2) == .changed)
        #expect(claims.size(of: key(2)) == 1)
        #expect(say(&claims, 3, try name(65), from: 2) == .changed)
        #expect(claims.size(of: key(2)) == 3)
        // The time to live takes one byte more.
        #expect(say(&claims, 4, try name(FactLimits.longestFact - 1), from: 2) == .changed)
        #expect(claims.size(of: key(2)) == 3 + 18)
        #expect(say(&claims, 5, try name(FactLimits.longestFact), from: 2) == .tooMuch)
    }

    @Test("So many machines, beside the peers of the device")
    func subjects() {
        var claims = Claims()
        for number in 0..<FactLimits.subjects {
            #expect(say(&claims, number, .member, from: 5000, isPeer: false) == .changed)
        }
        #expect(say(&claims, 4000, .member, from: 5000, isPeer: false) == .tooMuch)
        #expect(say(&claims, 0, .at("192.0.2.1:7"), from: 5000, isPeer: false) == .changed)
        #expect(say(&claims, 4000, .member, from: 5000, isPeer: true) == .changed)
    }

    @Test("One claimant names so many endpoints, and a new one displaces its own that are older than a round")
    func endpointsOfClaimant() {
        var claims = Claims()
        for port in 1...FactLimits.endpointsOfClaimant {
            let now = beginning + .seconds(Int64(port))
            #expect(say(&claims, 1, .at("192.0.2.1:\(port)"), from: 2, at: now) == .changed)
        }
        func ports() -> Set<UInt16> {
            Set(
                claims[key(1)].compactMap {
                    if case .endpoint(let endpoint) = $0.statement { endpoint.port } else { nil }
                }
            )
        }
        // The oldest was said five seconds ago, and then four.
        #expect(say(&claims, 1, .at("192.0.2.1:99"), from: 2, at: beginning + .seconds(5)) == .tooMuch)
        #expect(say(&claims, 1, .at("192.0.2.1:99"), from: 2, at: beginning + .seconds(6)) == .changed)
        #expect(ports() == [2, 3, 4, 5, 6, 7, 8, 99])
        #expect(claims.size(of: key(2)) == 8)
    }

    @Test("So many endpoints in all: who says more makes way, and who counts less")
    func endpoints() {
        var claims = Claims()
        func fill(_ source: Int, _ count: Int) {
            for port in 1...count { _ = say(&claims, 1, .at("192.0.2.\(source):\(port)"), from: source) }
        }
        func count(_ source: Int) -> Int { claims[key(1)].count { $0.source == key(source) } }
        for source in [10, 11, 12, 13] { fill(source, 8) }
        #expect(claims[key(1)].count == FactLimits.endpoints)
        // Others who say little take from those who say much, down to the same share.
        fill(14, 8)
        #expect([10, 11, 12, 13, 14].map(count).reduce(0, +) == FactLimits.endpoints)
        #expect([10, 11, 12, 13, 14].map(count).sorted() == [6, 6, 6, 7, 7])
        // A router's word counts more, and its own word the most.
        fill(100, 8)
        #expect(count(100) == 8)
        fill(1, 8)
        #expect(count(1) == 8 && count(100) == 8)
        #expect(claims[key(1)].count == FactLimits.endpoints)
        // Nobody displaces these.
        fill(15, 8)
        #expect(count(1) == 8 && count(100) == 8)
        #expect(claims[key(1)].count == FactLimits.endpoints)
    }

    @Test("So many allowed IPs and so much metadata of one machine")
    func others() {
        var claims = Claims()
        for number in 0..<FactLimits.allowedIPsOfClaimant {
            #expect(say(&claims, 1, .from("10.0.\(number).0/24"), from: 2) == .changed)
        }
        #expect(say(&claims, 1, .from("10.1.0.0/24"), from: 2) == .tooMuch)
        #expect(say(&claims, 1, .from("10.1.0.0/24"), from: 3) == .changed)
        for number in 0..<FactLimits.metadataOfClaimant {
            #expect(say(&claims, 1, .member("name\(number)"), from: 2) == .changed)
        }
        #expect(say(&claims, 1, .plainMember, from: 2) == .tooMuch)
        #expect(say(&claims, 1, .plainMember, from: 3) == .changed)
    }
}
