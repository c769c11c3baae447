/// What a machine is believed about others. Each level includes those below it. Source: wirelink's levels, measured.
public enum Trust: Int, CaseIterable, Comparable, Hashable, Sendable {
    /// Nothing.
    case untrusted
    /// Where the peers of this machine may be found.
    case endpoint
    /// What the peers of this machine may send from.
    case allowedIPs
    /// Who is a member, and anything about machines that are no peers yet.
    case membership
    /// Means the same as ``membership``. The field defines it and does not use it.
    case delegateTrust

    /// Reads the name of a level as it stands in the field's files, in whatever case.
    public init?(_ text: String) {
        let lowercased = text.lowercased()
        guard let trust = Self.allCases.first(where: { $0.description.lowercased() == lowercased }) else { return nil }
        self = trust
    }

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

extension Trust: CustomStringConvertible {
    /// The name in the field's files.
    public var description: String {
        switch self {
        case .untrusted: "Untrusted"
        case .endpoint: "Endpoint"
        case .allowedIPs: "AllowedIPs"
        case .membership: "Membership"
        case .delegateTrust: "DelegateTrust"
        }
    }
}
