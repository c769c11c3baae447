import NetworkAddresses
import Testing

@testable import SourceLimits

@Suite("A bucket of tokens") struct TokenBucketTests {
    private let size = TokenBucket.Size(burst: 3, interval: .seconds(2))

    @Test("gives its burst at once, then one for each interval")
    func pace() {
        var bucket = TokenBucket()
        let start = Duration.seconds(1000)
        let first = (0..<5).map { _ in bucket.take(size, at: start) }
        #expect(first == [true, true, true, false, false])
        #expect(bucket.take(size, at: start + .milliseconds(1999)) == false)
        #expect(bucket.take(size, at: start + .seconds(2)) == true)
        #expect(bucket.take(size, at: start + .seconds(2)) == false)
        #expect(!bucket.isFull(at: start + .milliseconds(7999)))
        #expect(bucket.isFull(at: start + .seconds(8)))
        let again = (0..<4).map { _ in bucket.take(size, at: start + .seconds(100)) }
        #expect(again == [true, true, true, false])
    }

    @Test("that was never used is full at the machine's first second too")
    func beginning() {
        var bucket = TokenBucket()
        #expect(bucket.isFull(at: .zero))
        let taken = (0..<4).map { _ in bucket.take(size, at: .zero) }
        #expect(taken == [true, true, true, false])
    }
}

@Suite("Several tokens at once") struct TokenCountTests {
    private let size = TokenBucket.Size(burst: 10, interval: .seconds(1))

    @Test("are taken all or not at all")
    func several() {
        var bucket = TokenBucket()
        func take(_ count: UInt64, at seconds: Int64) -> Bool { bucket.take(size, count: count, at: .seconds(seconds)) }
        #expect(take(7, at: 0) && !take(4, at: 0) && take(3, at: 0) && !take(1, at: 0))
        #expect(!take(3, at: 2) && take(2, at: 2))
        #expect(!take(11, at: 1000) && !take(.max, at: 1000) && take(10, at: 1000))
    }
}

@Suite("Limits of sources") struct SourceLimitsTests {
    private let share = SourceLimits.Share(burst: 2, interval: .seconds(30), atOnce: 3)
    private let now = Duration.seconds(5000)

    private func address(_ text: String) -> IPv6Address {
        IPv4Address(text).map(IPv6Address.init(mapping:)) ?? IPv6Address(text)!
    }

    @Test("are there for every address: none means anything special", arguments: ["::", "0.0.0.0", "::1", "ff02::1"])
    func special(text: String) {
        var limits = SourceLimits(of: share)
        let source = address(text)
        #expect(!limits.isUnlimited(source))
        #expect(limits.isFresh(source, at: now))
        #expect((0..<5).map { _ in limits.take(from: source, at: now) } == [true, true, false, false, false])
        #expect(!limits.isFresh(source, at: now))
    }

    @Test(
        "An IPv4 address is a source, and so is an IPv6 /64, a link as well",
        arguments: [
            ("fe80::1", "fe80::1", true), ("fe80::1", "fe80::2", true), ("fe80::1", "2001:db8::1", false),
            ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8::1", "2001:db8::ffff:2", true), ("2001:db8::1", "2001:db8:0:1::1", false),
            ("192.0.2.1", "::c000:201", false),
        ]
    )
    func sources(first: String, second: String, isSame: Bool) {
        var limits = SourceLimits(of: share)
        #expect(limits.take(from: address(first), at: now) == true)
        #expect(limits.isFresh(address(second), at: now) == !isSame || first.contains(":"))
        #expect(limits.take(from: address(first), at: now) == true)
        #expect(limits.take(from: address(first), at: now) == false)
        #expect(limits.take(from: address(second), at: now) == !isSame)
    }

    @Test("All of a link are one source, however many addresses they have and whatever they write into them")
    func link() {
        let share = SourceLimits.Share(burst: 2, interval: .seconds(30), atOnce: 3, linkFactor: 4)
        var limits = SourceLimits(of: share)
        func neighbour(_ number: UInt64, on interface: UInt32 = 7) -> IPv6Address {
            // RFC 4291 has zeros between the prefix and the identifier; the kernel does not insist.
            IPv6Address(high: 0xfe80 << 48 | number << 20 | number, low: number).scoped(to: interface)
        }
        let begun = (0..<20).map { limits.begin(from: neighbour($0), at: now) }
        #expect(begun.prefix(8).allSatisfy { $0 == .welcome })
        #expect(begun[8..<12].allSatisfy { $0 == .tooFast })
        #expect(begun.suffix(8).allSatisfy { $0 == .tooMany })
        #expect(limits.begin(from: neighbour(1, on: 8), at: now) == .welcome)
        limits.end(from: neighbour(99))
        #expect(limits.begin(from: neighbour(98), at: now + .seconds(30)) == .welcome)
        #expect(SourceLimits.home(of: neighbour(1)) == SourceLimits.home(of: neighbour(2)))
        #expect(SourceLimits.home(of: neighbour(1)) != SourceLimits.home(of: neighbour(1, on: 8)))
        limits.unlimited = [IPPrefix("fe80::/64")!]
        #expect(limits.isUnlimited(neighbour(1)))
    }

