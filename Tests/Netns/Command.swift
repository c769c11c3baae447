import Foundation
import Patience
import Testing
import Glibc

/// Programs that the tests run: those of this package by their path, all others by name.
enum Command {
    /// Where `swift test` has put the programs: beside the test bundle.
    static func path(of program: String) -> String {
        let tests = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        return tests.deletingLastPathComponent().appendingPathComponent(program).path
    }

    struct Result {
        let status: Int32
        let output: String
        let errors: String
    }

    /// Runs a program to its end.
    static func run(_ program: String, _ arguments: [String], input: String = "") throws -> Result {
        // Files and not pipes: nothing can fill up, whatever the program writes first.
        let folder = NSTemporaryDirectory() + "kex-command-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let files = ["input", "output", "errors"].map { "\(folder)/\($0)" }
        try input.write(toFile: files[0], atomically: false, encoding: .utf8)
        let child = try Child([program] + arguments, input: files[0], output: files[1], errors: files[2])
        child.waitForEnd()
        return Result(
            status: child.status ?? -1,
            output: try String(contentsOfFile: files[1], encoding: .utf8),
            errors: try String(contentsOfFile: files[2], encoding: .utf8)
        )
    }

    /// Runs a program that must succeed, given as one line of words, and returns what it printed.
    @discardableResult
    static func check(_ line: String, input: String = "") throws -> String {
        let words = line.split(separator: " ").map(String.init)
        let result = try run(words[0], Array(words.dropFirst()), input: input)
        guard result.status == 0 else { throw Failure("\(line): status \(result.status): \(result.errors)") }
        return result.output
    }
}

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A process that this one has started. (Foundation's `Process` leaves a socket of its own open in the program, where a
/// test that counts sockets would find it.)
final class Child {
    let processIdentifier: Int32
    /// `nil` while it runs; the exit status, or 128 and the signal that ended it.
    private(set) var status: Int32?

    init(_ arguments: [String], input: String, output: String, errors: String) throws {
        // Nothing else that is open here is the program's business.
        let closeAll = "for fd in /proc/$$/fd/*; do fd=${fd##*/}; [ $fd -le 2 ] || eval \"exec $fd>&-\"; done"
        let all = ["/bin/bash", "-c", "\(closeAll); exec \"$@\"", "bash"] + arguments
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        if errors == output {
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
        } else {
            posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        }
        // The threads of the tests block signals, and a child of theirs would never hear of SIGTERM.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var words = all.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var number: pid_t = 0
        let result = posix_spawn(&number, all[0], &actions, &attributes, &words, environ)
        guard result == 0 else { throw Failure("cannot start \(arguments): \(String(cString: strerror(result)))") }
        processIdentifier = number
    }

    var isRunning: Bool {
        collect(WNOHANG)
        return status == nil
    }

    func waitForEnd() { collect(0) }

    private func collect(_ options: Int32) {
        guard status == nil else { return }
        var raw: Int32 = 0
        guard waitpid(processIdentifier, &raw, options) == processIdentifier else { return }
        status = raw & 0x7f == 0 ? raw >> 8 & 0xff : 128 + raw & 0x7f
    }
}

/// A program in the background, its output in a file. It is killed with its owner.
final class Daemon {
    let arguments: [String]
    private let child: Child
    private let log: String

    init(_ arguments: [String], log: String) throws {
        self.arguments = arguments
        self.log = log
        child = try Child(arguments, input: "/dev/null", output: log, errors: log)
    }

    deinit { end(with: SIGKILL) }

    /// `ip netns exec` and the like become the program that they run, so the number is the program's.
    var processIdentifier: Int32 { child.processIdentifier }
    var isRunning: Bool { child.isRunning }
    var status: Int32? { child.status }
    var output: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

    /// Sends the signal and waits for the end.
    func end(with signal: Int32) {
        guard child.isRunning else { return }
        kill(child.processIdentifier, signal)
        child.waitForEnd()
    }

    /// Waits until it ends by itself.
    func waitForEnd() { child.waitForEnd() }

    /// Waits until the output matches.
    @discardableResult
    func waitFor<Output>(_ pattern: some RegexComponent<Output>, seconds: Double = Patience.program) throws -> Output {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while true {
            if let match = output.firstMatch(of: pattern.regex) { return match.output }
            guard isRunning, Date() < deadline else { throw Failure("waited in vain for a line in: \(output)") }
            usleep(5000)
        }
    }
}

/// Waits until `condition` holds.
func wait(seconds: Double = Patience.program, for what: String, _ condition: () throws -> Bool) throws {
    let deadline = Date(timeIntervalSinceNow: seconds)
    while !(try condition()) {
        guard Date() < deadline else { throw Failure("waited \(seconds) s in vain for \(what)") }
        usleep(10000)
    }
}

/// What a process has used of processors, in seconds. Source: fields 14 and 15 of proc_pid_stat(5), in ticks of
/// USER_HZ.
func processorTime(of process: Int32) throws -> Double {
    let stat = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
    let fields = stat[stat.index(after: try #require(stat.lastIndex(of: ")")))...].split(separator: " ")
    return ((Double(fields[11]) ?? 0) + (Double(fields[12]) ?? 0)) / Double(sysconf(Int32(_SC_CLK_TCK)))
}

/// Stops a process, and waits until all of it stands still: on a busy machine its threads may go on for a while after
/// the signal.
func stop(_ process: pid_t) throws {
    kill(process, SIGSTOP)
    try wait(for: "process \(process) to stand still") {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task").allSatisfy { thread in
            let stat = try String(contentsOfFile: "/proc/\(process)/task/\(thread)/stat", encoding: .utf8)
            return stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].dropFirst(2).first == "T"
        }
    }
}
