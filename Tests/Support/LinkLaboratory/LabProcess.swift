import Foundation
import Glibc
public import Patience

/// What a program said when it had ended.
public struct LabResult: Sendable {
    public let status: Int32
    public let output: String
    public let errors: String
}

public struct LabFailure: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// A program that was started for a test. It is killed with its owner.
public final class LabProcess {
    public let processIdentifier: Int32
    /// Where its output goes, and its errors too.
    public let log: String
    private let input: Int32
    /// `nil` while it runs; the exit status, or 128 and the signal that ended it.
    public private(set) var status: Int32?

    /// - Parameter words: the program, looked up in the path, and its arguments.
    init(_ words: [String], log: String, errors: String? = nil) throws {
        self.log = log
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0, ends.allSatisfy({ fcntl($0, F_SETFD, FD_CLOEXEC) == 0 }) else {
            throw LabFailure("no pipe")
        }
        input = ends[1]
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        if let errors {
            posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        } else {
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
        }
        // Nothing else that is open here is the program's business, and the threads of tests block signals.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let closeAll = "for fd in /proc/$$/fd/*; do fd=${fd##*/}; [ $fd -le 2 ] || eval \"exec $fd>&-\"; done"
        let all = ["/bin/bash", "-c", "\(closeAll); exec \"$@\"", "bash"] + words
        var pointers = all.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var number: pid_t = 0
        let result = posix_spawn(&number, all[0], &actions, &attributes, &pointers, environ)
        close(ends[0])
        guard result == 0 else {
            close(ends[1])
            throw LabFailure("cannot start \(words): \(String(cString: strerror(result)))")
        }
        processIdentifier = number
    }

    deinit {
        end(with: SIGKILL)
        close(input)
    }

    public var output: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

    public var isRunning: Bool {
        collect(WNOHANG)
        return status == nil
    }

    /// Writes a line to its input.
    public func say(_ line: String) throws {
        let bytes = Array("\(line)\n".utf8)
        guard write(input, bytes, bytes.count) == bytes.count else { throw LabFailure("\(log): nobody reads") }
    }

    /// Sends the signal and waits for the end.
    public func end(with signal: Int32) {
        guard isRunning else { return }
        kill(processIdentifier, signal)
        waitForEnd()
    }

    public func waitForEnd() { collect(0) }

    /// Waits until the output matches.
    @discardableResult
    public func waitFor<Output>(
        _ pattern: some RegexComponent<Output>,
        seconds: Double = Patience.program
    ) throws -> Output {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while true {
            if let match = output.firstMatch(of: pattern.regex) { return match.output }
            guard isRunning, Date() < deadline else { throw LabFailure("waited in vain for a line in: \(output)") }
            usleep(5000)
        }
    }

    private func collect(_ options: Int32) {
        guard status == nil else { return }
        var raw: Int32 = 0
        guard waitpid(processIdentifier, &raw, options) == processIdentifier else { return }
        status = raw & 0x7f == 0 ? raw >> 8 & 0xff : 128 + raw & 0x7f
    }
}

/// Waits until `condition` holds.
public func waitUntil(
    _ what: String,
    seconds: Double = Patience.program,
    every milliseconds: UInt32 = 5,
    _ condition: () throws -> Bool
) throws {
    let deadline = Date(timeIntervalSinceNow: seconds)
    while !(try condition()) {
        guard Date() < deadline else { throw LabFailure("waited \(seconds) s in vain: \(what)") }
        usleep(milliseconds * 1000)
    }
}
