public import NetworkAddresses

/// Who brings a registration. The handler knows it from the socket that the registration came in by.
public enum Origin: Hashable, Sendable {
    /// A router that is connected to a front door of this gateway, from this address; IPv4 as a mapped one.
    case source(IPv6Address)
    /// Another gateway passed it on. It has no limit of a source, because many routers may stand behind it.
    case fleet
}

extension Origin: CustomStringConvertible {
    /// For the log.
    public var description: String {
        switch self {
        case .source(let address): address.sourceDescription
        case .fleet: "another gateway"
        }
    }
}
