internal import CSystemd
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// The way to the journal for lines with fields. Source: sd_journal_sendv(3).
struct Journal: Sendable {
    private let path: String

    /// - Parameter path: the journal's socket. Only tests have another, and only ``hasRoom()`` knows of it: libsystemd
    ///   always sends to this one.
    init(path: String = "/run/systemd/journal/socket") { self.path = path }

    /// Whether standard error is the stream to the journal that systemd opened, and has not been redirected since.
    /// Source: `JOURNAL_STREAM` in systemd.exec(5).
    static var isStandardError: Bool {
        guard let stream = unsafe getenv("JOURNAL_STREAM") else { return false }
        return unsafe String(cString: stream) == identity(of: .standardError)
    }

    /// Device and inode of a file, as `JOURNAL_STREAM` has them.
    static func identity(of file: FileDescriptor) -> String? {
        var status = stat()
        guard unsafe fstat(file.rawValue, &status) == 0 else { return nil }
        return "\(status.st_dev):\(status.st_ino)"
    }

    /// Whether a line can be sent now without waiting. sd_journal_sendv(3) waits as long as the journal does not read,
    /// and a service must not: so this looks first, with a socket of its own. A connected datagram socket is writable
    /// if its peer's queue has room (unix(7)). It is made anew each time, because a socket whose peer is gone looks
    /// writable as well; that costs microseconds.
    func hasRoom() -> Bool {
        guard let probe = try? Socket.connect(toPath: path, kind: .datagram) else { return false }
        var poll = pollfd(fd: probe.raw.rawValue, events: Int16(POLLOUT), revents: 0)
        return unsafe Glibc.poll(&poll, 1, 0) > 0 && Int32(poll.revents) & POLLOUT != 0
    }

    /// Sends one line.
    ///
    /// - Parameter fields: `NAME=value`, without line feeds.
    /// - Returns: `false` if the journal does not take it now.
    func send(_ fields: [String]) -> Bool {
        guard hasRoom() else { return false }
        var bytes = fields.flatMap { Array($0.utf8) }
        return unsafe bytes.withUnsafeMutableBytes { bytes in
            var parts = unsafe [iovec]()
            var start = 0
            for field in fields {
                let count = field.utf8.count
                unsafe parts.append(iovec(iov_base: bytes.baseAddress! + start, iov_len: count))
                start += count
            }
            return unsafe sd_journal_sendv(parts, Int32(parts.count)) == 0
        }
    }
}
