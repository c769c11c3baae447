import Foundation
import HandlerChannel
import KexProtocol
import SystemCalls
import SystemPackage

/// The other end of the channel: a socket that listens where the handler would, and does what the test says.
final class TestHandler {
    let path: String
    private let listener: OwnedDescriptor
    private var connection: OwnedDescriptor?

    /// A path for a socket that nobody else uses.
    static func newPath() -> String { "/tmp/kex-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).sock" }

    init(path: String = newPath()) throws {
        self.path = path
        listener = try Socket.listen(atPath: path, kind: .sequentialPacket, permissions: .ownerReadWrite)
    }

    deinit { unlink(path) }

    /// Takes the front door's next connection in place of the one before.
    func accept() throws {
        try wait(for: listener.raw, "a connection to the handler")
        guard let accepted = try Socket.accept(from: listener.raw) else { throw TimedOut(what: "a connection") }
        connection = accepted.takeDescriptor()
    }

    /// Whether the front door has called and nobody has taken the call.
    var isCalled: Bool {
        var entry = pollfd(fd: listener.raw.rawValue, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) == 1
    }

    /// The next packet, empty if the front door has hung up.
    private func receive() throws -> [UInt8] {
        guard let raw = connection?.raw else { throw TimedOut(what: "no connection") }
        try wait(for: raw, "a packet of the front door")
        var buffer = [UInt8](repeating: 0, count: ChannelLimit.frameSize)
        var span = buffer.mutableSpan
        var bytes = span.mutableBytes
        guard case .bytes(let count) = try Socket.receive(from: raw, into: &bytes) else { return [] }
        return Array(buffer.prefix(count))
    }

    /// The requests of the next packet.
    func requests() throws -> [RegistrationRequest] {
        let packet = try receive()
        guard !packet.isEmpty else { throw TimedOut(what: "the front door hung up") }
        guard case .registrations(let requests) = try HandlerRequest(decoding: packet.span, from: .front) else {
            throw TimedOut(what: "registrations")
        }
        return requests
    }

    /// The only request of the next packet.
    func request() throws -> RegistrationRequest {
        let requests = try requests()
        guard requests.count == 1 else { throw TimedOut(what: "one request, not \(requests.count)") }
        return requests[0]
    }

    /// Waits until the front door has hung up.
    func waitForHangUp() throws {
        guard try receive().isEmpty else { throw TimedOut(what: "the end of the connection") }
    }

    func answer(_ answers: [RegistrationAnswer]) throws {
        var packet: [UInt8] = []
        RegistrationFrame.encode(answers, into: &packet)
        try send(packet)
    }

    func answer(_ request: RegistrationRequest, _ refusal: Refusal?) throws {
        try answer([RegistrationAnswer(id: request.id, refusal: refusal)])
    }

    /// Sends a packet of any bytes.
    func send(_ packet: [UInt8]) throws {
        guard let raw = connection?.raw else { throw TimedOut(what: "no connection") }
        repeat {
            try wait(for: raw, toBe: POLLOUT, "room for an answer")
        } while try Socket.send(packet.span.bytes, to: raw) == nil
    }

    func hangUp() { connection = nil }
}
