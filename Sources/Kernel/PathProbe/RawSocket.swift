public import NetworkAddresses
public import SystemCalls
public import SystemPackage

/// Sends and receives UDP packets of a port that another socket of this machine has: WireGuard's. So a probe takes the
/// way that WireGuard's packets take, through every NAT.
///
/// The other socket gets all packets too, and drops those that it does not know.
public struct RawSocket: ~Copyable {
    public enum Family: Hashable, Sendable {
        case v4, v6
    }

    /// A packet that came.
    public struct Packet: Hashable, Sendable {
        public let payload: [UInt8]
        public let source: Endpoint
        /// The interface that it came in by, its index; `nil` if the kernel does not say.
        public let interface: InterfaceIndex?
    }

    /// A machine on the way, or this one, said that a packet from this port did not arrive. Anybody can say so: it is
    /// a reason to ask, and no more.
    public struct Failure: Hashable, Sendable {
        public let destination: Endpoint
        public let errno: Errno
    }

    /// Most packets of one ``receive()``, and failures of one ``failures()``.
    public static let packetsPerRound = 64
    /// A longer packet is cut. In bytes, with both headers; probes have 92 without.
    static let longestPacket = 1280

    public let family: Family
    public let port: UInt16
    private let owned: OwnedDescriptor
    /// `nil` leaves the checksum of IPv4 out.
    private let finder: FileDescriptor?
    private let finderOwner: OwnedDescriptor?
    private var buffer = [UInt8](repeating: 0, count: Self.longestPacket)

    /// - Parameters:
    ///   - descriptor: of ``open(_:port:mark:)`` for the same family and port.
    ///   - sources: of ``openSourceFinder(mark:)`` with the same mark. Without it packets of IPv4 have no checksum,
    ///     which some translators to IPv6 do not take.
    public init(
        _ descriptor: consuming OwnedDescriptor,
        _ family: Family,
        port: UInt16,
        sources: consuming OwnedDescriptor? = nil
    ) {
        owned = descriptor
        if let sources {
            finder = sources.raw
            finderOwner = consume sources
        } else {
            finder = nil
            finderOwner = nil
        }
        self.family = family
        self.port = port
    }

    /// Readable when packets or failures wait.
    public var descriptor: FileDescriptor { owned.raw }

    // MARK: - Sending

    /// Sends a packet, without waiting.
    ///
    /// - Parameter endpoint: of this family.
    /// - Returns: `false` if the socket takes none now.
    /// - Throws: what may pass, such as ENETUNREACH without a route and EPERM from a firewall; EAFNOSUPPORT for the
    ///   other family.
    public func send(_ payload: [UInt8], to endpoint: Endpoint) throws(SystemCallError) -> Bool {
        switch (family, endpoint) {
        case (.v4, .v4(let address, let destination)):
            let source = try sourceAddress(for: endpoint)
            let addresses = source.map { (source: $0, destination: address) }
            let packet = UDPHeader.datagram(payload, from: port, to: destination, addresses: addresses)
            return try send(packet, to: SocketAddress(.v4(address, port: 0)), source: source)
        case (.v6, .v6(let address, let destination, let scope)):
            let packet = UDPHeader.datagram(payload, from: port, to: destination, addresses: nil)
            // A raw socket takes a port for the number of a protocol.
            return try send(packet, to: SocketAddress(.v6(address, port: 0, scope: scope)), source: nil)
        default:
            throw SystemCallError("send a probe to", "\(endpoint)", errno: .addressFamilyNotSupported)
        }
    }

    private func send(
        _ packet: [UInt8],
        to address: SocketAddress,
        source: IPv4Address?
    ) throws(SystemCallError) -> Bool {
        do throws(SystemCallError) {
            return try Socket.send(packet, to: address, from: source, over: owned.raw)
        } catch {
            // An error of an earlier packet is told of once, to whoever calls next.
            return try Socket.send(packet, to: address, from: source, over: owned.raw)
        }
    }

    /// The address that the kernel would send to `endpoint` from.
    private func sourceAddress(for endpoint: Endpoint) throws(SystemCallError) -> IPv4Address? {
        guard let finder, case .v4(let own, _)? = try Socket.sourceAddress(for: endpoint, over: finder)
        else { return nil }
        return own
    }

    // MARK: - Receiving

    /// Receives what is there, at most ``packetsPerRound``, without waiting.
    ///
    /// - Throws: errors of the socket itself. Those of packets are left to ``failures()``.
    public mutating func receive() throws(SystemCallError) -> [Packet] {
        var packets: [Packet] = []
        var failures = 0
        while packets.count + failures < Self.packetsPerRound {
            let message: PacketMessage?
            do throws(SystemCallError) {
                message = try Socket.receiveMessage(from: owned.raw, into: &buffer)
            } catch {
                // An error of a packet that was sent: its details are in another queue.
                failures += 1
                guard Self.isOfPacket(error.errno) else { throw error }
                continue
            }
            guard let message else { break }
            if let packet = packet(message) { packets.append(packet) }
        }
        return packets
    }

    private func packet(_ message: PacketMessage) -> Packet? {
        let bytes = buffer.span.extracting(0..<message.count)
        switch (family, message.address.endpoint) {
        case (.v4, _):
            guard let header = IPv4Header(bytes), let udp = UDPHeader(bytes.extracting(header.length..<bytes.count))
            else { return nil }
            return Packet(
                payload: Array(buffer[(header.length + UDPHeader.length)..<message.count]),
                source: .v4(header.source, port: udp.sourcePort),
                interface: message.interface
            )
        case (.v6, .v6(let address, _, let scope)?):
            guard let udp = UDPHeader(bytes) else { return nil }
            return Packet(
                payload: Array(buffer[UDPHeader.length..<message.count]),
                source: .v6(address, port: udp.sourcePort, scope: scope),
                interface: message.interface
            )
        default: return nil
        }
    }

    /// What is said of packets that this machine has sent from this port, WireGuard's as well, at most
    /// ``packetsPerRound``, without waiting.
    public mutating func failures() throws(SystemCallError) -> [Failure] {
        var failures: [Failure] = []
        for _ in 0..<Self.packetsPerRound {
            guard let message = try Socket.receiveMessage(from: owned.raw, into: &buffer, failed: true) else { break }
            guard let errno = message.errno, let udp = UDPHeader(buffer.span.extracting(0..<message.count)),
                udp.sourcePort == port
            else { continue }
            switch message.address.endpoint {
            case .v4(let address, _)?:
                failures.append(Failure(destination: .v4(address, port: udp.destinationPort), errno: errno))
            case .v6(let address, _, let scope)?:
                failures.append(
                    Failure(destination: .v6(address, port: udp.destinationPort, scope: scope), errno: errno)
                )
            case nil: continue
            }
        }
        return failures
    }

    /// Whether an error is one of the way of a packet, of which there are many, and not of the call.
    private static func isOfPacket(_ errno: Errno) -> Bool {
        ![.badFileDescriptor, .notSocket, .badAddress, .invalidArgument, .noMemory].contains(errno)
    }
}
