import Foundation
import NetworkAddresses
import Surroundings
import SystemCalls
import SystemPackage
import TenantLedger
import TenantModel
import Testing

@testable import TenantLedgerFile

@Suite("The file of a ledger") struct LedgerFileTests {
    private let now = LedgerTime("2026-11-29T06:30:00Z")!
    private let allocation = Allocation(prefix: IPv6Prefix("2001:db8:0:10::/60")!, number: 0)!

    private func member(_ name: String) -> MemberID {
        MemberID(network: NetworkName("acme")!, node: NodeName(name)!)
    }

    @discardableResult
    private func allocate(_ name: String, in file: LedgerFile) throws(LedgerFileError) -> Segment {
        try file.update { ledger throws(LedgerRefusal) in
            try ledger.prefix(for: member(name), from: [allocation], at: now)
        }
    }

    /// The words of a failure, which are one line.
    private func complaint(_ work: () throws -> Void) throws -> String {
        let error = try #require(throws: LedgerFileError.self) { try work() }
        #expect(!"\(error)".contains("\n"))
        return "\(error)"
    }

    @Test("is made with the first line, and not before; whoever asks again changes nothing")
    func first() throws {
        let folder = try Folder()
        let file = LedgerFile(path: folder.file("net.ledger"))
        #expect(try file.read().lineCount == 0)
        try file.update { _ in }
        #expect(try folder.names() == ["net.ledger.lock"])
        let segment = try allocate("a", in: file)
        let bytes = try folder.bytes("net.ledger")
        #expect(try allocate("a", in: file) == segment)
        #expect(try allocate("a", in: LedgerFile(path: file.path)) == segment)
        #expect(try folder.bytes("net.ledger") == bytes)
        #expect(try folder.names() == ["net.ledger", "net.ledger.lock"])
        #expect(try file.read().prefix(of: member("a")) == segment)
        // Git and others read it; the umask may say less.
        let attributes = try FileManager.default.attributesOfItem(atPath: file.path)
        #expect((attributes[.posixPermissions] as? Int ?? 0) & 0o644 == 0o644)
    }

    @Test("is followed: what others append, what they put in its place, and when they take it away")
    func follow() throws {
        let folder = try Folder()
        let (one, other) = (LedgerFile(path: folder.file("net.ledger")), LedgerFile(path: folder.file("net.ledger")))
        let first = try allocate("a", in: one)
        let second = try allocate("b", in: other)
        #expect(first != second)
        #expect(try allocate("b", in: one) == second)
        let bytes = try folder.bytes("net.ledger")
        try allocate("c", in: other)
        try folder.write(bytes, to: "new")
        try FileManager.default.removeItem(atPath: one.path)
        try FileManager.default.moveItem(atPath: folder.file("new"), toPath: one.path)
        #expect(try one.read().prefix(of: member("c")) == nil)
        #expect(try one.read().prefix(of: member("b")) == second)
        try FileManager.default.removeItem(atPath: one.path)
        #expect(try one.read().lineCount == 0)
        #expect(try allocate("a", in: one) == first)
    }

    @Test("loses nothing to a refusal, and keeps nothing of what was refused in the middle")
    func refusal() throws {
        let folder = try Folder()
        let file = LedgerFile(path: folder.file("net.ledger"))
        let first = try allocate("a", in: file)
        let bytes = try folder.bytes("net.ledger")
        let text = try complaint {
            try file.update { ledger throws(LedgerRefusal) in
                for index in 0..<15 {
                    _ = try ledger.prefix(for: member("node\(index)"), from: [allocation], at: now)
                }
            }
        }
        #expect(text.hasPrefix("\(file.path): acme/node13: no prefix is left: of 14"))
        #expect(try folder.bytes("net.ledger") == bytes)
        #expect(try allocate("a", in: file) == first)
        #expect(try file.read().lineCount == 2)
    }

