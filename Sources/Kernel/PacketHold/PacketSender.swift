internal import CLinux
internal import Glibc
internal import NetworkAddresses
internal import SystemCalls
internal import SystemPackage

/// Sends packets into an interface as if the kernel had routed them there. Needs CAP_NET_RAW.
struct PacketSender: ~Copyable {
    private let owned: OwnedDescriptor
    private let index: InterfaceIndex
    private let name: InterfaceName

    /// - Parameter mark: of what is sent.
    init(_ name: InterfaceName, index: InterfaceIndex, mark: UInt32) throws(SystemCallError) {
        // Protocol 0 receives nothing. Source: packet(7).
        let kind = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let number = try check("open a packet socket for", name.text) { Int(socket(AF_PACKET, kind, 0)) }
        let owned = OwnedDescriptor(adopting: FileDescriptor(rawValue: Int32(number)))
        try Socket.set(SOL_SOCKET, SO_MARK, to: mark, of: owned.raw)
        self.owned = owned
        self.index = index
        self.name = name
    }

    /// - Parameter packet: from its IP header on.
    /// - Returns: `false` if the interface or the socket takes none now.
    /// - Throws: EMSGSIZE for a packet that is longer than the interface allows, ENETDOWN, ENXIO.
    func send(_ packet: [UInt8]) throws(SystemCallError) -> Bool {
        let isV4 = packet.first.map { $0 >> 4 } == 4
        var address = sockaddr_ll()
        address.sll_family = UInt16(AF_PACKET)
        address.sll_protocol = UInt16(isV4 ? ETH_P_IP : ETH_P_IPV6).bigEndian
        address.sll_ifindex = Int32(bitPattern: index.number)
        let raw = owned.raw.rawValue
        do throws(SystemCallError) {
            let sent = try checkWithoutWaiting("send into", name.text) {
                unsafe packet.withUnsafeBytes { bytes in
                    unsafe withUnsafePointer(to: &address) { address in
                        unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                            let size = socklen_t(MemoryLayout<sockaddr_ll>.size)
                            return unsafe sendto(raw, bytes.baseAddress, bytes.count, 0, address, size)
                        }
                    }
                }
            }
            return sent != nil
        } catch {
            // The queue of the interface is full.
            guard error.errno == .noBufferSpace else { throw error }
            return false
        }
    }
}
