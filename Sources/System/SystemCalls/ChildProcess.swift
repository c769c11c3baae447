internal import CLinux
internal import Glibc
public import SystemPackage
public import Time

/// A process that this one started, and that speaks with it over one descriptor. It is killed when its
/// owner goes away.
public struct ChildProcess: ~Copyable {
    /// Its number.
    public let number: Int32

    /// The descriptor at which a child finds its end of the conversation, behind the standard ones.
    public static let descriptor = FileDescriptor(rawValue: 3)

    /// How a process ended.
    public enum Ending: Hashable, Sendable, CustomStringConvertible {
        /// By itself, with this status.
        case exit(Int32)
        /// By a signal.
        case signal(Int32)

        public var description: String {
            switch self {
            case .exit(let status): "ended with status \(status)"
            case .signal(let number): "was ended by signal \(number)"
            }
        }
    }

    /// Starts a program, by itself this one again. It has nothing for input, this process's standard output and error, and no other
    /// descriptor than ``descriptor``; signals are as at the start of a program.
    ///
    /// Source: posix_spawn(3). `/proc/self/exe` is the program that runs, even if its file has been replaced.
    ///
    /// - Parameters:
    ///   - program: its path.
    ///   - arguments: what comes behind the name.
    ///   - environment: all of it, `NAME=value` each.
    ///   - descriptor: its end of the conversation, which stays open here.
    public init(
        name: String,
        program: String = "/proc/self/exe",
        arguments: [String],
        environment: [String],
        descriptor: FileDescriptor
    ) throws(SystemCallError) {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, descriptor.rawValue, Self.descriptor.rawValue)
        unsafe posix_spawn_file_actions_addclosefrom_np(&actions, Self.descriptor.rawValue + 1)
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var (none, all) = (sigset_t(), sigset_t())
        unsafe sigemptyset(&none)
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))
        var words = unsafe ([name] + arguments).map { unsafe strdup($0) } + [nil]
        var variables = unsafe environment.map { unsafe strdup($0) } + [nil]
        defer { unsafe (words + variables).forEach { unsafe free($0) } }
        var number = pid_t(0)
        let error = unsafe posix_spawn(&number, program, &actions, &attributes, &words, &variables)
        guard error == 0 else { throw SystemCallError("start", name, errno: Errno(rawValue: error)) }
        self.number = number
    }

    deinit {
        kill(number, SIGKILL)
        _ = Self.wait(number)
    }

    /// Kills it unless it has ended, and says how it ended.
    public consuming func end() -> Ending {
        kill(number, SIGKILL)
        let ending = Self.wait(number)
        discard self
        return ending
    }

    /// Waits until it has ended by itself, and kills it at `deadline`.
    public consuming func end(by deadline: MonotonicTime) -> Ending {
        let number = self.number
        discard self
        while MonotonicTime.now < deadline {
            if let ending = Self.waitWithoutPause(number) { return ending }
            (MonotonicTime.now + .milliseconds(5)).sleep()
        }
        kill(number, SIGKILL)
        return Self.wait(number)
    }

    private static func waitWithoutPause(_ number: Int32) -> Ending? {
        var status: Int32 = 0
        let result = unsafe waitpid(number, &status, WNOHANG)
        return result == number ? ending(status) : nil
    }

    private static func wait(_ number: Int32) -> Ending {
        var status: Int32 = 0
        while unsafe waitpid(number, &status, 0) == -1, errno == EINTR {}
        return ending(status)
    }

    /// WIFSIGNALED and the like of wait(2), macros that Swift does not import.
    private static func ending(_ status: Int32) -> Ending {
        status & 0x7f == 0 ? .exit(status >> 8 & 0xff) : .signal(status & 0x7f)
    }
}

/// Has this process listed under another name than that of its file, which for ``ChildProcess`` is `exe`. Call it before
/// there are threads.
///
/// Source: PR_SET_NAME of prctl(2), which takes 15 bytes.
public func setProcessName(_ name: String) {
    var bytes = Array(name.utf8.prefix(15)) + [0]
    _ = unsafe bytes.withUnsafeMutableBytes { kex_prctl(PR_SET_NAME, UInt(bitPattern: $0.baseAddress), 0) }
}