    @Test("that lacks the end of its last line is mended; a reader leaves it as it is")
    func mending() throws {
        let folder = try Folder()
        let path = folder.file("net.ledger")
        let names = ["a", "b", "c"]
        for name in names { try allocate(name, in: LedgerFile(path: path)) }
        let text = try folder.bytes("net.ledger")
        for size in 0...text.count {
            let part = text[..<size]
            let whole = part.lastIndex(of: 0x0a).map { $0 + 1 } ?? 0
            try folder.write(part, to: "net.ledger")
            let ledger = try LedgerFile(path: path).read()
            #expect(try folder.bytes("net.ledger") == Array(part))
            let count = names.count { ledger.prefix(of: member($0)) != nil }
            // The writer who did not come to the line feed is right all the same.
            let isWhole = size < text.count && text[size] == 0x0a
            #expect(ledger.lineCount == part.count { $0 == 0x0a } + (isWhole ? 1 : 0))
            let file = LedgerFile(path: path)
            try file.update { _ in }
            #expect(try folder.bytes("net.ledger") == Array(isWhole ? text[...size] : text[..<whole]))
            for name in names.prefix(count) {
                #expect(try allocate(name, in: file) == ledger.prefix(of: member(name)))
            }
            try allocate("d", in: file)
            #expect(try LedgerFile(path: path).read().prefix(of: member("d")) != nil)
        }
    }

