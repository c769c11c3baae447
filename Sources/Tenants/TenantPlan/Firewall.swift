public import NetworkAddresses
public import TenantModel

/// What one namespace lets pass and translates, in the order in which it is tried. It is no text of nftables: whoever
/// applies a plan writes that.
public struct Firewall: Hashable, Sendable {
    public enum Verdict: String, Hashable, Sendable {
        case accept
        case drop
        /// The sender is told: no route.
        case reject
    }

    /// What passes through, if no rule says otherwise.
    public var forwardPolicy: Verdict
    public var forward: [FilterRule]
    /// What is for the namespace itself, if no rule says otherwise.
    public var inputPolicy: Verdict
    public var input: [FilterRule]
    public var forwards: [DestinationRule]
    public var translations: [SourceRule]
    /// Whether TCP is told the size of what fits, for tunnels are narrower than what leads to them.
    public var clampsSegments: Bool

    public init(
        forwardPolicy: Verdict = .accept,
        forward: [FilterRule] = [],
        inputPolicy: Verdict = .accept,
        input: [FilterRule] = [],
        forwards: [DestinationRule] = [],
        translations: [SourceRule] = [],
        clampsSegments: Bool = false
    ) {
        self.forwardPolicy = forwardPolicy
        self.forward = forward
        self.inputPolicy = inputPolicy
        self.input = input
        self.forwards = forwards
        self.translations = translations
        self.clampsSegments = clampsSegments
    }

    /// Whether the namespace needs no table at all.
    public var isEmpty: Bool { self == Firewall() }
}

/// What a packet must be to be accepted, dropped or rejected. What is `nil` may be anything.
public struct FilterRule: Hashable, Sendable {
    public enum State: String, Hashable, Sendable {
        /// Of a connection that is known, or an error about one.
        case established
        /// Of none that can be.
        case invalid
        /// Of one that a ``DestinationRule`` has led elsewhere.
        case forwarded
    }

    public enum Transport: String, Hashable, Sendable {
        case tcp
        case udp
        case icmp
        case icmpv6
        /// Source: RFC 4890, section 4.3.1: unreachable, too big, time exceeded, parameter problem.
        case icmpv6Errors = "icmpv6-errors"
        /// Source: RFC 4861: what finds neighbours and routers.
        case neighbourDiscovery = "neighbour-discovery"
    }

    public var verdict: Firewall.Verdict
    public var state: State?
    /// The nic by which it came.
    public var from: String?
    /// The nic by which it leaves.
    public var to: String?
    public var source: IPPrefix?
    public var destination: IPPrefix?
    public var transport: Transport?
    /// Of the destination; empty for all.
    public var ports: [ClosedRange<UInt16>]

    public init(
        _ verdict: Firewall.Verdict,
        state: State? = nil,
        from: String? = nil,
        to: String? = nil,
        source: IPPrefix? = nil,
        destination: IPPrefix? = nil,
        transport: Transport? = nil,
        ports: [ClosedRange<UInt16>] = []
    ) {
        self.verdict = verdict
        self.state = state
        self.from = from
        self.to = to
        self.source = source
        self.destination = destination
        self.transport = transport
        self.ports = ports
    }

    /// What an allow rule of the document lets in by `nic`.
    init(_ rule: AllowRule, from nic: String) {
        self.init(
            .accept,
            from: nic,
            source: rule.source?.masked.ipPrefix,
            destination: rule.destination.masked.ipPrefix,
            transport: rule.transport.map { transport in
                switch transport {
                case .tcp: .tcp
                case .udp: .udp
                case .icmpv6: .icmpv6
                }
            },
            ports: rule.ports
        )
    }
}

/// A new connection to an address and port that goes on to another one (dnat).
public struct DestinationRule: Hashable, Sendable {
    /// The nic by which it came; `nil` for any.
    public var from: String?
    public var address: IPv4Address
    public var transport: PortForward.Transport
    public var port: UInt16
    public var target: IPv4Address
    public var targetPort: UInt16

    public init(
        from: String? = nil,
        address: IPv4Address,
        transport: PortForward.Transport,
        port: UInt16,
        target: IPv4Address,
        targetPort: UInt16
    ) {
        self.from = from
        self.address = address
        self.transport = transport
        self.port = port
        self.target = target
        self.targetPort = targetPort
    }
}

/// Connections that leave with another source address (snat).
public struct SourceRule: Hashable, Sendable {
    public enum Source: Hashable, Sendable {
        /// That of the nic by which they leave.
        case masquerade
        case address(IPv4Address)
        /// Bits of this prefix instead of as many of the source.
        case prefix(IPv6Prefix)
    }

    /// The nic by which it leaves; `nil` for any.
    public var to: String?
    public var source: IPPrefix
    public var becomes: Source

    public init(to: String? = nil, source: IPPrefix, becomes: Source) {
        self.to = to
        self.source = source
        self.becomes = becomes
    }
}
