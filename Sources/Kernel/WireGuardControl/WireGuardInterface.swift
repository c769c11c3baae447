public import Netlink
public import NetworkAddresses
internal import SystemCalls
internal import SystemPackage
public import WireGuardTypes

/// One WireGuard interface, whoever runs it: the kernel, or a process such as wireguard-go.
public protocol WireGuardInterface: AnyObject {
    var name: InterfaceName { get }

    /// Reads everything about the interface and its peers.
    func state() throws(WireGuardError) -> DeviceState

    /// Reads the interface's own private key; `nil` before it has one. ``DeviceState`` never has it.
    func privateKey() throws(WireGuardError) -> PrivateKey?

    /// Makes the changes, in order, as many at once as is good for the rest of the system. An empty list asks nothing
    /// of anybody.
    ///
    /// Changes of one key are taken in order too: a removal and an addition make a fresh peer. A peer may have any
    /// number of allowed IPs; the kernel gets those beyond 200 in further messages.
    ///
    /// - Throws: at the first change that fails. It is no transaction: those before it may be in effect.
    func apply(_ changes: [PeerChange]) throws(WireGuardError)

    /// Sets what the interface itself needs. What is `nil` stays; if all is, nobody is asked anything.
    ///
    /// - Parameters:
    ///   - privateKey: another one ends all sessions, and removes a peer that has its public key.
    ///   - listenPort: 0 lets the system choose one.
    ///   - firewallMark: set on the packets that leave; 0 for none.
    func configure(privateKey: PrivateKey?, listenPort: UInt16?, firewallMark: UInt32?) throws(WireGuardError)
}

/// What a WireGuard interface says of itself.
public struct DeviceState: Hashable, Sendable {
    /// The interface's own key; `nil` before it has one.
    public var publicKey: PublicKey?
    /// UDP port; `nil` before it has one.
    public var listenPort: UInt16?
    /// Set on the packets that leave, for rules of routing and of the firewall; 0 for none.
    public var firewallMark: UInt32
    /// In no order.
    public var peers: [Peer]
    /// Whether no change interrupted the list. If one did, who is missing may be there all the same: the kernel ends a
    /// list early when the peer is removed that it would go on with.
    public var isWhole: Bool

    public init(
        publicKey: PublicKey? = nil,
        listenPort: UInt16? = nil,
        firewallMark: UInt32 = 0,
        peers: [Peer] = [],
        isWhole: Bool = true
    ) {
        self.publicKey = publicKey
        self.listenPort = listenPort
        self.firewallMark = firewallMark
        self.peers = peers
        self.isWhole = isWhole
    }
}

/// Most changes in one request. The kernel keeps all other network configuration of the machine waiting while it
/// works on one, and larger ones are not faster (measured: 18 ms for 64 new peers on a slow virtual machine).
let changesPerRequest = 64

/// Opens the WireGuard interface of that name: by the socket of the process that runs it if there is one, and else in
/// the kernel.
///
/// Reading and changing need CAP_NET_ADMIN for the kernel, and for a process write permission on its socket.
///
/// - Parameter socketDirectory: where userspace WireGuard puts its sockets, `NAME.sock`. A socket there belongs to no
///   network namespace.
/// - Parameter buffer: for what is received; may be shared.
/// - Throws: ``WireGuardError/noKernelSupport(_:)``, ``WireGuardError/unreachable(_:_:_:)``. Whether the kernel has an
///   interface of that name shows at the first operation.
public func openWireGuardInterface(
    _ name: InterfaceName,
    socketDirectory: String = "/run/wireguard",
    buffer: DatagramBuffer = DatagramBuffer()
) throws(WireGuardError) -> any WireGuardInterface {
    let path = "\(socketDirectory)/\(name).sock"
    if isSocket(path) { return try UserspaceWireGuard(name, path: path, buffer: buffer) }
    do throws(NetlinkError) {
        return try KernelWireGuard(name, socket: try NetlinkSocket(.generic, buffer: buffer))
    } catch {
        throw WireGuardError(error, .readState, name)
    }
}
