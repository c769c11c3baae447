import Glibc
import KernelTestSupport
import NetworkAddresses
import SystemPackage

/// Writes packets into a TUN device, as if they came from a network behind it.
struct PacketInlet {
    private let descriptor: FileDescriptor

    init(_ descriptor: FileDescriptor) throws { self.descriptor = descriptor }

    /// A datagram of UDP without a checksum of its own, with two bytes.
    func send(_ number: UInt8, from source: String, to destination: String) throws {
        let udp: [UInt8] = [0, 9, 0, 9, 0, 10, 0, 0, 0, number]
        var header: [UInt8] = [0x45, 0, 0, UInt8(20 + udp.count), 0, 0, 0, 0, 64, 17, 0, 0]
        header += IPv4Address(source)!.bytes + IPv4Address(destination)!.bytes
        var sum = stride(from: 0, to: 20, by: 2).reduce(0) { $0 + Int(header[$1]) << 8 + Int(header[$1 + 1]) }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        (header[10], header[11]) = (UInt8(~sum >> 8 & 255), UInt8(~sum & 255))
        let packet = header + udp
        guard write(descriptor.rawValue, packet, packet.count) == packet.count else {
            throw WrongSurroundings(description: "a packet was not written: errno \(errno)")
        }
    }
}
