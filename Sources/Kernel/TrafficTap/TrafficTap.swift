internal import CLinux
internal import Glibc
public import NetworkAddresses
public import SystemCalls
public import SystemPackage

/// Sees which addresses speak to each other over an interface without a link layer, such as WireGuard's. It gets the
/// start of packets, where their addresses are, and only as many as there is room for: a busy interface is sampled.
public enum TrafficTap {
    /// What a packet is cut to: a header of IPv6 without extensions, or one of IPv4 with its addresses.
    public static let snapLength = 40
    /// Most packets of one ``receive(from:into:)``.
    public static let packetsPerRound = 64
    /// Bytes that may wait: some 100 packets of 1,400 bytes, for each counts with all that the kernel holds of it. What
    /// comes more is dropped before anything of it is copied. Source: SO_RCVBUF of socket(7), which doubles it.
    static let bufferSize: Int32 = 128 << 10

    /// Opens the socket. It needs CAP_NET_RAW; whoever has the descriptor needs no right to use it, and cannot change
    /// what it gets. It sees nothing any more when the interface is gone.
    public static func open(on interface: InterfaceIndex) throws(SystemCallError) -> OwnedDescriptor {
        let kind = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let name = "interface \(interface)"
        // Without a protocol nothing comes until there is a filter.
        let number = try check("open a packet socket for", name) { Int(socket(AF_PACKET, kind, 0)) }
        let descriptor = OwnedDescriptor(adopting: FileDescriptor(rawValue: Int32(number)))
        let raw = descriptor.raw
        try filter.attach(to: raw)
        try Socket.set(SOL_SOCKET, SO_RCVBUF, to: bufferSize, of: raw)
        var address = sockaddr_ll()
        address.sll_family = UInt16(AF_PACKET)
        address.sll_protocol = UInt16(ETH_P_ALL).bigEndian
        address.sll_ifindex = Int32(bitPattern: interface.number)
        _ = try check("watch the packets of", name) {
            unsafe withUnsafePointer(to: &address) { address in
                unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe Int(bind(raw.rawValue, $0, socklen_t(MemoryLayout<sockaddr_ll>.size)))
                }
            }
        }
        return descriptor
    }

    /// The addresses of packets that wait, of at most ``packetsPerRound``, each once.
    ///
    /// - Parameter buffer: of ``snapLength`` bytes at least.
    public static func receive(from descriptor: FileDescriptor, into buffer: inout [UInt8]) -> Set<IPv6Address> {
        var addresses: Set<IPv6Address> = []
        for _ in 0..<packetsPerRound {
            do throws(SystemCallError) {
                guard case .bytes(let count) = try Socket.receive(from: descriptor, into: &buffer) else { break }
                addresses.formUnion(Self.addresses(ofPacket: buffer.span.extracting(0..<count)))
            } catch {
                // The interface was set down. It is told once.
                continue
            }
        }
        return addresses
    }

    /// Source and destination of a packet that may be cut; those of IPv4 as mapped ones. None if it is no packet of
    /// either.
    static func addresses(ofPacket bytes: Span<UInt8>) -> [IPv6Address] {
        guard bytes.count > 0 else { return [] }
        func slice(_ start: Int, _ count: Int) -> [UInt8] { (start..<start + count).map { bytes[$0] } }
        switch bytes[0] >> 4 {
        case 4 where bytes.count >= 20:
            return [12, 16].compactMap { IPv4Address(bytes: slice($0, 4)).map { IPv6Address(mapping: $0) } }
        case 6 where bytes.count >= 40: return [8, 24].compactMap { IPv6Address(bytes: slice($0, 16)) }
        default: return []
        }
    }

    /// Lets pass the start of what machines say to each other. Link-local addresses are those of facts and messages,
    /// and multicast is for nobody in particular.
    static let filter = SocketFilter([
        // The version of IP. A socket of this kind sees packets from the IP header on.
        instruction(BPF_LD | BPF_B | BPF_ABS, 0),
        instruction(BPF_ALU | BPF_RSH | BPF_K, 4),
        instruction(BPF_JMP | BPF_JEQ | BPF_K, 4, ifTrue: 8),
        instruction(BPF_JMP | BPF_JEQ | BPF_K, 6, ifFalse: 8),
        // The source, then the destination: fe80::/10.
        instruction(BPF_LD | BPF_H | BPF_ABS, 8),
        instruction(BPF_ALU | BPF_AND | BPF_K, 0xffc0),
        instruction(BPF_JMP | BPF_JEQ | BPF_K, 0xfe80, ifTrue: 5),
        instruction(BPF_LD | BPF_H | BPF_ABS, 24),
        instruction(BPF_JMP | BPF_JGE | BPF_K, 0xff00, ifTrue: 3),
        instruction(BPF_ALU | BPF_AND | BPF_K, 0xffc0),
        instruction(BPF_JMP | BPF_JEQ | BPF_K, 0xfe80, ifTrue: 1),
        instruction(BPF_RET | BPF_K, UInt32(snapLength)),
        instruction(BPF_RET | BPF_K, 0),
    ])

    private static func instruction(
        _ code: Int32,
        _ operand: UInt32,
        ifTrue: UInt8 = 0,
        ifFalse: UInt8 = 0
    ) -> SocketFilter.Instruction {
        SocketFilter.Instruction(code: UInt16(code), ifTrue: ifTrue, ifFalse: ifFalse, operand: operand)
    }
}
