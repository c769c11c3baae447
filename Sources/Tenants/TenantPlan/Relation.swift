public import TenantModel

/// How a member of a network reaches another one. Both ends have the same one, each seen from its side.
public enum Relation: Hashable, Sendable {
    /// In one LAN, with this number of VXLAN.
    case vxlan(identifier: UInt32)
    /// In one LAN, with WireGuard between addresses of this family there.
    case lan(AddressFamily)
    /// Either can begin.
    case twoWay(AddressFamily)
    /// The other is public, and this one begins.
    case dials(AddressFamily)
    /// This one is public, and the other begins.
    case dialled(AddressFamily)
    /// By routes. The exit decrypts and encrypts what they say.
    case throughExit(Obstacle)
    /// A session of their own over a port of the exit, which cannot read it.
    case relayed(AddressFamily, Obstacle)
    /// There is no way.
    case apart(Separation)

    /// Why two members have no direct way.
    public enum Obstacle: Hashable, Sendable {
        /// They share a family, and neither is public in it.
        case bothHidden
        /// What one speaks the other does not.
        case noCommonFamily
    }

    /// Why the exit is no way either.
    public enum Separation: Hashable, Sendable {
        case noExit(Obstacle)
        /// One of the two is the exit itself, or one of the two does not reach it.
        case exitUnreachable(Obstacle)
    }
}

extension Relation {
    /// The same as the other end sees it.
    public var mirrored: Relation {
        switch self {
        case .dials(let family): .dialled(family)
        case .dialled(let family): .dials(family)
        case .vxlan, .lan, .twoWay, .throughExit, .relayed, .apart: self
        }
    }

    /// Whether each end has a stanza of WireGuard for the other.
    public var hasStanza: Bool {
        switch self {
        case .lan, .twoWay, .dials, .dialled, .relayed: true
        case .vxlan, .throughExit, .apart: false
        }
    }

    /// Whether packets go from one to the other without a third member.
    public var isDirect: Bool { hasStanza || isVXLAN }

    public var isVXLAN: Bool { if case .vxlan = self { true } else { false } }

    /// One word, for machines.
    public var kind: Kind {
        switch self {
        case .vxlan: .vxlan
        case .lan: .lan
        case .twoWay: .twoWay
        case .dials: .dials
        case .dialled: .dialled
        case .throughExit: .throughExit
        case .relayed: .relayed
        case .apart: .apart
        }
    }

    public enum Kind: String, Hashable, Sendable, CaseIterable {
        case vxlan
        case lan
        case twoWay = "two-way"
        case dials
        case dialled
        case throughExit = "through-exit"
        case relayed
        case apart
    }

    /// The family outside; `nil` where the pair has no session of its own.
    public var family: AddressFamily? {
        switch self {
        case .lan(let family), .twoWay(let family), .dials(let family), .dialled(let family), .relayed(let family, _):
            family
        case .vxlan, .throughExit, .apart: nil
        }
    }
}

extension Relation.Obstacle: CustomStringConvertible {
    public var description: String {
        switch self {
        case .bothHidden: "neither is public in a family that the other speaks"
        case .noCommonFamily: "they speak no common family"
        }
    }
}
