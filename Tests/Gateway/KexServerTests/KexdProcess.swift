import Foundation
import SystemCalls
import SystemPackage

/// The real program, built by the same build as the tests.
final class KexdProcess {
    /// What it wrote to standard output and standard error, and its exit status.
    struct Result: Equatable {
        var output: String
        var status: Int32
    }

    private let process = Process()
    private let pipe = Pipe()
    private var output = ""

    static var path: String {
        get throws {
            let tests = URL(
                fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            )
            return tests.deletingLastPathComponent().appendingPathComponent("kexd").path
        }
    }

    /// Starts it with these arguments; `shell` may say something before that, like `ulimit -n 20`.
    init(_ arguments: [String], shell: String? = nil, standardInput: FileHandle = .nullDevice) throws {
        let path = try Self.path
        process.executableURL = URL(fileURLWithPath: shell == nil ? path : "/bin/sh")
        process.arguments = shell.map { ["-c", "\($0) exec \"$0\" \"$@\"", path] + arguments } ?? arguments
        process.standardInput = standardInput
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        try pipe.fileHandleForWriting.close()
    }

    /// A running listener with one domain, `ffww01`.
    static func listening(
        handler: String,
        _ arguments: [String] = ["--listen", "127.0.0.1:0"],
        shell: String? = nil
    ) throws -> (process: KexdProcess, port: UInt16) {
        let configuration = try ConfigurationFile()
        let all = ["--config", configuration.path, "--handler", handler] + arguments
        let process = try KexdProcess(all, shell: shell)
        let line = try process.waitForLine(containing: "listening on ")
        guard let colon = line.lastIndex(of: ":"), let port = UInt16(line[line.index(after: colon)...]) else {
            throw TimedOut(what: "a port in \(line)")
        }
        return (process, port)
    }

    var number: Int32 { process.processIdentifier }

    func signal(_ signal: Int32) { kill(number, signal) }

    /// Waits for a line of output.
    func waitForLine(containing text: String) throws -> String {
        while true {
            if let line = output.split(separator: "\n").first(where: { $0.contains(text) }), output.hasSuffix("\n") {
                return String(line)
            }
            guard try readMore() else { throw TimedOut(what: "\(text) in: \(output)") }
        }
    }

    /// What it has written so far. Does not wait.
    func linesSoFar() throws -> [Substring] {
        var entry = pollfd(fd: pipe.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
        while poll(&entry, 1, 0) == 1, try readMore() {}
        return output.split(separator: "\n")
    }

    /// Waits for the end of the process.
    func result() throws -> Result {
        while try readMore() {}
        process.waitUntilExit()
        return Result(output: output, status: process.terminationStatus)
    }

    /// Adds what there is to the output; false at its end.
    private func readMore() throws -> Bool {
        let descriptor = FileDescriptor(rawValue: pipe.fileHandleForReading.fileDescriptor)
        try wait(for: descriptor, "output of kexd")
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = try buffer.withUnsafeMutableBytes { try descriptor.read(into: $0) }
        output += String(decoding: buffer[..<count], as: UTF8.self)
        return count > 0
    }

    /// Seconds of processor time that it has used.
    func processorTime() throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(number)/stat", encoding: .utf8)
        let fields = text[text.index(after: text.lastIndex(of: ")")!)...].split(separator: " ")
        return Double(Int(fields[11])! + Int(fields[12])!) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    deinit {
        if process.isRunning { signal(SIGKILL) }
        process.waitUntilExit()
    }
}

/// A configuration with one domain, gone with this object.
final class ConfigurationFile {
    let path = "/tmp/kex-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).conf"

    init(_ text: String = "[Gateway]\nUnlimitedSources=127.0.0.0/8\n[Domain ffww01]\nWireGuard=wgww01\nVXLAN=vxww01\n")
        throws
    {
        try text.write(toFile: path, atomically: false, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
