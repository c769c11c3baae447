package import SystemCalls
package import SystemPackage
internal import Time

/// What went wrong in a conversation, without the operation and the interface.
package enum UAPIFailure: Error {
    /// There is no such socket.
    case noSocket
    /// The other side closed the connection before it said anything.
    case closed
    case system(SystemCallError)
    case noAnswer
    case malformed(String)
    /// The errno of a reply.
    case refused(Errno)
}

/// One conversation with a userspace WireGuard.
struct UAPIConnection: ~Copyable {
    private let descriptor: OwnedDescriptor

    init(path: String) throws(UAPIFailure) {
        do throws(SystemCallError) {
            descriptor = try Socket.connect(toPath: path, kind: .stream)
        } catch {
            throw error.errno == .noSuchFileOrDirectory ? .noSocket : .system(error)
        }
    }

    /// Sends a request and reads the reply, line by line, up to the empty line at its end.
    ///
    /// - Parameters:
    ///   - buffer: what has been received and not yet taken; it must hold the longest line.
    ///   - line: called with each line but `errno`, in two parts.
    /// - Throws: after any failure the rest of the conversation means nothing.
    func exchange(
        _ request: [UInt8],
        buffer: inout [UInt8],
        until deadline: MonotonicTime,
        _ line: (_ key: UAPIKey, _ value: ArraySlice<UInt8>) throws(UAPIFailure) -> Void
    ) throws(UAPIFailure) {
        try send(request, until: deadline)
        var errno: Int32?
        var filled = 0
        var isFirst = true
        while true {
            guard let count = try receive(into: &buffer, after: filled, until: deadline) else {
                throw isFirst ? .closed : .malformed("it ends in the middle")
            }
            isFirst = false
            filled += count
            var start = 0
            while let end = buffer[start..<filled].firstIndex(of: UInt8(ascii: "\n")) {
                if end == start {
                    guard let errno else { throw .malformed("it ends without errno") }
                    guard end + 1 == filled else { throw .malformed("it goes on after its end") }
                    // wireguard-go answers with negative numbers, others with positive ones.
                    if errno != 0 { throw .refused(Errno(rawValue: Int32(clamping: errno.magnitude))) }
                    return
                }
                let (key, value) = try Self.split(buffer[start..<end])
                if key == .errno {
                    errno = try number(value, of: key)
                } else {
                    try line(key, value)
                }
                start = end + 1
            }
            guard start > 0 || filled < buffer.count
            else { throw .malformed("a line of more than \(buffer.count) bytes") }
            buffer.replaceSubrange(0..<filled - start, with: Array(buffer[start..<filled]))
            filled -= start
        }
    }

    private static func split(_ line: ArraySlice<UInt8>) throws(UAPIFailure) -> (UAPIKey, ArraySlice<UInt8>) {
        guard let equals = line.firstIndex(of: UInt8(ascii: "="))
        else { throw .malformed("a line without an equals sign") }
        return (UAPIKey(name: line[..<equals]), line[(equals + 1)...])
    }

    private func send(_ request: [UInt8], until deadline: MonotonicTime) throws(UAPIFailure) {
        var sent = 0
        while sent < request.count {
            var count: Int?
            do throws(SystemCallError) {
                count = try unsafe Socket.send(request.span.bytes.extracting(droppingFirst: sent), to: descriptor.raw)
            } catch {
                throw Self.isEnd(error) ? .closed : .system(error)
            }
            if let count { sent += count } else { try wait(for: .writable, until: deadline) }
        }
    }

    /// Waits for bytes and returns how many came, or `nil` at the end of the connection.
    private func receive(
        into buffer: inout [UInt8],
        after filled: Int,
        until deadline: MonotonicTime
    ) throws(UAPIFailure) -> Int? {
        while true {
            // One that sends and sends never lets us wait, and must end all the same.
            guard .now < deadline else { throw .noAnswer }
            let received: Socket.Received
            do throws(SystemCallError) {
                var bytes = buffer.mutableSpan
                var room = unsafe bytes.mutableBytes
                var rest = room._mutatingExtracting(droppingFirst: filled)
                received = try Socket.receive(from: descriptor.raw, into: &rest)
            } catch {
                guard Self.isEnd(error) else { throw .system(error) }
                return nil
            }
            switch received {
            case .bytes(let count): return count
            case .end: return nil
            case .nothingYet: try wait(for: .readable, until: deadline)
            }
        }
    }

    private func wait(for readiness: Socket.Readiness, until deadline: MonotonicTime) throws(UAPIFailure) {
        do throws(SystemCallError) {
            if try Socket.wait(for: readiness, of: descriptor.raw, until: deadline) { return }
        } catch {
            throw .system(error)
        }
        throw .noAnswer
    }

    /// Whether the error only says that the other side has closed the connection, perhaps with our request unread.
    private static func isEnd(_ error: SystemCallError) -> Bool {
        [.brokenPipe, .connectionReset].contains(error.errno)
    }
}
