import Foundation
import NetworkAddresses
import TenantModel
import Testing

/// A process that writes a ledger: Tests/Support/Scribe.
final class Scribe {
    let process = Process()
    private let output = Pipe()
    private let errors = Pipe()

    /// - Parameter bytes: where it is stopped, behind the end of the file; less than zero where it gets an error instead.
    init(_ ledger: String, _ network: String, _ count: Int, bytes: Int? = nil) throws {
        process.executableURL = Self.program
        process.arguments = [ledger, network, "\(count)"] + (bytes.map { ["\($0)"] } ?? [])
        process.standardOutput = output
        process.standardError = errors
        try process.run()
    }

    /// Where `swift test` has put the program: beside the test bundle.
    static let program = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("kex-scribe")

    /// Waits until it has told so many, and kills it there and then.
    func kill(after count: Int) {
        var lines = 0
        while lines < count {
            let data = output.fileHandleForReading.availableData
            if data.isEmpty { break }
            told += data
            lines = told.count { $0 == 0x0a }
        }
        Foundation.kill(process.processIdentifier, SIGKILL)
    }

    private var told = Data()

    /// What it told until its end, how it ended, and what it complained of.
    func end() throws -> (told: [MemberID: Segment], status: Int32, complaint: String) {
        told += try output.fileHandleForReading.readToEnd() ?? Data()
        let complaint = try errors.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        let lines = String(decoding: told, as: UTF8.self).split(separator: "\n")
        let pairs = try lines.map { line in
            let words = line.split(separator: " ").map(String.init)
            let names = words[0].split(separator: "/").map(String.init)
            let member = MemberID(network: try #require(NetworkName(names[0])), node: try #require(NodeName(names[1])))
            return (member, try #require(IPv6Prefix(words[1]).flatMap(Segment.init)))
        }
        return (
            Dictionary(uniqueKeysWithValues: pairs), process.terminationStatus,
            String(decoding: complaint, as: UTF8.self)
        )
    }
}

/// A folder that goes away with the test.
final class Folder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "kex-ledger-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: file(name)))) }

    func write(_ bytes: some Collection<UInt8>, to name: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
    }

    func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
}
