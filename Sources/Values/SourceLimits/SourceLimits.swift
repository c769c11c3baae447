public import NetworkAddresses

/// What each source of the internet may ask for, in memory that does not grow however many sources there are.
///
/// A source is an IPv4 address or an IPv6 /64, because that is what one home has. IPv6 has a second limit for each /48,
/// which is what one customer may get: ``wideFactor`` times as much. All link-local addresses of one link are one
/// source, because a neighbour there can have any number of them; see ``Share/linkFactor`` for the routers of a mesh,
/// which ask from there too.
///
/// ```swift
/// var limits = SourceLimits(of: SourceLimits.Share(burst: 64, interval: .milliseconds(500), atOnce: 16))
/// switch limits.begin(from: address, at: now) { … }
/// limits.end(from: address)
/// ```
///
/// Sources share a table of ``slots`` buckets, in sets of ``setSize``. Which set is a source's is known to nobody
/// outside: the hash has a seed of this process. When a set has no room, the fullest bucket goes, and its source begins
/// with a full one: who comes with more sources than there are slots gains some tokens, and takes none from others.
public struct SourceLimits: Sendable {
    /// What one source may do.
    public struct Share: Hashable, Sendable {
        public let bucket: TokenBucket.Size
        /// Things at a time.
        public let atOnce: UInt32
        /// How many times as much all of a link have.
        public let linkFactor: UInt64

        /// - Parameters:
        ///   - burst: things without a pause.
        ///   - interval: time from one to the next in the long run.
        public init(burst: UInt64, interval: Duration, atOnce: UInt32 = .max, linkFactor: UInt64 = 1) {
            self.init(TokenBucket.Size(burst: burst, interval: interval), atOnce: atOnce, linkFactor: linkFactor)
        }

        private init(_ bucket: TokenBucket.Size, atOnce: UInt32, linkFactor: UInt64) {
            self.bucket = bucket
            self.atOnce = atOnce
            self.linkFactor = linkFactor
        }

        fileprivate func times(_ factor: UInt64) -> Share {
            let most = atOnce.multipliedReportingOverflow(by: UInt32(clamping: factor))
            return Share(bucket.times(factor), atOnce: most.overflow ? .max : most.partialValue, linkFactor: 1)
        }

        /// Exchanges of one source with a front door. A block of houses behind one address has its power back, and each
        /// of its 32 routers tries twice; in the long run a router comes once a minute or so. All of a link have what
        /// 1,024 routers need: those of a mesh ask through the tunnel, from link-local addresses.
        public static let exchanges = Share(burst: 64, interval: .milliseconds(500), atOnce: 16, linkFactor: 32)

        /// Keys of one source that are new where they come in: as many as a block of houses behind one address has
        /// routers, all of which come back after a power cut.
        public static let newKeys = Share(burst: 32, interval: .seconds(30))
    }

    /// What became of ``begin(from:at:)``.
    public enum Beginning: Hashable, Sendable {
        /// Go on, and call ``end(from:)`` later.
        case welcome
        /// The source is too fast. It counts as one more at a time all the same: say so, and call ``end(from:)`` later.
        case tooFast
        /// The source has as many at a time as it may. Nothing is counted: do not call ``end(from:)``.
        case tooMany
        /// The source has no limit, or no place in the table at this moment, because all that it could have are held by
        /// others who have something open. Nothing is counted: do not call ``end(from:)``.
        case unlimited
    }

    /// Buckets in the table, 32 bytes each.
    public static let slots = 65_536
    /// Buckets among which a source's may be.
    static let setSize = 4
    /// How many times the share of a /64 all of a /48 may have.
    static let wideFactor: UInt64 = 8

    private let share: Share
    private let wideShare: Share
    private let linkShare: Share
    /// Sources that stand for many: they have no limit.
    public var unlimited: [IPPrefix]
    private var table: Table

    /// - Parameter slots: size of the table; a multiple of four.
    public init(of share: Share, unlimited: [IPPrefix] = [], slots: Int = Self.slots) {
        precondition(slots > 0 && slots % Self.setSize == 0, "a table of whole sets")
        self.share = share
        wideShare = share.times(Self.wideFactor)
        linkShare = share.times(share.linkFactor)
        self.unlimited = unlimited
        table = Table(slots: slots)
    }

    /// The address that stands for the source's home: an IPv4 address itself, a /64 with zeros behind; and so a link,
    /// if the address is scoped to it.
    public static func home(of source: IPv6Address) -> IPv6Address {
        source.mappedIPv4 == nil ? IPv6Address(high: source.high, low: 0) : source
    }

    /// Whether the source is one of ``unlimited``.
    public func isUnlimited(_ source: IPv6Address) -> Bool {
        guard !unlimited.isEmpty else { return false }
        let address = source.unscoped
        return unlimited.contains { $0.contains(address) }
    }

    /// Whether the source has done nothing lately: all of its tokens are there. Not for one without limit.
    public func isFresh(_ source: IPv6Address, at now: Duration) -> Bool {
        guard !isUnlimited(source) else { return false }
        let (home, wide) = Self.networks(of: source)
        return isFull(home, at: now) && wide.map { isFull($0, at: now) } ?? true
    }

