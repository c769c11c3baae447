internal import CLinux
internal import Glibc
public import SystemCalls
internal import SystemPackage

extension RawSocket {
    /// Opens the socket of one family, which gets a copy of what comes to a UDP port, whoever else has that: only what
    /// begins as ``Probe/magic`` says. What it sends has the same port.
    ///
    /// It needs CAP_NET_RAW. Whoever has the descriptor needs no right to use it, and cannot change what it gets.
    ///
    /// - Parameter mark: of what is sent, as WireGuard's own, so that it takes the same way; 0 for none.
    public static func open(_ family: Family, port: UInt16, mark: UInt32) throws(SystemCallError) -> OwnedDescriptor {
        let kind = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let name = "probes at port \(port)"
        let number = try check("open a raw socket for", name) {
            Int(socket(family == .v4 ? AF_INET : AF_INET6, kind, Int32(IPPROTO_UDP)))
        }
        let descriptor = OwnedDescriptor(adopting: FileDescriptor(rawValue: Int32(number)))
        let raw = descriptor.raw
        try SocketFilter(ProbeFilter.program(family, port: port)).attach(to: raw)
        // What had come before the filter was there.
        try drain(raw)
        if mark != 0 { try Socket.set(SOL_SOCKET, SO_MARK, to: mark, of: raw) }
        switch family {
        case .v4:
            try Socket.set(Int32(IPPROTO_IP), IP_RECVERR, to: Int32(1), of: raw)
            try Socket.set(Int32(IPPROTO_IP), IP_PKTINFO, to: Int32(1), of: raw)
        case .v6:
            try Socket.set(Int32(IPPROTO_IPV6), IPV6_RECVERR, to: Int32(1), of: raw)
            try Socket.set(Int32(IPPROTO_IPV6), IPV6_RECVPKTINFO, to: Int32(1), of: raw)
            // The kernel writes the checksum to this place, and drops what has a wrong one.
            try Socket.set(Int32(IPPROTO_IPV6), IPV6_CHECKSUM, to: Int32(6), of: raw)
        }
        return descriptor
    }

    /// Opens a socket that only says which address of this machine a packet to somewhere would have.
    ///
    /// - Parameter mark: as of ``open(_:port:mark:)``; one that is not 0 needs CAP_NET_RAW, before Linux 5.17
    ///   CAP_NET_ADMIN.
    public static func openSourceFinder(mark: UInt32) throws(SystemCallError) -> OwnedDescriptor {
        let kind = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let number = try check("open a socket for", "routes") { Int(socket(AF_INET, kind, 0)) }
        let descriptor = OwnedDescriptor(adopting: FileDescriptor(rawValue: Int32(number)))
        if mark != 0 { try Socket.set(SOL_SOCKET, SO_MARK, to: mark, of: descriptor.raw) }
        return descriptor
    }

    private static func drain(_ descriptor: FileDescriptor) throws(SystemCallError) {
        var buffer: [UInt8] = [0]
        while case .bytes = try Socket.receive(from: descriptor, into: &buffer) {}
    }
}

/// The program that the kernel runs on each UDP packet of the machine. A raw socket sees IPv4 from the IP header on, and
/// IPv6 from the UDP header on (measured).
enum ProbeFilter {
    static func program(_ family: RawSocket.Family, port: UInt16) -> [SocketFilter.Instruction] {
        typealias Instruction = SocketFilter.Instruction
        let mode = family == .v4 ? BPF_IND : BPF_ABS
        let head =
            family == .v4
            // X is the length of the IP header.
            ? [Instruction(code: UInt16(BPF_LDX | BPF_B | BPF_MSH))] : []
        let (jump, end) = (UInt16(BPF_JMP | BPF_JEQ | BPF_K), UInt16(BPF_RET | BPF_K))
        return head + [
            Instruction(code: UInt16(BPF_LD | BPF_H | mode), operand: 2),
            Instruction(code: jump, ifFalse: 3, operand: UInt32(port)),
            Instruction(code: UInt16(BPF_LD | BPF_W | mode), operand: UInt32(UDPHeader.length)),
            Instruction(code: jump, ifFalse: 1, operand: Probe.magic),
            Instruction(code: end, operand: .max),
            Instruction(code: end),
        ]
    }
}
