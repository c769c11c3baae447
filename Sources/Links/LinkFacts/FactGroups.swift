/// Distributes facts over datagrams, in their order. A group has at most ``WireFormat/maximumGroup`` bytes of facts. A
/// single fact that is longer goes alone.
public struct FactGroups: Sendable {
    /// The facts of each group as they are on the wire, one behind another. No group is empty.
    public private(set) var groups: [[UInt8]] = []
    private let limit: Int

    /// - Parameter limit: most bytes of facts in a group.
    public init(limit: Int = WireFormat.maximumGroup) { self.limit = limit }

    public init(_ facts: some Sequence<Fact>, limit: Int = WireFormat.maximumGroup) {
        self.init(limit: limit)
        for fact in facts { append(fact) }
    }

    /// Adds a fact to the last group, or begins a new one with it.
    public mutating func append(_ fact: Fact) {
        guard !appendIfRoom(fact) else { return }
        var group: [UInt8] = []
        fact.append(to: &group)
        groups.append(group)
    }

    /// Adds a fact that is not worth a datagram of its own.
    ///
    /// - Returns: `false` if there is no group yet, or no room in the last one.
    public mutating func appendIfRoom(_ fact: Fact) -> Bool {
        guard let last = groups.indices.last, groups[last].count + fact.encodedLength <= limit else { return false }
        fact.append(to: &groups[last])
        return true
    }
}