    /// Takes a token of the source.
    ///
    /// - Parameters:
    ///   - source: IPv4 as a mapped address.
    ///   - now: time since the start of the machine.
    /// - Returns: whether there was one.
    public mutating func take(from source: IPv6Address, at now: Duration) -> Bool {
        isUnlimited(source) || takeTokens(of: Self.networks(of: source), at: now)
    }

    /// Takes a token of the source for something that lasts until ``end(from:)``.
    public mutating func begin(from source: IPv6Address, at now: Duration) -> Beginning {
        if isUnlimited(source) { return .unlimited }
        let (home, wide) = Self.networks(of: source)
        guard let own = place(home) else { return .unlimited }
        let share = share(of: home)
        guard table[own].open < share.atOnce else { return .tooMany }
        table[own].open += 1
        guard let wide else { return table[own].bucket.take(share.bucket, at: now) ? .welcome : .tooFast }
        guard let whole = place(wide) else {
            table[own].open -= 1
            return .unlimited
        }
        guard table[whole].open < wideShare.atOnce else {
            table[own].open -= 1
            return .tooMany
        }
        table[whole].open += 1
        let isInTime =
            table[own].bucket.take(share.bucket, at: now) && table[whole].bucket.take(wideShare.bucket, at: now)
        return isInTime ? .welcome : .tooFast
    }

    /// Something that was begun has ended.
    public mutating func end(from source: IPv6Address) {
        let (home, wide) = Self.networks(of: source)
        endOne(of: home)
        if let wide { endOne(of: wide) }
    }
}

// MARK: - The table

extension SourceLimits {
    /// What a bucket is for.
    private struct Network: Hashable {
        enum Kind: UInt8 {
            case nobody
            case address
            case link
            case narrow
            case wide
        }
        var kind = Kind.nobody
        /// The address, or the bits of the prefix.
        var bits: UInt64 = 0
    }

    private struct Slot {
        var network = Network()
        /// Things of it at this moment.
        var open: UInt32 = 0
        var bucket = TokenBucket()
    }

    /// The table, in parts that are made when something is written to them: what nobody uses costs no memory.
    private struct Table: Sendable {
        private static let partSize = 256
        private var parts: [[Slot]]
        let count: Int

        init(slots: Int) {
            count = slots
            parts = Array(repeating: [], count: (slots + Self.partSize - 1) / Self.partSize)
        }

        subscript(index: Int) -> Slot {
            get {
                let part = parts[index / Self.partSize]
                return part.isEmpty ? Slot() : part[index % Self.partSize]
            }
            _modify {
                let part = index / Self.partSize
                if parts[part].isEmpty { parts[part] = Array(repeating: Slot(), count: Self.partSize) }
                yield &parts[part][index % Self.partSize]
            }
        }
    }

    /// An IPv6 source of the internet has two.
    private static func networks(of source: IPv6Address) -> (home: Network, wide: Network?) {
        if let address = source.mappedIPv4 { return (Network(kind: .address, bits: UInt64(address.value)), nil) }
        if source.isLinkLocal { return (Network(kind: .link, bits: UInt64(source.scope)), nil) }
        let wide = Network(kind: .wide, bits: source.high & 0xffff_ffff_ffff_0000)
        return (Network(kind: .narrow, bits: source.high), wide)
    }

    private func share(of network: Network) -> Share {
        switch network.kind {
        case .wide: wideShare
        case .link: linkShare
        case .nobody, .address, .narrow: share
        }
    }

    private func isFull(_ network: Network, at now: Duration) -> Bool {
        index(of: network).map { table[$0].bucket.isFull(at: now) } ?? true
    }

    /// The set of four that a network belongs to.
    private func set(of network: Network) -> Range<Int> {
        let sets = table.count / Self.setSize
        let first = Int(UInt(bitPattern: network.hashValue) % UInt(sets)) * Self.setSize
        return first..<first + Self.setSize
    }

    private func index(of network: Network) -> Int? { set(of: network).first { table[$0].network == network } }

    /// The network's bucket, which may be new; `nil` if all four that it could have are held by something open.
    private mutating func place(_ network: Network) -> Int? {
        var fullest: Int?
        for index in set(of: network) {
            let slot = table[index]
            if slot.network == network { return index }
            guard slot.open == 0 else { continue }
            if fullest.map({ slot.bucket.fullAt < table[$0].bucket.fullAt }) ?? true { fullest = index }
        }
        if let fullest { table[fullest] = Slot(network: network) }
        return fullest
    }

    private mutating func takeTokens(of networks: (home: Network, wide: Network?), at now: Duration) -> Bool {
        takeToken(of: networks.home, at: now) && (networks.wide.map { wide in takeToken(of: wide, at: now) } ?? true)
    }

    private mutating func takeToken(of network: Network, at now: Duration) -> Bool {
        guard let index = place(network) else { return false }
        return table[index].bucket.take(share(of: network).bucket, at: now)
    }

    private mutating func endOne(of network: Network) {
        // One with something open keeps its place.
        guard let index = index(of: network), table[index].open > 0 else {
            preconditionFailure("nothing of this source was begun")
        }
        table[index].open -= 1
    }
}