    @Test("500 routers of a mesh ask twice each through the tunnel when their power is back, 500 of them at once")
    func powerCut() {
        var limits = SourceLimits(of: .exchanges)
        for _ in 0..<2 {
            let routers = (0..<500).map { IPv6Address(high: 0xfe80 << 48, low: $0).scoped(to: 3) }
            for router in routers { #expect(limits.begin(from: router, at: now) == .welcome) }
            for router in routers { limits.end(from: router) }
        }
    }

    @Test("All of a /48 have eight times the tokens of one /64")
    func wide() {
        var limits = SourceLimits(of: share)
        let taken = (0..<100).map { limits.take(from: address("2001:db8:0:\($0)::1"), at: now) }
        #expect(taken == (0..<100).map { $0 < 16 })
        #expect(limits.take(from: address("2001:db8:1::1"), at: now) == true)
        // 30 s are one token for a /64, and eight for the /48.
        let later = (100..<200).map { limits.take(from: address("2001:db8:0:\($0)::1"), at: now + .seconds(30)) }
        #expect(later == (0..<100).map { $0 < 8 })
    }

    @Test("All of a /48 have eight times as many at a time")
    func wideAtOnce() {
        var limits = SourceLimits(of: SourceLimits.Share(burst: 1000, interval: .seconds(1), atOnce: 3))
        let begun = (0..<30).map { limits.begin(from: address("2001:db8:0:\($0)::1"), at: now) }
        #expect(begun == (0..<30).map { $0 < 24 ? .welcome : .tooMany })
        limits.end(from: address("2001:db8:0:1::1"))
        #expect(limits.begin(from: address("2001:db8:0:77::1"), at: now) == .welcome)
        #expect(limits.begin(from: address("2001:db8:0:78::1"), at: now) == .tooMany)
    }

    @Test("What lasts is counted until it ends, whether there was a token or not")
    func atOnce() {
        var limits = SourceLimits(of: share)
        let source = address("192.0.2.1")
        let begun = (0..<5).map { _ in limits.begin(from: source, at: now) }
        #expect(begun == [.welcome, .welcome, .tooFast, .tooMany, .tooMany])
        limits.end(from: source)
        #expect(limits.begin(from: source, at: now) == .tooFast)
        #expect(limits.begin(from: source, at: now) == .tooMany)
        for _ in 0..<3 { limits.end(from: source) }
        #expect(limits.begin(from: source, at: now + .seconds(60)) == .welcome)
    }

    @Test("A source without limit has none, and is nothing new")
    func unlimited() {
        var limits = SourceLimits(of: share, unlimited: [IPPrefix("10.0.0.0/8")!, IPPrefix("2001:db8::/32")!])
        for source in ["10.1.2.3", "2001:db8:7::1"].map(address) {
            let taken = (0..<50).map { _ in limits.take(from: source, at: now) }
            let begun = (0..<50).map { _ in limits.begin(from: source, at: now) }
            #expect(Set(taken) == [true])
            #expect(Set(begun) == [.unlimited])
            #expect(!limits.isFresh(source, at: now))
        }
        #expect(limits.isFresh(address("11.0.0.1"), at: now))
    }

    @Test("A source that comes among more than the table holds is limited all the same")
    func crowded() {
        var limits = SourceLimits(of: share, slots: 64)
        let source = address("192.0.2.1")
        let begun = (0..<2).map { _ in limits.begin(from: source, at: now) }
        #expect(begun == [.welcome, .welcome])
        // Others take every place but those that are held.
        for number in 0..<10_000 {
            _ = limits.take(from: IPv6Address(mapping: IPv4Address(value: UInt32(number))), at: now)
        }
        #expect(limits.begin(from: source, at: now) == .tooFast)
        for _ in 0..<3 { limits.end(from: source) }
    }

    @Test("When all places of a source are held by others, it is let in without being counted")
    func held() {
        var limits = SourceLimits(of: share, slots: 4)
        let sources = (1...5).map { address("192.0.2.\($0)") }
        let begun = sources.map { limits.begin(from: $0, at: now) }
        #expect(begun == [.welcome, .welcome, .welcome, .welcome, .unlimited])
        let wide = limits.begin(from: IPv6Address("2001:db8::1")!, at: now)
        #expect(wide == .unlimited)
        #expect(limits.take(from: sources[4], at: now) == false)
        limits.end(from: sources[0])
        #expect(limits.begin(from: sources[4], at: now) == .welcome)
    }

    @Test("An IPv6 source whose /48 finds no place is not counted by halves")
    func heldWide() {
        var limits = SourceLimits(of: share, slots: 4)
        let sources = (1...3).map { address("192.0.2.\($0)") }
        for source in sources { _ = limits.begin(from: source, at: now) }
        #expect(limits.begin(from: IPv6Address("2001:db8::1")!, at: now) == .unlimited)
        // The one place left is free again.
        #expect(limits.begin(from: address("192.0.2.4"), at: now) == .welcome)
    }

    @Test("Memory is taken for the parts of the table that are used, and each slot is there in every part")
    func parts() {
        var limits = SourceLimits(of: SourceLimits.Share(burst: 1, interval: .seconds(1000)))
        let sources = (0..<3000).map { IPv6Address(mapping: IPv4Address(value: UInt32($0))) }
        let first = sources.count { limits.take(from: $0, at: now) }
        let second = sources.count { limits.take(from: $0, at: now) }
        #expect(first == 3000)
        // Some share a set with four others.
        #expect(second < 30)
    }
}
