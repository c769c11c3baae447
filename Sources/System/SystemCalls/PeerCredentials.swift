internal import CLinux
internal import Glibc
public import SystemPackage

/// Who is at the other end of a Unix socket, as the kernel noted it when the connection was made.
public struct PeerCredentials: Hashable, Sendable {
    /// Its number when it connected; another process may have it by now.
    public let process: Int32
    /// The effective user.
    public let user: UInt32
    /// The primary group and the supplementary ones.
    public let groups: Set<UInt32>

    /// The user whose rights this process has.
    public static var ownUser: UInt32 { geteuid() }

    /// Most groups that a process can be in. Source: NGROUPS_MAX of `linux/limits.h`.
    private static let maximumGroups = 65536

    /// Asks the kernel. Source: SO_PEERCRED of unix(7); SO_PEERGROUPS, Linux 4.13.
    public init(of descriptor: FileDescriptor) throws(SystemCallError) {
        let credentials = try Socket.get(SOL_SOCKET, SO_PEERCRED, of: descriptor, as: kex_ucred.self)
        process = credentials.pid
        user = credentials.uid
        var supplementary = [gid_t](repeating: 0, count: 32)
        var length = socklen_t(0)
        while true {
            length = socklen_t(supplementary.count * MemoryLayout<gid_t>.size)
            let result = unsafe getsockopt(descriptor.rawValue, SOL_SOCKET, SO_PEERGROUPS, &supplementary, &length)
            if result == 0 { break }
            let failure = Errno(rawValue: errno)
            guard failure == .outOfRange, supplementary.count < Self.maximumGroups else {
                throw SystemCallError("get the groups of", "process \(process)", errno: failure)
            }
            supplementary = [gid_t](repeating: 0, count: supplementary.count * 2)
        }
        groups = Set(supplementary.prefix(Int(length) / MemoryLayout<gid_t>.size)).union([credentials.gid])
    }
}

extension PeerCredentials {
    /// Whether this peer may use the socket whose file is at `path`: root, this process's own user, and members of the
    /// group that the file belongs to. The kernel asks the same of the file's mode; this is for the day when the mode
    /// is wrong. A file of group root admits no group.
    public func mayUse(socketAt path: String) throws(SystemCallError) -> Bool {
        if user == 0 || user == Self.ownUser { return true }
        let group = try Socket.group(ofFileAt: path)
        return group != 0 && groups.contains(group)
    }
}
