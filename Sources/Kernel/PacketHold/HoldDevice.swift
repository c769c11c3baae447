internal import CLinux
internal import Glibc
internal import LinkControl
internal import Netlink
internal import NetworkAddresses
internal import SystemCalls
internal import SystemPackage

/// A TUN device, whose packets this process reads. It goes with its descriptor.
///
/// Packets that the kernel leaves to the interface to divide, or to give a checksum, come divided and with one, because
/// nobody has said that this device could do it. Source: `Documentation/networking/tuntap.rst`, TUNSETOFFLOAD.
struct HoldDevice: ~Copyable {
    private static let path = "/dev/net/tun"
    /// The kernel puts a number in place of `%d`.
    private static let pattern = "kexhold%d"
    /// Longest packet in bytes. Source: the length field of both headers.
    private static let longestPacket = 65_575

    private let owned: OwnedDescriptor
    let name: InterfaceName
    private var buffer = [UInt8](repeating: 0, count: longestPacket)

    init() throws(HoldError) {
        let owned = try failing(as: HoldError.system) { () throws(SystemCallError) in try Self.open() }
        let raw = owned.raw
        let name = try failing(as: HoldError.system) { () throws(SystemCallError) in try Self.makeDevice(raw) }
        try failing(as: HoldError.netlink) { () throws(NetlinkError) in
            var links = try LinkControl()
            // No address, so that nothing of its own is sent there. Where IPv6 is off there is nothing to turn off.
            _ = try? links.turnOffAddressGeneration(of: name)
            try links.change(name, queueLength: HoldLimits.queueLength, isUp: true)
        }
        self.owned = owned
        self.name = name
    }

    private static func open() throws(SystemCallError) -> OwnedDescriptor {
        let flags = O_RDWR | O_CLOEXEC | O_NONBLOCK
        let number = try check("open", path) { unsafe Int(Glibc.open(path, flags)) }
        return OwnedDescriptor(adopting: FileDescriptor(rawValue: Int32(number)))
    }

    private static func makeDevice(_ descriptor: FileDescriptor) throws(SystemCallError) -> InterfaceName {
        var request = unsafe ifreq()
        unsafe withUnsafeMutableBytes(of: &request.ifr_ifrn) { unsafe $0.copyBytes(from: pattern.utf8) }
        unsafe request.ifr_ifru.ifru_flags = Int16(IFF_TUN | IFF_NO_PI)
        _ = try check("make", "a TUN device") {
            unsafe Int(ioctl(descriptor.rawValue, UInt(kex_tunsetiff), &request))
        }
        let bytes = unsafe withUnsafeBytes(of: &request.ifr_ifrn) { unsafe Array($0.prefix { $0 != 0 }) }
        guard let name = InterfaceName(String(decoding: bytes, as: UTF8.self)) else {
            throw SystemCallError("make", "a TUN device", errno: .invalidArgument)
        }
        return name
    }

    var descriptor: FileDescriptor { owned.raw }

    /// The next packet, from its IP header on; `nil` if none waits.
    mutating func read() throws(SystemCallError) -> [UInt8]? {
        let raw = owned.raw.rawValue
        let count = try checkWithoutWaiting("read from", name.text) {
            unsafe buffer.withUnsafeMutableBytes { unsafe Glibc.read(raw, $0.baseAddress, $0.count) }
        }
        return count.map { Array(buffer[..<$0]) }
    }
}
