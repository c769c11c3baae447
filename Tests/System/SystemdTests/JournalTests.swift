import Glibc
import SystemPackage
import Testing

@testable import Systemd

@Suite("The journal") struct JournalTests {
    @Test("gets a line as one packet of fields, and is not waited for when its queue is full")
    func sending() throws {
        let socket = try ManagerSocket()
        let journal = try Journal(path: socket.path)
        #expect(journal.send(["MESSAGE=here", "PRIORITY=6"]))
        #expect(socket.next() == "MESSAGE=here\nPRIORITY=6\n")
        try socket.fill()
        #expect(!journal.send(["MESSAGE=dropped"]))
        while socket.next() != nil {}
        #expect(journal.send(["MESSAGE=there"]))
        #expect(socket.next() == "MESSAGE=there\n")
    }

    @Test("takes nothing when it is gone, and takes lines again when it is back")
    func restart() throws {
        let gone = try ManagerSocket()
        let path = gone.path
        let journal = try Journal(path: path)
        #expect(journal.send(["MESSAGE=1"]))
        unlink(path)
        #expect(!journal.send(["MESSAGE=2"]))
        let back = try ManagerSocket()
        try #require(rename(back.path, path) == 0)
        #expect(journal.send(["MESSAGE=3"]))
        #expect(back.next() == "MESSAGE=3\n")
    }

    @Test("is a file by its device and inode")
    func identity() throws {
        let pipe = try FileDescriptor.pipe()
        defer {
            try? pipe.readEnd.close()
            try? pipe.writeEnd.close()
        }
        var status = stat()
        fstat(pipe.writeEnd.rawValue, &status)
        #expect(Journal.identity(of: pipe.writeEnd) == "\(status.st_dev):\(status.st_ino)")
        #expect(Journal.identity(of: FileDescriptor(rawValue: -1)) == nil)
    }
}
