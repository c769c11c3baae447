internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// The way to the journal for lines with fields.
///
/// Source: systemd's page "Native Journal Protocol", which is promised to stay as it is: one datagram is one line, a
/// field without line feeds is `NAME=value` and a line feed. sd_journal_sendv(3) sends the same, but waits as long as
/// the journal does not read, and a service must not.
final class Journal: Sendable {
    private let address: SocketAddress
    private let descriptor: OwnedDescriptor

    /// - Parameter path: the journal's socket. Only tests have another.
    init(path: String = "/run/systemd/journal/socket") throws(SystemCallError) {
        guard let address = SocketAddress(path: path) else {
            throw SystemCallError("use as a socket path", path, errno: .fileNameTooLong)
        }
        self.address = address
        // Not connected: the journal may be started anew, with another socket of the same path.
        descriptor = try Socket.datagramSocket()
    }

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

    /// Sends one line.
    ///
    /// - Parameter fields: `NAME=value`, without line feeds.
    /// - Returns: `false` if the journal does not take it now: its queue is full, or it is not there.
    func send(_ fields: [String]) -> Bool {
        var packet: [UInt8] = []
        for field in fields {
            packet += field.utf8
            packet.append(UInt8(ascii: "\n"))
        }
        do throws(SystemCallError) {
            return try Socket.send(packet, to: address, over: descriptor.raw) != nil
        } catch {
            return false
        }
    }
}
