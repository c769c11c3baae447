internal import Keys
internal import LinkChannel
internal import LinkFacts
internal import LinkKeeper
internal import NetworkAddresses
internal import SystemCalls
internal import Time
internal import WireGuardControl
internal import WireGuardTypes

/// Says farewell for a member that cannot do so itself. It sends, and reads nothing.
struct FarewellSocket {
    /// So many datagrams go at once, and then one each interval: a hub forwards no more for one machine.
    static let burst = 200
    static let interval = Duration.milliseconds(20)
    /// How long what goes through a pair's own tunnel has before the peer is taken away.
    static let time = Duration.milliseconds(50)

    private let farewell: Farewell
    private let ports: Set<UInt16>
    private let interface: InterfaceIndex
    private let socket: SharedDescriptor

    /// Returns `nil` if there is nothing to say, or no way to.
    init?(_ state: DeviceState, marks: PeerMarks, privateKey: PrivateKey?) {
        guard let privateKey, let interface = marks.interface, !marks.ports.isEmpty else { return nil }
        var random = SystemRandomNumberGenerator()
        farewell = Farewell(from: privateKey, peers: state.peers, made: marks.keys, using: &random)
        guard !farewell.direct.isEmpty else { return nil }
        let own = Endpoint.v6(privateKey.publicKey.memberAddress, port: 0, scope: interface.number)
        guard let socket = try? Socket.datagrams(at: own) else { return nil }
        ports = marks.ports
        self.interface = interface
        self.socket = SharedDescriptor(socket)
    }

    /// Through the tunnels of the pairs. To be said before they are taken away.
    func sayDirectly() {
        for datagram in farewell.direct { send(datagram) }
        (MonotonicTime.now + Self.time).sleep()
    }

    /// Through the hubs.
    func sayThroughHubs() {
        for (number, datagram) in farewell.forwarded.enumerated() {
            send(datagram)
            if number >= Self.burst { (MonotonicTime.now + Self.interval).sleep() }
        }
    }

    private func send(_ datagram: Farewell.Datagram) {
        for port in ports {
            let destination = SocketAddress(.v6(datagram.address, port: port, scope: interface.number))
            _ = try? Socket.send(datagram.bytes, to: destination, over: socket.raw)
        }
    }
}
