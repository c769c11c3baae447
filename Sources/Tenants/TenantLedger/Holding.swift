public import TenantModel

/// Something that is somebody's: the two together.
public enum Holding: Hashable, Sendable {
    /// The member's network inside.
    case prefix(Segment, MemberID)
    /// The UDP port of the member's WireGuard interface, and the leg of its node where that is born.
    case port(UInt16, leg: UInt8, MemberID)
    /// The UDP port of an exit by which the others reach the member when there is no direct path.
    case relay(UInt16, exit: NodeName, MemberID)

    public var member: MemberID {
        switch self {
        case .prefix(_, let member), .port(_, _, let member), .relay(_, _, let member): member
        }
    }

    /// Whether it is of no use without this member.
    func needs(_ other: MemberID) -> Bool {
        if case .relay(_, let exit, _) = self, member.network == other.network, exit == other.node { return true }
        return member == other
    }

    /// What nobody else may have while somebody has this one.
    enum Key: Hashable {
        case segment(Segment)
        /// Members of one network whose IPv4 ranges would be the same.
        case tag(NetworkName, UInt16)
        case portAt(NodeName, UInt16)
        /// One of a kind is enough for a member.
        case prefixOf(MemberID)
        case portOf(MemberID)
        case relayOf(MemberID, exit: NodeName)

        /// Whether it stands for the thing, which others may want, and not for its holder.
        var isThing: Bool {
            switch self {
            case .segment, .tag, .portAt: true
            case .prefixOf, .portOf, .relayOf: false
            }
        }
    }

    var keys: [Key] {
        switch self {
        case .prefix(let segment, let member): [.segment(segment), .tag(member.network, segment.low16), holder]
        case .port(let port, _, let member): [.portAt(member.node, port), holder]
        case .relay(let port, let exit, _): [.portAt(exit, port), holder]
        }
    }

    /// The key that stands for the holder.
    var holder: Key {
        switch self {
        case .prefix(_, let member): .prefixOf(member)
        case .port(_, _, let member): .portOf(member)
        case .relay(_, let exit, let member): .relayOf(member, exit: exit)
        }
    }
}

extension Holding: CustomStringConvertible {
    /// As in a line of a ledger.
    public var description: String {
        switch self {
        case .prefix(let segment, let member): "prefix \(member.network) \(member.node) \(segment)"
        case .port(let port, 0, let member): "port \(member.network) \(member.node) \(port)"
        case .port(let port, let leg, let member): "port \(member.network) \(member.node) \(port) leg \(leg)"
        case .relay(let port, let exit, let member): "relay \(member.network) \(exit) \(member.node) \(port)"
        }
    }
}