    @Test("that is damaged is left as it is, and the line is named")
    func damage() throws {
        let folder = try Folder()
        let path = folder.file("net.ledger")
        for name in ["a", "b"] { try allocate(name, in: LedgerFile(path: path)) }
        var text = try folder.bytes("net.ledger")
        text[text.count - 2] ^= 1
        try folder.write(text, to: "net.ledger")
        let file = LedgerFile(path: path)
        #expect(
            try complaint { try allocate("c", in: file) } == "\(path):3: damaged: it does not fit the check at its end"
        )
        #expect(try complaint { _ = try file.read() } == "\(path):3: damaged: it does not fit the check at its end")
        #expect(try folder.bytes("net.ledger") == text)
        // Once it has been mended by hand, it is read from its beginning.
        text[text.count - 2] ^= 1
        try folder.write(text, to: "net.ledger")
        try allocate("c", in: file)
    }

    @Test("is no link, no folder, no pipe, and in a folder that is there: one clear line, and nothing is written")
    func otherThings() throws {
        let folder = try Folder()
        try folder.write("kept".utf8, to: "target")
        let link = folder.file("link.ledger")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: folder.file("target"))
        #expect(
            try complaint { try allocate("a", in: LedgerFile(path: link)) }
                == "\(link) is a symbolic link; name the file itself"
        )
        #expect(try complaint { _ = try LedgerFile(path: link).read() }.contains("is a symbolic link"))
        #expect(try folder.bytes("target") == Array("kept".utf8))

        let directory = folder.file("folder.ledger")
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        #expect(
            try complaint { try allocate("a", in: LedgerFile(path: directory)) }
                == "cannot open \(directory): Is a directory (errno 21)"
        )
        let pipe = folder.file("pipe.ledger")
        #expect(mkfifo(pipe, 0o600) == 0)
        #expect(try complaint { try allocate("a", in: LedgerFile(path: pipe)) } == "\(pipe) is no plain file")
        #expect(try complaint { _ = try LedgerFile(path: pipe).read() } == "\(pipe) is no plain file")

        let nowhere = folder.file("nowhere/net.ledger")
        #expect(
            try complaint { try allocate("a", in: LedgerFile(path: nowhere)) }
                == "cannot lock \(nowhere).lock: No such file or directory (errno 2)"
        )
        let other = folder.file("target")
        #expect(
            try complaint { try allocate("a", in: LedgerFile(path: other)) } == "\(other):1: this is no ledger of kex"
        )
        #expect(try folder.bytes("target") == Array("kept".utf8))
    }

    @Test("that nobody may write is not written, not even by root")
    func readOnly() throws {
        let folder = try Folder()
        let path = folder.file("net.ledger")
        let segment = try allocate("a", in: LedgerFile(path: path))
        #expect(chmod(path, 0o444) == 0)
        #expect(
            try complaint { try allocate("b", in: LedgerFile(path: path)) }
                == "cannot \(geteuid() == 0 ? "write to" : "open") \(path): Permission denied (errno 13)"
        )
        #expect(try LedgerFile(path: path).read().prefix(of: member("a")) == segment)
    }

    @Test("that can grow no more stays as it was: the kernel refuses in the middle of a line")
    func refusedWrites() throws {
        let folder = try Folder()
        let path = folder.file("net.ledger")
        for bytes in [1, 50, 200, 400] {
            let before = (try? folder.bytes("net.ledger")) ?? []
            let end = try Scribe(path, "net\(bytes)", 100, bytes: -bytes).end()
            #expect(end.status == 1)
            #expect(end.complaint == "cannot write to \(path): File too large (errno 27)\n")
            let names = try folder.names()
            if end.told.isEmpty {
                #expect(before.isEmpty ? !names.contains("net.ledger") : try folder.bytes("net.ledger") == before)
            } else {
                #expect(try folder.bytes("net.ledger").last == 0x0a)
            }
            let ledger = try LedgerFile(path: path).read()
            #expect(end.told.allSatisfy { ledger.prefix(of: $0.key) == $0.value })
            #expect(ledger.all.count { $0.holding.member.network.text == "net\(bytes)" } == end.told.count)
        }
    }

    @Test("on a disk that is full keeps what was told", .needsRoot)
    func fullDisk() throws {
        let folder = try Folder()
        let script = """
            mount -t tmpfs -o size=16k tmpfs "$1" && dd if=/dev/zero of="$1/filler" bs=1024 count=8 2>/dev/null
            "$2" "$1/net.ledger" acme 1000
            echo "status $?"
            cat "$1/net.ledger" >"$3"
            """
        let output = Pipe()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        let copy = folder.file("copy")
        try FileManager.default.createDirectory(atPath: folder.file("disk"), withIntermediateDirectories: false)
        process.arguments = ["--mount", "sh", "-c", script, "sh", folder.file("disk"), Scribe.program.path, copy]
        (process.standardOutput, process.standardError) = (output, output)
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        let lines = text.split(separator: "\n").map(String.init)
        let path = folder.file("disk/net.ledger")
        #expect(lines.suffix(2) == ["cannot write to \(path): No space left on device (errno 28)", "status 1"])
        let ledger = try LedgerFile(path: copy).read()
        #expect(ledger.all.count == lines.count - 2 && lines.count > 10)
        let said = ledger.all.map { $0.holding.description.split(separator: " ").suffix(2).joined(separator: " ") }
        #expect(Set(said) == Set(lines.dropLast(2).map { $0.dropFirst("acme/".count) }.map(String.init)))
    }

    @Test("has a limit of size, to the byte")
    func size() throws {
        let folder = try Folder()
        let path = folder.file("net.ledger")
        try allocate("a", in: LedgerFile(path: path))
        let size = try folder.bytes("net.ledger").count
        try allocate("b", in: LedgerFile(path: path))
        let larger = try folder.bytes("net.ledger").count
        #expect(try LedgerFile(path: path, limit: larger).read().lineCount == 3)
        #expect(
            try complaint { _ = try LedgerFile(path: path, limit: larger - 1).read() }
                == "cannot read \(path): File too large (errno 27)"
        )
        try folder.write(try folder.bytes("net.ledger").prefix(size), to: "net.ledger")
        #expect(
            try complaint { try allocate("b", in: LedgerFile(path: path, limit: larger - 1)) }
                == "cannot write to \(path): File too large (errno 27)"
        )
        try allocate("b", in: LedgerFile(path: path, limit: larger))
    }

    @Test("is written by one at a time; the others are told that they wait")
    func lock() throws {
        let folder = try Folder()
        let path = folder.file("net.ledger")
        guard let lock = try File.lock(path + ".lock") else {
            Issue.record("nobody else has the lock")
            return
        }
        final class Waiter: @unchecked Sendable {
            let isWaiting = DispatchSemaphore(value: 0)
            let hasEnded = DispatchSemaphore(value: 0)
            var notice: LedgerNotice?
        }
        let waiter = Waiter()
        Thread.detachNewThread {
            let file = LedgerFile(path: path) { notice in
                guard case .waits = notice else { return }
                waiter.notice = notice
                waiter.isWaiting.signal()
            }
            _ = try? file.update { _ in }
            waiter.hasEnded.signal()
        }
        waiter.isWaiting.wait()
        #expect(waiter.notice == .waits(path + ".lock"))
        #expect(waiter.hasEnded.wait(timeout: .now() + .milliseconds(50)) == .timedOut)
        // Whoever only reads does not wait.
        _ = try LedgerFile(path: path).read()
        _ = consume lock
        waiter.hasEnded.wait()
    }

    @Test("that was replaced while it was written is named, for what was written is gone with the old one")
    func replaced() throws {
        let folder = try Folder()
        let path = folder.file("net.ledger")
        let file = LedgerFile(path: path)
        try allocate("a", in: file)
        let bytes = try folder.bytes("net.ledger")
        try folder.write(bytes, to: "new")
        let text = try complaint {
            try file.update { ledger throws(LedgerRefusal) in
                _ = try ledger.prefix(for: member("b"), from: [allocation], at: now)
                rename(folder.file("new"), path)
            }
        }
        #expect(text == "\(path) was replaced while it was written, by git? Do it again")
        try allocate("b", in: file)
        #expect(try LedgerFile(path: path).read().prefix(of: member("b")) != nil)
    }
}
