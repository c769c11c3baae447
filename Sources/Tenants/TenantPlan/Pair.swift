public import TenantModel

/// Two members of a network, in the order of the document, and how they reach each other.
public struct Pair: Hashable, Sendable {
    public var first: NodeName
    public var second: NodeName
    /// As the first one sees it.
    public var relation: Relation
    /// The exit, where they need it.
    public var exit: NodeName?

    public init(first: NodeName, second: NodeName, relation: Relation, exit: NodeName? = nil) {
        self.first = first
        self.second = second
        self.relation = relation
        self.exit = exit
    }

    /// What the relation is, and why, in a sentence.
    public var reason: String {
        let exit = exit.map { "\($0)" } ?? "the exit"
        return switch relation {
        case .vxlan(let identifier): "both are in one LAN and speak VXLAN \(identifier) there, unencrypted"
        case .lan(let family): "both are in one LAN and reach each other there by \(family)"
        case .twoWay(let family): "both are public by \(family)"
        case .dials(let family): "\(second) is public by \(family), so \(first) dials"
        case .dialled(let family): "\(first) is public by \(family), so \(second) dials"
        case .throughExit(let obstacle): "\(obstacle): through \(exit), where their traffic is in clear"
        case .relayed(let family, let obstacle):
            "\(obstacle): a session of their own over ports of \(exit) by \(family), which passes it on unread"
        case .apart(.noExit(let obstacle)): "no path: \(obstacle), and the network has no exit"
        case .apart(.exitUnreachable(let obstacle)): "no path: \(obstacle), and not both reach \(exit)"
        }
    }
}
