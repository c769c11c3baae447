import Foundation
import NetworkAddresses
import Synchronization
import SystemCalls
import SystemPackage
import Time

/// A real TCP server that behaves like a gateway, well or badly.
final class FakeGateway: Sendable {
    enum Behaviour: Sendable {
        /// Reads two lines, sends this, closes.
        case answers(String)
        /// Reads two lines and says nothing for as long as the test lasts.
        case silent
        /// Reads two lines and resets the connection.
        case resets
        /// Reads two lines, does this with them, closes.
        case admits(@Sendable (_ domain: String, _ key: String) -> Void)
        /// Closes before it has read: the client's lines stay unread, so that the kernel resets the connection.
        case closesUnread
    }

    let endpoint: Endpoint
    /// What each connection sent, in the order in which they came.
    var received: [String] { shared.state.withLock { $0.received } }
    /// The form that kex-client takes.
    var address: String { "\(endpoint)" }

    /// What the server's thread has in its hands; it ends when the gateway goes.
    fileprivate final class Shared: Sendable {
        struct State {
            var received: [String] = []
            var isOver = false
            var start: Result<Endpoint, any Error>?
        }

        let state = Mutex(State())
        let started = DispatchSemaphore(value: 0)
    }

    private let shared = Shared()

    /// - Parameters:
    ///   - behaviours: of the first connection, the second, and so on; the last one stays.
    ///   - namespace: the named network namespace to listen in; `nil` for that of the tests.
    init(_ behaviours: Behaviour..., on host: String = "127.0.0.1", namespace: String? = nil) throws {
        let wanted = host.contains(":") ? Endpoint("[\(host)]:0")! : Endpoint("\(host):0")!
        // A thread of its own, because a network namespace belongs to a thread. It ends with the server.
        Thread.detachNewThread { [shared] in
            do {
                if let namespace { try Self.enter(namespace) }
                let listener = try Socket.listen(on: wanted)
                shared.tell(.success(try Socket.localAddress(of: listener.raw).endpoint!))
                shared.run(behaviours, listener)
            } catch {
                shared.tell(.failure(error))
            }
        }
        shared.started.wait()
        endpoint = try shared.state.withLock { $0.start! }.get()
    }

    private static func enter(_ namespace: String) throws {
        let descriptor = try FileDescriptor.open("/run/netns/\(namespace)", .readOnly)
        defer { try? descriptor.close() }
        // Swift's Glibc module leaves setns(2) out.
        typealias Setns = @convention(c) (Int32, Int32) -> Int32
        let newNetwork: Int32 = 0x4000_0000  // CLONE_NEWNET of `linux/sched.h`
        let setns = unsafeBitCast(dlsym(nil, "setns"), to: Setns.self)
        guard setns(descriptor.rawValue, newNetwork) == 0 else { throw Errno(rawValue: errno) }
    }

    deinit { stop() }

    /// Ends the server; its address refuses connections from then on.
    func stop() { shared.state.withLock { $0.isOver = true } }

}

extension FakeGateway.Shared {
    fileprivate func tell(_ result: Result<Endpoint, any Error>) {
        state.withLock { $0.start = result }
        started.signal()
    }

    fileprivate func run(_ behaviours: [FakeGateway.Behaviour], _ listener: borrowing OwnedDescriptor) {
        var open: [Int32] = []
        while !state.withLock({ $0.isOver }) {
            guard (try? Socket.wait(for: .readable, of: listener.raw, until: .now + .milliseconds(50))) == true,
                let connection = try? Socket.accept(from: listener.raw)
            else { continue }
            let descriptor = connection.takeDescriptor().release().rawValue
            let index = state.withLock { $0.received.count }
            serve(descriptor, behaviours[min(index, behaviours.count - 1)], &open)
        }
        open.forEach { close($0) }
    }

    fileprivate func serve(_ descriptor: Int32, _ behaviour: FakeGateway.Behaviour, _ open: inout [Int32]) {
        if case .closesUnread = behaviour {
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            Glibc.poll(&poll, 1, 5000)
            state.withLock { $0.received.append("") }
            close(descriptor)
            return
        }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1024)
        while text.count(where: { $0 == UInt8(ascii: "\n") }) < 2 {
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard Glibc.poll(&poll, 1, 5000) == 1 else { break }
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            text += buffer[..<count]
        }
        state.withLock { $0.received.append(String(decoding: text, as: UTF8.self)) }
        switch behaviour {
        case .answers(let reply):
            _ = reply.utf8.withContiguousStorageIfAvailable { send(descriptor, $0.baseAddress, $0.count, 0) }
            close(descriptor)
        case .admits(let act):
            let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
            if lines.count == 2 { act(String(lines[0]), String(lines[1])) }
            close(descriptor)
        case .silent:
            open.append(descriptor)
        case .resets:
            // A linger time of zero turns close(2) into a reset. Source: socket(7).
            var linger = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
            close(descriptor)
        case .closesUnread:
            break
        }
    }
}
