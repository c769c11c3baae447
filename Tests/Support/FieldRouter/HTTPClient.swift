import Glibc
public import Patience

/// A client of HTTP that sends exactly the bytes that a test says.
public final class HTTPClient {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String

        public init(description: String) { self.description = description }
    }

    /// One answer, taken apart as far as tests look at it.
    public struct Answer: Equatable {
        public var status: Int
        /// In their order, as they came.
        public var fields: [String]
        public var body: String

        public func field(_ name: String) -> String? {
            fields.first { $0.lowercased().hasPrefix("\(name.lowercased()): ") }.map {
                String($0.dropFirst(name.count + 2))
            }
        }
    }

    private let descriptor: Int32
    private var buffer: [UInt8] = []

    /// - Parameters:
    ///   - source: last three bytes of its own address, in 127.0.0.0/8.
    ///   - patience: seconds that it waits for an answer.
    public init(port: UInt16, source: UInt32 = 1, patience: Int = Int(Patience.program)) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        func call(_ name: String, _ host: UInt32, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32)
            throws
        {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = (0x7f00_0000 | host).bigEndian
            address.sin_port = port.bigEndian
            let result = withUnsafeBytes(of: address) {
                body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
            }
            if result != 0 { throw Failure(description: "\(name): \(String(cString: strerror(errno)))") }
        }
        try call("bind", source, 0) { bind(descriptor, $0, $1) }
        try call("connect", 1, port) { connect(descriptor, $0, $1) }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
        var limit = timeval(tv_sec: patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    public func send(_ text: some StringProtocol) throws {
        let bytes = Array(text.utf8)
        guard Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw Failure(description: "send: \(String(cString: strerror(errno)))")
        }
    }

    /// Tells the other side that nothing more comes.
    public func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Has the connection reset instead of ended in order when this client goes.
    public func resetAtEnd() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
    }

    /// What has come, more than before; false at the end.
    private func receive() throws -> Bool {
        var part = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &part, part.count, 0)
        guard count >= 0 else { throw Failure(description: "receive: \(String(cString: strerror(errno)))") }
        buffer += part[..<count]
        return count > 0
    }

    /// The next answer.
    ///
    /// - Parameter hasBody: false for an answer to HEAD.
    public func answer(hasBody: Bool = true) throws -> Answer {
        while true {
            if let answer = takeAnswer(hasBody) { return answer }
            guard try receive() else {
                throw Failure(description: "the end, after \(String(decoding: buffer, as: UTF8.self))")
            }
        }
    }

    private func takeAnswer(_ hasBody: Bool) -> Answer? {
        let end = Array("\r\n\r\n".utf8)
        guard let start = (0...max(0, buffer.count - 4)).first(where: { buffer[$0...].starts(with: end) }) else {
            return nil
        }
        let lines = String(decoding: buffer[..<start], as: UTF8.self).split(separator: "\r\n").map(String.init)
        var answer = Answer(
            status: Int(lines[0].split(separator: " ")[1]) ?? 0,
            fields: Array(lines.dropFirst()),
            body: ""
        )
        let length = hasBody ? answer.field("Content-Length").flatMap { Int($0) } ?? 0 : 0
        guard buffer.count >= start + 4 + length else { return nil }
        answer.body = String(decoding: buffer[(start + 4)...].prefix(length), as: UTF8.self)
        buffer.removeFirst(start + 4 + length)
        return answer
    }

    /// Waits for the end of the connection; returns what came before that was no answer taken yet.
    public func end() throws -> String {
        while try receive() {}
        return String(decoding: buffer, as: UTF8.self)
    }
}
