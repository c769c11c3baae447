internal import NetworkAddresses
internal import WireGuardTypes

/// Who may send from what. A member gets nothing that overlaps what another one has, for WireGuard would move it without
/// a word. A router of the operator has a network around it.
struct AllowedIPs: Sendable {
    struct Item: Hashable, Sendable {
        let prefix: IPPrefix
        let owner: PublicKey

        /// - Parameter prefix: bits behind it do not count.
        init(_ prefix: IPPrefix, _ owner: PublicKey) {
            self.prefix = prefix.masked
            self.owner = owner
        }
    }

    /// What a member does not get.
    struct Refusal: Hashable, Sendable {
        let prefix: IPPrefix
        let claimant: PublicKey
        /// Who has it, or something that overlaps it.
        let owner: PublicKey
    }

    /// By member, in the order in which it was wanted.
    private(set) var granted: [PublicKey: [IPPrefix]] = [:]
    private(set) var refusals: Set<Refusal> = []

    init() {}

    /// - Parameters:
    ///   - networks: of the operator's routers. What is wanted lies inside of one, and is none as a whole; what does not
    ///     is not granted, and not refused either, for it is of no use here.
    ///   - fixed: what is so, whether it overlaps or not.
    ///   - wanted: what members were given; those before others get it.
    init(networks: [Item], fixed: [Item], wanted: [Item]) {
        let useful = wanted.filter { item in
            networks.contains { $0.prefix.contains(item.prefix) }
        }
        let all = fixed + useful
        var tree = OverlapTree(all.map(\.prefix))
        for index in fixed.indices { tree.place(index, of: all[index].owner) }
        var around: [PublicKey: Set<Item>] = [:]
        for index in all.indices.dropFirst(fixed.count) {
            let item = all[index]
            let whole = networks.first { item.prefix.contains($0.prefix) }
            let network = Self.network(around: item.prefix, of: networks)
            let strange = around[item.owner]?.contains { Self.isNested(network, $0) } == true ? network?.owner : nil
            if let owner = whole?.owner ?? strange ?? tree.owner(overlapping: index, otherThan: item.owner) {
                refusals.insert(Refusal(prefix: item.prefix, claimant: item.owner, owner: owner))
            } else {
                tree.place(index, of: item.owner)
                if let network { around[item.owner, default: []].insert(network) }
                granted[item.owner, default: []].append(item.prefix)
            }
        }
    }
}

extension AllowedIPs {
    /// The innermost network with a prefix in it.
    private static func network(around prefix: IPPrefix, of networks: [Item]) -> Item? {
        networks.filter { $0.prefix.contains(prefix) }.max { $0.prefix.length < $1.prefix.length }
    }

    /// Whether one of two networks of different routers is inside the other: a member is behind one of them.
    private static func isNested(_ one: Item?, _ other: Item) -> Bool {
        guard let one, one.owner != other.owner else { return false }
        return one.prefix.contains(other.prefix) || other.prefix.contains(one.prefix)
    }
}

/// Prefixes, each below the shortest one around it. Two prefixes overlap only if one is in the other.
private struct OverlapTree {
    private var parents: [Int?]
    private var owners: [PublicKey?]
    /// Of what was placed further down: one owner, and whether there are others.
    private var below: [(owner: PublicKey, others: Bool)?]

    init(_ prefixes: [IPPrefix]) {
        parents = Array(repeating: nil, count: prefixes.count)
        owners = Array(repeating: nil, count: prefixes.count)
        below = Array(repeating: nil, count: prefixes.count)
        let places = prefixes.map { prefix in
            let address = prefix.mapped
            return (prefix.isIPv4 ? 0 : 1, address.high, address.low, prefix.length)
        }
        var around: [Int] = []
        for index in prefixes.indices.sorted(by: { places[$0] < places[$1] }) {
            while let last = around.last, !prefixes[last].contains(prefixes[index]) { around.removeLast() }
            parents[index] = around.last
            around.append(index)
        }
    }

    mutating func place(_ index: Int, of owner: PublicKey) {
        owners[index] = owner
        var next = parents[index]
        while let ancestor = next {
            let others = below[ancestor].map { $0.others || $0.owner != owner } ?? false
            below[ancestor] = (below[ancestor]?.owner ?? owner, others)
            next = parents[ancestor]
        }
    }

    /// Who else has something that overlaps one of the prefixes.
    func owner(overlapping index: Int, otherThan claimant: PublicKey) -> PublicKey? {
        if let below = below[index], below.others || below.owner != claimant { return below.owner }
        var next = parents[index]
        while let ancestor = next {
            if let owner = owners[ancestor], owner != claimant { return owner }
            next = parents[ancestor]
        }
        return nil
    }
}

extension IPPrefix {
    var isIPv4: Bool {
        switch address {
        case .v4: true
        case .v6: false
        }
    }
}
