internal import CLinux
internal import Glibc
internal import SystemPackage

/// An account of the machine.
public struct UserAccount: Hashable, Sendable {
    public let user: UInt32
    /// Its primary group.
    public let group: UInt32

    public init(user: UInt32, group: UInt32) {
        self.user = user
        self.group = group
    }

    /// The one of that name; `nil` if there is none. Source: getpwnam(3).
    public init?(named name: String) {
        guard let entry = unsafe getpwnam(name) else { return nil }
        user = unsafe entry.pointee.pw_uid
        group = unsafe entry.pointee.pw_gid
    }
}

/// What this process may do.
public enum OwnRights {
    /// Gives everything up for good: groups, users, capabilities of all sets, and the way to get any of it back by
    /// running another program. Nobody but root may trace the process or have its memory written to a file, and it is
    /// killed when the thread ends that started it. What is open stays open.
    ///
    /// To be called before the process has a second thread: the kernel keeps capabilities for each.
    ///
    /// Source: capabilities(7), PR_SET_NO_NEW_PRIVS, PR_SET_DUMPABLE and PR_SET_PDEATHSIG of prctl(2).
    ///
    /// - Parameters:
    ///   - account: whose rights it has from then on. Not root.
    ///   - parent: number of the process that started this one.
    /// - Throws: EPERM if that takes rights that the process does not have, ESRCH if the parent has ended meanwhile,
    ///   and EPERM if afterwards there is a right left.
    public static func giveUp(for account: UserAccount, parent: Int32) throws(SystemCallError) {
        guard account.user != 0, account.group != 0 else {
            throw SystemCallError("give up rights", "for root", errno: .invalidArgument)
        }
        // The bounding set first, as long as CAP_SETPCAP is there.
        for capability in 0...maximumCapability where isBound(capability) {
            _ = try check("give up", "capability \(capability)") { prctl(PR_CAPBSET_DROP, UInt(capability)) }
        }
        _ = try check("give up", "the groups") { Int(setgroups(0, nil)) }
        let (user, group) = (account.user, account.group)
        _ = try check("become", "group \(group)") { Int(setresgid(group, group, group)) }
        _ = try check("become", "user \(user)") { Int(setresuid(user, user, user)) }
        var header = __user_cap_header_struct(version: version, pid: 0)
        var none = [__user_cap_data_struct](repeating: __user_cap_data_struct(), count: 2)
        // The ambient set goes with the permitted one.
        _ = try check("give up", "all capabilities") { unsafe Int(capset(&header, &none)) }
        _ = try check("give up", "new rights") { prctl(PR_SET_NO_NEW_PRIVS, 1) }
        _ = try check("forbid", "dumps of memory") { prctl(PR_SET_DUMPABLE, 0) }
        // After the change of the user, which clears it.
        _ = try check("end with", "the parent") { prctl(PR_SET_PDEATHSIG, UInt(SIGKILL)) }
        guard getppid() == parent else { throw SystemCallError("end with", "the parent", errno: .noSuchProcess) }
        if let left = remaining(account) { throw SystemCallError("give up", left, errno: .notPermitted) }
    }

    /// A right that is left; `nil` if there is none.
    static func remaining(_ account: UserAccount) -> String? {
        var (real, effective, saved) = (uid_t(0), uid_t(0), uid_t(0))
        guard unsafe getresuid(&real, &effective, &saved) == 0,
            [real, effective, saved].allSatisfy({ $0 == account.user })
        else { return "the user" }
        guard unsafe getresgid(&real, &effective, &saved) == 0,
            [real, effective, saved].allSatisfy({ $0 == account.group })
        else { return "the group" }
        guard getgroups(0, nil) == 0 else { return "the groups" }
        var header = __user_cap_header_struct(version: version, pid: 0)
        var sets = [__user_cap_data_struct](repeating: __user_cap_data_struct(), count: 2)
        guard unsafe capget(&header, &sets) == 0,
            sets.allSatisfy({ $0.effective | $0.permitted | $0.inheritable == 0 })
        else { return "capabilities" }
        for capability in 0...maximumCapability {
            if isBound(capability) { return "capability \(capability) of the bounding set" }
            if kex_prctl(PR_CAP_AMBIENT, UInt(PR_CAP_AMBIENT_IS_SET), UInt(capability)) == 1 {
                return "capability \(capability) of the ambient set"
            }
        }
        guard kex_prctl(PR_GET_NO_NEW_PRIVS, 0, 0) == 1 else { return "new rights" }
        guard kex_prctl(PR_GET_DUMPABLE, 0, 0) == 0 else { return "dumps of memory" }
        return nil
    }

    /// The kernel refuses to tell of those that it does not know.
    private static let maximumCapability: Int32 = 63
    private static let version = UInt32(_LINUX_CAPABILITY_VERSION_3)

    private static func isBound(_ capability: Int32) -> Bool {
        kex_prctl(PR_CAPBSET_READ, UInt(capability), 0) == 1
    }

    private static func prctl(_ option: Int32, _ argument: UInt) -> Int { Int(kex_prctl(option, argument, 0)) }
}
