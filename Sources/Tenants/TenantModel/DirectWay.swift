/// How two members speak to each other over WireGuard without a third. Rules of the document and plans both ask here, so
/// that no pair is promised what it does not get.
public enum DirectWay: Hashable, Sendable {
    /// In a LAN that both are in, where both have addresses of that family.
    case lan(AddressFamily)
    /// Both are public, and either begins.
    case twoWay(AddressFamily)
    /// The other one is public, and this one begins.
    case dials(AddressFamily)
    /// This one is public, and the other one begins.
    case dialled(AddressFamily)

    /// The first that there is, as the first of the two sees it; `nil` if there is none.
    ///
    /// - Parameters:
    ///   - birth: where the socket of `node` is.
    ///   - otherBirth: where that of `other` is.
    public init?(from node: Node, _ birth: Birth, to other: Node, _ otherBirth: Birth) {
        if let family = Self.lanFamily(node, birth, other, otherBirth) {
            self = .lan(family)
            return
        }
        let families = AddressFamily.allCases
        if let family = families.first(where: { birth.isReached($0) && otherBirth.isReached($0) }) {
            self = .twoWay(family)
            return
        }
        for family in families {
            if otherBirth.isReached(family), birth.speaks(family) {
                self = .dials(family)
                return
            }
            if birth.isReached(family), otherBirth.speaks(family) {
                self = .dialled(family)
                return
            }
        }
        return nil
    }

    /// The family in which two that are in one LAN both have addresses there. Their sockets must be there too, and not in
    /// the namespace of a leg.
    private static func lanFamily(
        _ node: Node,
        _ birth: Birth,
        _ other: Node,
        _ otherBirth: Birth
    ) -> AddressFamily? {
        guard let lan = node.lan, let mate = other.lan, lan.lan == mate.lan, lan.isDirect, mate.isDirect,
            birth.leg == nil, otherBirth.leg == nil
        else { return nil }
        return AddressFamily.allCases.first { family in
            [node, other].allSatisfy { $0.ownReachability(family)?.addresses.isEmpty == false }
        }
    }
}

extension Birth {
    /// Whether everybody reaches it in this family, and knows where.
    public func isReached(_ family: AddressFamily) -> Bool {
        guard let reachability = reachability(family) else { return false }
        return reachability.isPublic && !reachability.addresses.isEmpty
    }
}
