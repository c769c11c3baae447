import Foundation
import Testing

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
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        let (output, errors, stdin) = (Pipe(), Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = stdin
        try process.run()
        stdin.fileHandleForWriting.write(Data(input.utf8))
        try stdin.fileHandleForWriting.close()
        let (outputData, errorData) = (output.fileHandleForReading.readDataToEndOfFile(), readToEnd(errors))
        process.waitUntilExit()
        return Result(
            status: process.terminationStatus,
            output: String(decoding: outputData, as: UTF8.self),
            errors: String(decoding: errorData, as: UTF8.self)
        )
    }

    private static func readToEnd(_ pipe: Pipe) -> Data { pipe.fileHandleForReading.readDataToEndOfFile() }

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

/// A program in the background, its output in a file. It is killed with its owner.
final class Daemon {
    private let process = Process()
    let log: String

    init(_ arguments: [String], log: String) throws {
        self.log = log
        FileManager.default.createFile(atPath: log, contents: nil)
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        try handle.seekToEnd()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = handle
        process.standardError = handle
        try process.run()
    }

    deinit { end(with: SIGKILL) }

    var processIdentifier: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }
    var output: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

    /// Sends the signal and waits for the end. `ip netns exec` becomes the program it runs, so the number is right.
    func end(with signal: Int32) {
        guard process.isRunning else { return }
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
    }

    var status: Int32 { process.terminationStatus }

    /// Waits until the output matches.
    @discardableResult
    func waitFor<Output>(_ pattern: some RegexComponent<Output>, seconds: Double = 10) throws -> Output {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while true {
            if let match = output.firstMatch(of: pattern.regex) { return match.output }
            guard process.isRunning, Date() < deadline else {
                throw Failure("\(process.arguments?.first ?? "") does not say what it should: \(output)")
            }
            usleep(5000)
        }
    }
}

/// Waits until `condition` holds.
func wait(seconds: Double = 10, for what: String, _ condition: () throws -> Bool) throws {
    let deadline = Date(timeIntervalSinceNow: seconds)
    while !(try condition()) {
        guard Date() < deadline else { throw Failure("waited \(seconds) s in vain for \(what)") }
        usleep(10000)
    }
}
