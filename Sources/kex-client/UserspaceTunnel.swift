internal import CLinux
internal import Glibc
internal import NetworkAddresses
internal import SystemCalls
internal import SystemPackage
internal import Time

/// Starting wireguard-go, for kernels without WireGuard.
enum UserspaceTunnel {
    /// Time for it to make its interface and go to the background. It takes 15 ms (measured).
    static let startLimit = Duration.seconds(5)
    /// Longest output kept, in bytes, for the error message.
    static let outputSize = 4096

    /// Makes the interface `name` with wireguard-go, which goes on in the background until the interface is deleted.
    static func start(_ name: InterfaceName) throws(Failure) {
        let (status, output): (Int32, String)
        do throws(SystemCallError) {
            (status, output) = try run("wireguard-go", [name.text])
        } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw Failure(.system, "\(error)") }
            throw Failure(
                .system,
                """
                cannot make WireGuard interface \(name): this kernel has no WireGuard, and there is no wireguard-go
                load the module (modprobe wireguard), or install wireguard-go (Debian: apt install wireguard-go)
                """
            )
        }
        guard status == 0 else {
            // Its last line says what happened; a banner comes before.
            let reason = output.split(separator: "\n").last ?? "status \(status)"
            throw Failure(.system, "cannot make WireGuard interface \(name): wireguard-go: \(reason)")
        }
    }

    /// Waits until the process behind `name` has taken its socket away, which is the last thing that it does. Until
    /// then a new interface of the same name could not be told from the old one.
    static func waitForEnd(of name: InterfaceName, within time: Duration) throws(Failure) {
        let path = "/run/wireguard/\(name).sock"
        let deadline = MonotonicTime.now + time
        while unsafe access(path, F_OK) == 0 {
            guard MonotonicTime.now < deadline else {
                throw Failure(.system, "the process behind \(name) does not end; its socket is \(path)")
            }
            (MonotonicTime.now + .milliseconds(10)).sleep()
        }
    }

    /// Runs a program without input and waits for its end.
    ///
    /// - Returns: its wait status, and the beginning of what it printed.
    private static func run(
        _ program: String,
        _ arguments: [String]
    ) throws(SystemCallError) -> (status: Int32, output: String) {
        let pipe: (readEnd: FileDescriptor, writeEnd: FileDescriptor)
        do {
            pipe = try FileDescriptor.pipe()
        } catch {
            throw SystemCallError("make a pipe for", program, errno: error as? Errno ?? .noMemory)
        }
        let reading = OwnedDescriptor(adopting: pipe.readEnd)
        var process = pid_t(0)
        do {
            let writing = OwnedDescriptor(adopting: pipe.writeEnd)
            let error = spawn(program, arguments, output: writing.raw, &process)
            guard error == 0 else { throw SystemCallError("start", program, errno: Errno(rawValue: error)) }
        }
        var output: [UInt8] = []
        let deadline = MonotonicTime.now + startLimit
        while output.count < outputSize, try Socket.wait(for: .readable, of: reading.raw, until: deadline) {
            var buffer = [UInt8](repeating: 0, count: outputSize)
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe read(reading.raw.rawValue, $0.baseAddress, $0.count)
            }
            guard count > 0 else { break }
            output += buffer[..<count]
        }
        var status: Int32 = 0
        while unsafe waitpid(process, &status, WNOHANG) == 0 {
            guard MonotonicTime.now < deadline else {
                kill(process, SIGKILL)
                _ = unsafe waitpid(process, &status, 0)
                throw SystemCallError("wait for", program, errno: .timedOut)
            }
            (MonotonicTime.now + .milliseconds(5)).sleep()
        }
        return (status, String(decoding: output, as: UTF8.self))
    }

    /// posix_spawnp(3) with `/dev/null` as input and both outputs in one descriptor.
    ///
    /// The environment has nothing but PATH: LOG_LEVEL would make wireguard-go keep its outputs open.
    private static func spawn(
        _ program: String,
        _ arguments: [String],
        output: FileDescriptor,
        _ process: inout pid_t
    ) -> Int32 {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, output.rawValue, STDOUT_FILENO)
        unsafe posix_spawn_file_actions_adddup2(&actions, output.rawValue, STDERR_FILENO)
        // The program in the background must keep nothing open, the pipe above all.
        unsafe posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1)
        let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "/usr/sbin:/usr/bin:/sbin:/bin"
        var words = unsafe ([program] + arguments).map { unsafe strdup($0) } + [nil]
        var environment = unsafe [strdup("PATH=\(path)"), nil]
        defer { unsafe (words + environment).forEach { unsafe free($0) } }
        return unsafe posix_spawnp(&process, program, &actions, nil, &words, &environment)
    }
}
