public import LinkControl
internal import LinkFacts
public import LinkMember
internal import NetworkAddresses
public import WireGuardControl
public import WireGuardTypes

extension DeviceSnapshot {
    /// What the kernel and WireGuard say, put together; `nil` while the interface has no key.
    ///
    /// - Parameters:
    ///   - made: peers that this program made, of which some may be gone.
    ///   - wallClock: seconds since 1970 when `state` was read.
    public init?(
        _ state: DeviceState,
        of interface: Link,
        links: [Link],
        addresses: [InterfaceAddress],
        made: Set<PublicKey>,
        wallClock: Int64
    ) {
        guard let publicKey = state.publicKey else { return nil }
        let names = Dictionary(links.filter(\.isUp).map { ($0.index, $0.name) }, uniquingKeysWith: { $1 })
        let own = addresses.filter { $0.interface == interface.index }
        let others = addresses.compactMap { address -> UnderlayAddress? in
            guard address.interface != interface.index, let name = names[address.interface] else { return nil }
            return UnderlayAddress(
                interface: name,
                address: address.prefix,
                isTemporary: address.isTemporary,
                isDeprecated: address.isDeprecated,
                isTentative: address.isTentative
            )
        }
        self.init(
            publicKey: publicKey,
            listenPort: state.listenPort ?? 0,
            firewallMark: state.firewallMark,
            peers: state.peers,
            madePeers: made.intersection(state.peers.map(\.publicKey)),
            wallClock: wallClock,
            tunnelAddresses: own.map(\.prefix),
            underlayAddresses: others,
            isUp: interface.isUp
        )
    }
}

/// The UDP ports at which facts come.
public struct FactsPorts: Hashable, Sendable {
    /// Where machines that have WireGuard's port here expect them; `nil` while WireGuard has no port, and none was
    /// configured.
    public var main: UInt16?
    /// Where those expect them that have the port of a hub, if that is another.
    public var other: UInt16?

    /// Machines of the field take the port behind their own WireGuard port for everybody's.
    ///
    /// - Parameter configured: what the operator says; then there is no other.
    public init(configured: UInt16?, snapshot: DeviceSnapshot) {
        main = configured ?? Self.port(after: snapshot.listenPort)
        guard configured == nil else { return }
        let hubs = snapshot.peers.filter { !snapshot.madePeers.contains($0.publicKey) && $0.leadsFurther }
        // With several hubs of different ports one must do, and always the same.
        let ports = hubs.compactMap { $0.endpoint.flatMap { Self.port(after: $0.port) } }
        other = ports.filter { $0 != main }.min()
    }

    /// Both.
    public var all: Set<UInt16> { Set([main, other].compactMap(\.self)) }

    private static func port(after port: UInt16) -> UInt16? { port == 0 || port == .max ? nil : port + 1 }
}

extension Peer {
    /// Whether there are other machines behind it: a hub, if the operator made it.
    var leadsFurther: Bool {
        allowedIPs.contains { prefix in
            switch prefix.address {
            case .v4: prefix.length < 32
            case .v6: prefix.length < 128 && !prefix.isLinkLocal
            }
        }
    }
}
