import Foundation
import Testing
import WireGuardTypes

@testable import kex_client

@Suite("The file of the router's key") struct RouterKeyFileTests {
    @Test("is made once, for its owner only, and read from then on")
    func made() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/router.key"
        let (first, isNew) = try RouterKeyFile.load(path: path)
        #expect(isNew)
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(status.st_mode == S_IFREG | 0o600)
        let (second, isNewAgain) = try RouterKeyFile.load(path: path)
        #expect(!isNewAgain)
        #expect(first.bytes == second.bytes)
        #expect(first.bytes[0] & 7 == 0 && first.bytes[31] & 0xc0 == 0x40, "clamped as RFC 7748 asks")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["router.key"])
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.utf8.count == PublicKey.textLength + 1 && text.hasSuffix("\n"), "as wg genkey writes it")
    }

    @Test("is another one in each file")
    func random() throws {
        let folder = try TemporaryFolder()
        let keys = try (0..<8).map { try RouterKeyFile.load(path: folder.path + "/\($0)").key.bytes }
        #expect(Set(keys).count == 8)
    }

    @Test("is one that wg takes")
    func wg() throws {
        let folder = try TemporaryFolder()
        _ = try RouterKeyFile.load(path: folder.path + "/router.key")
        let run = try Program.run("/bin/sh", ["-c", "wg pubkey < \(folder.path)/router.key"])
        #expect(PublicKey(text: run.output.dropLast()) != nil)
    }

    @Test(
        "may have white space around the key, up to 64 bytes in all",
        arguments: [("\n", true), ("", true), (" \n\n", true), (String(repeating: "\n", count: 20), true)]
            + [(String(repeating: "\n", count: 21), false)]
    )
    func whiteSpace(end: String, isTaken: Bool) throws {
        let folder = try TemporaryFolder()
        let key = "mFg1Yoe3VvJkBhgCXE3uhqVJd2hwkYcbXhIUcnoxb1c="
        let path = try folder.file("router.key", key + end)
        chmod(path, 0o600)
        #expect(((try? RouterKeyFile.load(path: path)) != nil) == isTaken)
    }

    @Test(
        "is refused if it holds anything else, and stays as it is",
        arguments: ["", "\n", "x", "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw", "a b"]
    )
    func refused(content: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("router.key", content)
        let error = #expect(throws: Failure.self) { try RouterKeyFile.load(path: path) }
        #expect(error?.status == .configuration)
        #expect(error?.text.contains(path) == true)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == content)
        let command = try #require(error?.text.firstMatch(of: #/makes a new key: (.*)/#)?.1)
        #expect(try Program.run("/bin/sh", ["-c", String(command)]).status == 0)
        #expect(try RouterKeyFile.load(path: path).isNew)
    }

    @Test("says what is wrong if it cannot be read or made")
    func unusable() throws {
        let folder = try TemporaryFolder()
        let noFolder = #expect(throws: Failure.self) { try RouterKeyFile.load(path: folder.path + "/none/router.key") }
        #expect(noFolder?.status == .system)
        let command = try #require(noFolder?.text.firstMatch(of: #/its folder is missing: (.*)/#)?.1)
        #expect(try Program.run("/bin/sh", ["-c", String(command)]).status == 0)
        #expect(try RouterKeyFile.load(path: folder.path + "/none/router.key").isNew)
        let isFolder = #expect(throws: Failure.self) { try RouterKeyFile.load(path: folder.path) }
        #expect(isFolder?.text.contains("Is a directory") == true)
    }
}
