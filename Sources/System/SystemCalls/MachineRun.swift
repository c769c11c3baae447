internal import CLinux
internal import Glibc
internal import SystemPackage

/// A number that every run of the machine, or of a container, has for itself; `nil` if this process may not see it.
///
/// Source: random(4), `boot_id`. The unit option `ProcSubset=pid` hides it; `%b` of systemd.unit(5) says it.
public func readBootID() -> String? {
    guard let bytes = try? File.read("/proc/sys/kernel/random/boot_id", limit: 128) else { return nil }
    return String(decoding: bytes.prefix { $0 > 0x20 }, as: UTF8.self)
}

/// A number that no other network namespace has had in this run of the machine. Zero before Linux 5.14.
///
/// Source: `SO_NETNS_COOKIE` of `asm-generic/socket.h`.
public func networkNamespaceCookie() throws(SystemCallError) -> UInt64 {
    let number = try check("open", "a netlink socket") {
        Int(CLinux.socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), NETLINK_ROUTE))
    }
    let socket = OwnedDescriptor(adopting: FileDescriptor(rawValue: Int32(number)))
    var cookie: UInt64 = 0
    var size = socklen_t(MemoryLayout<UInt64>.size)
    let result = unsafe getsockopt(socket.raw.rawValue, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size)
    return result == 0 ? cookie : 0
}
