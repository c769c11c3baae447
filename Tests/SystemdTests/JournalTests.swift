import Glibc
import SystemPackage
import Testing

@testable import Systemd

@Suite("The journal") struct JournalTests {
    @Test("has room as long as its queue is not full, and is not waited for then")
    func room() throws {
        let socket = try ManagerSocket()
        let journal = Journal(path: socket.path)
        #expect(journal.hasRoom())
        try socket.fill()
        #expect(!journal.hasRoom())
        #expect(!journal.send(["MESSAGE=dropped"]))
        #expect(socket.next() != nil)
        #expect(journal.hasRoom())
        while socket.next() != nil {}
        // The probe itself sends nothing.
        #expect(journal.hasRoom())
        #expect(socket.next() == nil)
    }

    @Test("has no room when it is gone, and has again when it is back")
    func restart() throws {
        let gone = try ManagerSocket()
        let path = gone.path
        let journal = Journal(path: path)
        #expect(journal.hasRoom())
        unlink(path)
        #expect(!journal.hasRoom())
        let back = try ManagerSocket()
        try #require(rename(back.path, path) == 0)
        #expect(journal.hasRoom())
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
