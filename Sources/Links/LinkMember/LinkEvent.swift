public import Keys
public import NetworkAddresses
public import WireGuardTypes

/// What happens to a member.
public enum LinkEvent: Sendable {
    /// The interface was read again.
    case device(DeviceSnapshot)
    /// What this machine and another have in common, in answer to ``LinkWork/secretWanted(_:)``; `nil` for a key of small
    /// order.
    case secret(PublicKey, SharedSecret?)
    /// A datagram came to a facts port.
    case datagram([UInt8], from: IPv6Address, port: UInt16)
    /// The payload of a probe came.
    case probe([UInt8], from: Endpoint, at: ProbePort)
    /// All changes of a ``LinkWork/change(_:)`` of these peers were made.
    case changed([PublicKey])
    /// A change was refused, with those of the same peer behind it.
    case refused(PublicKey, reason: String)
    /// What goes to a peer is kept back, as ``LinkWork/hold(_:_:)`` asks for.
    case held(PublicKey)
    /// It is not, and goes on.
    case notHeld(PublicKey, reason: String)
    /// The relay has a port for a member; `nil`: it cannot have one.
    case relayPort(PublicKey, UInt16?)
    /// What a name of ``LinkWork/lookUp(_:)`` stands for; none if nobody knows.
    case found([Endpoint], for: HostPort)
    /// The machine slept, and goes on.
    case resumed
    /// Packets in the tunnel, or a sample of them, have gone to these addresses or come from them; IPv4 as mapped ones.
    case traffic([IPv6Address])
}

/// Where probes leave and arrive.
public enum ProbePort: Hashable, Sendable {
    /// WireGuard's own.
    case wireGuard
    /// The relay's, of this member.
    case relay(PublicKey)
}
