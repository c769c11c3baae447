import CLinux
import Foundation
import Testing

/// One run of the real program.
struct ProgramRun: Sendable {
    /// The exit status, or the number of the signal that ended it, negative.
    var status: Int32
    var output: String
    var errors: String
    /// Seconds from start to end.
    var time: Double
}

enum Program {
    /// The program that was built together with these tests.
    static let clientPath = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
        .map { URL(fileURLWithPath: $0).deletingLastPathComponent().appendingPathComponent("kex-client").path }!

    /// Runs `kex-client` with `arguments`.
    static func client(_ arguments: String..., input: String = "") throws -> ProgramRun {
        try run(clientPath, arguments, input: input)
    }

    /// Runs the program at `path` to its end. Files stand in for pipes, so that no amount of output can block.
    static func run(_ path: String, _ arguments: [String], input: String = "") throws -> ProgramRun {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("kex-client-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let files = ["input", "output", "errors"].map { folder.appendingPathComponent($0) }
        try Data(input.utf8).write(to: files[0])
        for file in files[1...] { try Data().write(to: file) }
        // Not Foundation's Process: it waits for everything that inherited its descriptors, so for wireguard-go too.
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (descriptor, file) in files.enumerated() {
            let mode = descriptor == 0 ? O_RDONLY : O_WRONLY
            posix_spawn_file_actions_addopen(&actions, Int32(descriptor), file.path, mode, 0)
        }
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        var words = ([path] + arguments).map { strdup($0) } + [nil]
        defer { words.forEach { free($0) } }
        let start = Date()
        var process = pid_t(0)
        let error = posix_spawn(&process, path, &actions, nil, &words, environ)
        guard error == 0 else { throw POSIXError(POSIXErrorCode(rawValue: error) ?? .EINVAL) }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        return ProgramRun(
            status: status & 0x7f == 0 ? status >> 8 & 0xff : -(status & 0x7f),
            output: try String(contentsOf: files[1], encoding: .utf8),
            errors: try String(contentsOf: files[2], encoding: .utf8),
            time: Date().timeIntervalSince(start)
        )
    }
}

/// A folder for one test. It goes with the test.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("kex-client-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file and returns its path.
    func file(_ name: String, _ content: String) throws -> String {
        let path = "\(self.path)/\(name)"
        try Data(content.utf8).write(to: URL(fileURLWithPath: path))
        return path
    }
}
