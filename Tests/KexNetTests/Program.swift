import Foundation

/// One run of the program that was built together with these tests, in a folder of its own.
final class Workplace {
    let folder: URL

    struct Run {
        var status: Int32
        var output: String
        var errors: String
    }

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "kex-net-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    static let program = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        .appending(path: "kex-net")

    /// Runs `kex-net` to its end. Files stand in for pipes, so that no amount of output can block.
    func run(_ arguments: String..., input: String = "") throws -> Run {
        try run(arguments: arguments, input: input)
    }

    /// The same, with a list.
    func run(arguments: [String], input: String = "") throws -> Run {
        let process = Process()
        process.executableURL = Self.program
        process.arguments = arguments
        process.currentDirectoryURL = folder
        let streams = try ["stdin", "stdout", "stderr"].map { name in
            let file = folder.appending(path: ".\(name)")
            try Data(name == "stdin" ? input.utf8 : "".utf8).write(to: file)
            return file
        }
        process.standardInput = try FileHandle(forReadingFrom: streams[0])
        process.standardOutput = try FileHandle(forWritingTo: streams[1])
        process.standardError = try FileHandle(forWritingTo: streams[2])
        try process.run()
        process.waitUntilExit()
        return Run(
            status: process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus,
            output: try String(contentsOf: streams[1], encoding: .utf8),
            errors: try String(contentsOf: streams[2], encoding: .utf8)
        )
    }

    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: folder.appending(path: name))
    }

    func text(of name: String) throws -> String {
        try String(contentsOf: folder.appending(path: name), encoding: .utf8)
    }

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: folder.appending(path: name).path) }
}
