/// What a network, a node, a site or a LAN may be called: 1 to 63 lower-case letters, digits and hyphens. A UUID is one.
///
/// The names stand in file names, comments of firewall tables and aliases of interfaces, where nothing else is safe.
public enum TenantNameRule {
    /// Longest name in bytes.
    public static let maximumLength = 63

    public static func allows(_ text: String) -> Bool {
        (1...maximumLength).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}

/// The name of a network, its netid. It is never reused while one of its prefixes is in quarantine.
public struct NetworkName: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let text: String

    /// Returns `nil` if ``TenantNameRule`` does not allow it.
    public init?(_ text: String) {
        guard TenantNameRule.allows(text) else { return nil }
        self.text = text
    }

    public var description: String { text }

    public static func < (left: Self, right: Self) -> Bool { left.text < right.text }
}

/// The name of a node, or of a device that is a member of a network.
public struct NodeName: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let text: String

    /// Returns `nil` if ``TenantNameRule`` does not allow it.
    public init?(_ text: String) {
        guard TenantNameRule.allows(text) else { return nil }
        self.text = text
    }

    public var description: String { text }

    public static func < (left: Self, right: Self) -> Bool { left.text < right.text }
}

/// A name of the place where nodes stand, or of a LAN that several of them share.
public struct PlaceName: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let text: String

    /// Returns `nil` if ``TenantNameRule`` does not allow it.
    public init?(_ text: String) {
        guard TenantNameRule.allows(text) else { return nil }
        self.text = text
    }

    public var description: String { text }

    public static func < (left: Self, right: Self) -> Bool { left.text < right.text }
}

/// One node in one network: there is at most one network resource of each pair.
public struct MemberID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let network: NetworkName
    public let node: NodeName

    public init(network: NetworkName, node: NodeName) {
        self.network = network
        self.node = node
    }

    /// `NETWORK/NODE`.
    public var description: String { "\(network)/\(node)" }

    public static func < (left: Self, right: Self) -> Bool {
        (left.network, left.node) < (right.network, right.node)
    }
}
