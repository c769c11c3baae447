public import NetworkAddresses

/// What a member needs to know of its operator.
public struct MemberOrders: Hashable, Sendable {
    public var interface: InterfaceName
    /// Of the file that ``text`` is from, for messages.
    public var path: String
    /// The configuration, which the keeper has read without a mistake.
    public var text: [UInt8]

    public init(interface: InterfaceName, path: String, text: [UInt8]) {
        self.interface = interface
        self.path = path
        self.text = text
    }
}

/// A socket that the keeper opens and the member uses.
public struct MemberSocket: Hashable, Sendable {
    public enum Purpose: UInt8, CaseIterable, Sendable {
        /// Facts, at the port where machines of the field expect them.
        case facts = 1
        /// Facts, at the port behind that of a hub's endpoint.
        case otherFacts
        /// Probes over IPv4, from WireGuard's own port.
        case probesOverIPv4
        case probesOverIPv6
        /// Says from which address a probe over IPv4 would leave. It comes before the one for the probes.
        case routes
        /// Whoever connects here asks for the state.
        case status
        /// Shows who speaks to whom over the interface, for links on demand.
        case traffic
    }

    public var purpose: Purpose
    /// UDP port of facts, and for probes that of WireGuard; 0 for others.
    public var port: UInt16

    public init(_ purpose: Purpose, port: UInt16 = 0) {
        self.purpose = purpose
        self.port = port
    }
}
