/// What one file says: where prefixes come from, which machines there are, and which networks live on them. Everything
/// else is derived from it and from the ledger.
///
/// A value of this type may break any rule; ``mistakes(assigned:)`` names what it breaks.
public struct TenantDocument: Hashable, Sendable {
    /// The newest form of the document that this program understands.
    public static let currentFormat: UInt32 = 1

    public var allocations: [Allocation]
    public var nodes: [Node]
    public var networks: [TenantNetwork]

    public init(allocations: [Allocation] = [], nodes: [Node] = [], networks: [TenantNetwork] = []) {
        self.allocations = allocations
        self.nodes = nodes
        self.networks = networks
    }
}

/// How many of everything a document may have, so that no file can make a program run for days.
public enum DocumentLimit {
    public static let allocations = 100
    public static let nodes = 10_000
    public static let networks = 10_000
    /// Members of one network: pairs grow with the square.
    public static let members = 1_000
    /// Legs of one node: each is a Public namespace of its own.
    public static let legs = 16
    /// Underlay addresses of one family of one node.
    public static let addresses = 8
    /// Port forwards of one network.
    public static let forwards = 1_000
    /// Allow rules of one network resource.
    public static let allowRules = 1_000
    /// Port ranges of one allow rule.
    public static let portRanges = 64
    /// Segments of VXLAN of one network.
    public static let vxlans = 16
}
