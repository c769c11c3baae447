import Foundation
import Glibc

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// A program that runs beside this one. Its output goes to a file.
final class Program {
    let process: pid_t
    private let log: String
    private var isRunning = true
    /// Kept open as long as the program should run.
    private let input: FileHandle

    /// - Parameter words: the program and its arguments. The program is looked for in `PATH`.
    init(_ words: [String], log: String) throws {
        self.log = log
        let pipe = Pipe()
        for handle in [pipe.fileHandleForReading, pipe.fileHandleForWriting] {
            _ = fcntl(handle.fileDescriptor, F_SETFD, FD_CLOEXEC)
        }
        process = try spawn(words, output: log, input: pipe.fileHandleForReading.fileDescriptor)
        input = pipe.fileHandleForWriting
    }

    deinit { end(with: SIGKILL) }

    func end(with signal: Int32 = SIGTERM) {
        guard isRunning else { return }
        isRunning = false
        kill(process, signal)
        waitpid(process, nil, 0)
    }

    var output: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

    /// Waits until the output has the text; returns the rest of that line.
    @discardableResult
    func wait(for text: String, seconds: Double = 60) throws -> String {
        let deadline = now() + seconds
        while now() < deadline {
            if let place = output.range(of: text) {
                let rest = output[place.upperBound...]
                if let end = rest.firstIndex(of: "\n") { return String(rest[..<end]) }
            }
            var status: Int32 = 0
            guard waitpid(process, &status, WNOHANG) == 0 else {
                isRunning = false
                break
            }
            usleep(200)
        }
        throw Failure("no \"\(text)\" in what \(log) says:\n\(output.suffix(2000))")
    }

    /// Memory in bytes that is in use for it.
    var residentBytes: Double { bytes("VmRSS:") }

    /// The most that was, so far.
    var peakBytes: Double { bytes("VmHWM:") }

    /// Processor time of the program so far, in seconds.
    var processorTime: Double {
        let text = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
        // Fields 14 and 15 of proc_pid_stat(5); the second may have blanks and ends with the last parenthesis.
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Waits until the program has nothing to do: not a tick of the clock in half a second.
    func settle(seconds: Double = 120) throws {
        let deadline = now() + seconds
        var before = -1.0
        while processorTime != before {
            guard now() < deadline else { throw Failure("process \(process) is still busy after \(seconds) s") }
            before = processorTime
            usleep(500_000)
        }
    }

    private func bytes(_ name: String) -> Double {
        let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix(name) } ?? ""
        return (Double(line.split(whereSeparator: { !$0.isNumber }).first ?? "0") ?? 0) * 1024
    }

    var openDescriptors: Int {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd")) ?? []).count
    }
}

struct Outcome {
    let output: String
    let seconds: Double
}

/// Runs a program to its end. Time is from its start to its end, without the reading of its output.
@discardableResult
func run(_ words: String..., input: String? = nil) throws -> Outcome { try run(words, input: input) }

@discardableResult
func run(_ words: [String], input: String? = nil) throws -> Outcome {
    let log = "\(Workplace.folder)/output"
    unlink(log)
    var source: FileHandle?
    if let input { source = FileHandle(forReadingAtPath: input) }
    let start = now()
    let process = try spawn(words, output: log, input: source?.fileDescriptor ?? -1)
    var status: Int32 = 0
    waitpid(process, &status, 0)
    let seconds = now() - start
    let output = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
    guard status == 0 else { throw Failure("status \(status >> 8) of \(words.joined(separator: " ")):\n\(output)") }
    return Outcome(output: output, seconds: seconds)
}

/// Runs a line of words.
@discardableResult
func sh(_ line: String) throws -> String {
    try run(line.split(separator: " ").map(String.init)).output.trimmingCharacters(in: .newlines)
}

private func spawn(_ words: [String], output: String, input: Int32) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if input >= 0 {
        posix_spawn_file_actions_adddup2(&actions, input, 0)
    } else {
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    var arguments = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var process: pid_t = 0
    let result = posix_spawnp(&process, words[0], &actions, nil, &arguments, environ)
    guard result == 0 else { throw Failure("cannot start \(words[0]): \(String(cString: strerror(result)))") }
    return process
}

/// A folder of this run, and names that no other run has.
enum Workplace {
    static let folder: String = {
        let path = "/run/kex-bench-\(getpid())"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }()

    /// Part of the names of interfaces: userspace WireGuard's sockets belong to all namespaces.
    static let tag = String(getpid() % 1_000_000, radix: 36)

    static func write(_ text: String, to name: String) throws -> String {
        let path = "\(folder)/\(name)"
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        return path
    }

    static func remove() { try? FileManager.default.removeItem(atPath: folder) }
}

/// For people who wait.
func say(_ text: String) {
    FileHandle.standardError.write(Data("\(text)\n".utf8))
}
