public import TenantModel
public import TenantPlan

/// The members of one network and how they reach each other, to be drawn.
public struct Graph: Hashable, Sendable {
    public struct Node: Hashable, Sendable {
        public var name: NodeName
        /// What it is, in a few words.
        public var words: String
        public var isExit: Bool
        /// Those that are alike stand beside each other.
        var order: String
    }

    public struct Edge: Hashable, Sendable {
        public enum Style: Hashable, Sendable, CaseIterable {
            /// Solid, without arrows.
            case twoWay
            /// Solid, thick.
            case lan
            /// Solid, with an arrow to the one that is dialled.
            case dials
            /// Dashed.
            case throughExit
            /// Dotted.
            case relayed
        }

        /// In the nodes; of ``Style/dials`` the one that dials.
        public var from: Int
        public var to: Int
        public var style: Style
    }

    public var name: NetworkName
    public var nodes: [Node]
    public var edges: [Edge]

    /// - Parameter network: of which the plan is.
    public init(_ network: ResolvedNetwork, _ plan: NetworkPlan) {
        name = plan.name
        nodes = network.resources.map { Node($0, isExit: $0.id.node == plan.exit) }
            .sorted { ($0.order, $0.name) < ($1.order, $1.name) }
        let places = Dictionary(nodes.enumerated().map { ($1.name, $0) }) { first, _ in first }
        edges = plan.pairs.compactMap { pair in
            guard let first = places[pair.first], let second = places[pair.second] else { return nil }
            switch pair.relation.kind {
            case .vxlan, .lan: return Edge(from: first, to: second, style: .lan)
            case .twoWay: return Edge(from: first, to: second, style: .twoWay)
            case .dials: return Edge(from: first, to: second, style: .dials)
            case .dialled: return Edge(from: second, to: first, style: .dials)
            case .throughExit: return Edge(from: first, to: second, style: .throughExit)
            case .relayed: return Edge(from: first, to: second, style: .relayed)
            case .apart: return nil
            }
        }
    }
}

extension Graph.Node {
    fileprivate init(_ resource: Resource, isExit: Bool) {
        name = resource.id.node
        self.isExit = isExit
        let isPublic = AddressFamily.allCases.contains { resource.birth.isPublic($0) }
        let lan = resource.birth.leg == nil ? resource.node.lan?.lan : nil
        let kind = resource.kind == .device ? "device" : isPublic ? "public" : "hidden"
        words = ([isExit ? "exit" : kind] + (lan.map { ["LAN \($0)"] } ?? [])).joined(separator: ", ")
        order = isExit ? "0" : isPublic ? "1" : "2\(lan.map { "\($0)" } ?? "")"
    }
}

extension Graph.Edge.Style {
    /// What a line of it means.
    var words: String {
        switch self {
        case .twoWay: "both can begin"
        case .lan: "in one LAN"
        case .dials: "dials"
        case .throughExit: "through the exit, which reads along"
        case .relayed: "over a relay, unread"
        }
    }
}
