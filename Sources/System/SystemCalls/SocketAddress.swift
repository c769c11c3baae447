internal import CLinux
public import NetworkAddresses

/// An address in the shape that socket calls take, of any family, without an allocation.
public struct SocketAddress: Sendable {
    private var storage = sockaddr_storage()
    private var length = socklen_t(MemoryLayout<sockaddr_storage>.size)

    /// Room for an address that a call will fill in.
    init() {}

    /// The address of a TCP or UDP endpoint.
    public init(_ endpoint: Endpoint) {
        switch endpoint {
        case .v4(let address, let port):
            var v4 = sockaddr_in()
            v4.sin_family = sa_family_t(AF_INET)
            v4.sin_port = port.bigEndian
            v4.sin_addr.s_addr = address.value.bigEndian
            fill(with: v4)
        case .v6(let address, let port, let scope):
            var v6 = sockaddr_in6()
            v6.sin6_family = sa_family_t(AF_INET6)
            v6.sin6_port = port.bigEndian
            v6.sin6_scope_id = scope
            unsafe withUnsafeMutableBytes(of: &v6.sin6_addr) { unsafe $0.copyBytes(from: address.bytes) }
            fill(with: v6)
        }
    }

    /// Longest path of a Unix socket in bytes, without the terminating NUL. Source: unix(7).
    public static let maximumPathLength = 107

    /// The address of a Unix socket in the file system, or `nil` if `path` is empty, has a NUL in it, or is longer
    /// than ``maximumPathLength``.
    public init?(path: String) {
        let bytes = Array(path.utf8)
        guard (1...Self.maximumPathLength).contains(bytes.count), !bytes.contains(0) else { return nil }
        var unix = sockaddr_un()
        unix.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &unix.sun_path) { unsafe $0.copyBytes(from: bytes) }
        fill(with: unix)
    }

    /// The address of a Unix socket as systemd writes it in the environment: a path, or `@` and a name in the kernel's
    /// own space of names. Source: `NOTIFY_SOCKET` in sd_notify(3), "Abstract" in unix(7).
    public init?(environment text: String) {
        self.init(path: text)
        guard text.hasPrefix("@") else { return }
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? MemoryLayout<sa_family_t>.size
        unsafe withUnsafeMutableBytes(of: &storage) { unsafe $0[offset] = 0 }
        // The length says where an abstract name ends.
        length = socklen_t(offset + text.utf8.count)
    }

    /// A copy of what a call returned, or `nil` if there is nothing or too much.
    init?(copying address: UnsafePointer<sockaddr>?, length: socklen_t) {
        guard let address = unsafe address, Int(length) <= MemoryLayout<sockaddr_storage>.size else { return nil }
        let bytes = unsafe UnsafeRawBufferPointer(start: address, count: Int(length))
        unsafe withUnsafeMutableBytes(of: &storage) { unsafe $0.copyMemory(from: bytes) }
        self.length = length
    }

    /// The address in these bytes of any `sockaddr`, or `nil` if they are too many.
    public init?(bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= MemoryLayout<sockaddr_storage>.size else { return nil }
        unsafe withUnsafeMutableBytes(of: &storage) { unsafe $0.copyMemory(from: bytes) }
        length = socklen_t(bytes.count)
    }

    /// `Address` is one of the C structs above, which are plain bytes.
    private mutating func fill<Address>(with address: Address) {
        unsafe withUnsafeBytes(of: address) { address in
            unsafe withUnsafeMutableBytes(of: &storage) { unsafe $0.copyMemory(from: address) }
        }
        length = socklen_t(MemoryLayout<Address>.size)
    }

    /// AF_INET, AF_INET6, AF_UNIX.
    var family: Int32 { Int32(storage.ss_family) }

    /// The endpoint, or `nil` if the address is not one of IPv4 or IPv6.
    public var endpoint: Endpoint? {
        unsafe withUnsafeBytes(of: storage) { bytes in
            switch family {
            case AF_INET:
                let v4 = unsafe bytes.load(as: sockaddr_in.self)
                return .v4(
                    IPv4Address(value: UInt32(bigEndian: v4.sin_addr.s_addr)),
                    port: UInt16(bigEndian: v4.sin_port)
                )
            case AF_INET6:
                let v6 = unsafe bytes.load(as: sockaddr_in6.self)
                guard let address = unsafe withUnsafeBytes(of: v6.sin6_addr, { unsafe IPv6Address(bytes: $0) })
                else { return nil }
                return .v6(address, port: UInt16(bigEndian: v6.sin6_port), scope: v6.sin6_scope_id)
            default:
                return nil
            }
        }
    }

    /// The path of a Unix socket, or `nil` if the address is none or has no name.
    public var path: String? {
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? MemoryLayout<sa_family_t>.size
        guard family == AF_UNIX, Int(length) > offset else { return nil }
        let name = unsafe withUnsafeBytes(of: storage) { unsafe Array($0[offset..<Int(length)]) }.prefix { $0 != 0 }
        return name.isEmpty ? nil : String(decoding: name, as: UTF8.self)
    }

    /// Lends the address to a call that reads it.
    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        unsafe withUnsafeBytes(of: storage) { bytes in
            // A whole sockaddr_storage is never empty.
            unsafe body(bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), length)
        }
    }

    /// Lends the address to a call that writes it.
    mutating func withMutablePointer<Result>(
        _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Result
    ) -> Result {
        length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return unsafe withUnsafeMutableBytes(of: &storage) { bytes in
            unsafe body(bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
        }
    }
}
