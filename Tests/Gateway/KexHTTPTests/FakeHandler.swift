import Foundation
import HandlerChannel
import KexProtocol
import Synchronization
import SystemCalls
import SystemPackage
import Time

/// A socket that listens where the handler would, and answers as a test says, on a thread of its own.
final class FakeHandler: Sendable {
    /// What it does with a packet: the packets that it answers with, or `nil` for hanging up.
    typealias Behaviour = @Sendable (HandlerRequest) -> [[UInt8]]?

    let path: String
    private struct State {
        var behaviour: Behaviour
        var packets: [HandlerRequest] = []
        var connections = 0
    }
    private let state: Mutex<State>
    private let isEnded = Atomic(false)

    static func newPath() -> String { "\(folder)/\(UInt32.random(in: 0...UInt32.max)).sock" }

    /// Of all sockets of this process. It goes with it, because most handlers last as long.
    private static let folder: String = {
        let folder = "/tmp/kex-http-test-\(getpid())"
        mkdir(folder, 0o700)
        atexit { try? FileManager.default.removeItem(atPath: "/tmp/kex-http-test-\(getpid())") }
        return folder
    }()

    init(path: String = newPath(), _ behaviour: @escaping Behaviour = FakeHandler.answering()) throws {
        self.path = path
        state = Mutex(State(behaviour: behaviour))
        let listener = try Socket.listen(atPath: path, kind: .sequentialPacket, permissions: .ownerReadWrite).release()
        Thread.detachNewThread { [self] in
            let listener = OwnedDescriptor(adopting: listener)
            while let accepted = Self.accept(from: listener.raw, unless: isEnded) {
                state.withLock { $0.connections += 1 }
                serve(accepted)
            }
        }
    }

    /// Nobody listens any more, and nobody is connected.
    func end() {
        isEnded.store(true, ordering: .relaxed)
        unlink(path)
    }

    private static func accept(from listener: FileDescriptor, unless isEnded: borrowing Atomic<Bool>)
        -> OwnedDescriptor?
    {
        while !isEnded.load(ordering: .relaxed) {
            guard (try? Socket.wait(for: .readable, of: listener, until: .now + .milliseconds(20))) == true else {
                continue
            }
            if let accepted = try? Socket.accept(from: listener) { return accepted.takeDescriptor() }
        }
        return nil
    }

    private func serve(_ connection: consuming OwnedDescriptor) {
        var buffer = [UInt8](repeating: 0, count: ChannelLimit.frameSize)
        while !isEnded.load(ordering: .relaxed) {
            guard (try? Socket.wait(for: .readable, of: connection.raw, until: .now + .milliseconds(20))) == true
            else { continue }
            guard case .bytes(let count)? = try? Socket.receive(from: connection.raw, into: &buffer) else { return }
            let packet = buffer[..<count]
            guard let request = try? HandlerRequest(decoding: packet.span, from: .front) else { return }
            let behaviour = state.withLock { state in
                state.packets.append(request)
                return state.behaviour
            }
            guard let packets: [[UInt8]] = behaviour(request) else { return }
            for packet in packets { _ = try? Socket.send(packet, to: connection.raw) }
        }
    }

    func behave(_ behaviour: @escaping Behaviour) { state.withLock { $0.behaviour = behaviour } }

    /// What it was asked, packet by packet.
    var packets: [HandlerRequest] { state.withLock { $0.packets } }
    var connections: Int { state.withLock { $0.connections } }

    var registrations: [RegistrationRequest] {
        packets.flatMap { packet -> [RegistrationRequest] in
            if case .registrations(let requests) = packet { requests } else { [] }
        }
    }

    /// How often it was asked how a domain is doing.
    var questions: Int { packets.count { if case .statuses = $0 { true } else { false } } }

    /// Answers every registration with this, and every question with this.
    static func answering(
        _ refusal: Refusal? = nil,
        status: @escaping @Sendable (DomainName) -> DomainStatus = { inService($0) }
    ) -> Behaviour {
        { request in
            var packet: [UInt8] = []
            switch request {
            case .registrations(let requests):
                let answers = requests.map { RegistrationAnswer(id: $0.id, refusal: refusal) }
                RegistrationFrame.encode(answers, into: &packet)
            case .statuses(let domains): RegistrationFrame.encode(domains.map(status), into: &packet)
            default: return nil
            }
            return [packet]
        }
    }

    static func inService(_ domain: DomainName) -> DomainStatus {
        DomainStatus(
            domain: domain,
            isInService: true,
            publicKey: gatewayKey,
            listenPort: 40011,
            connected: 3,
            routers: 4
        )
    }
}
