import Foundation
import RecordingLog
import KexProtocol
import KexServer
import Logging
import NetworkAddresses
import SystemCalls
import SystemPackage

/// A server on a thread of its own, at a port that the kernel chose.
final class TestServer {
    let port: UInt16
    private let listener: FileDescriptor
    private let stopRead: FileDescriptor
    private let stopWrite: FileDescriptor
    private let settings: ServerSettings
    private let log: RecordingLog
    private let ended = DispatchSemaphore(value: 0)
    private var isRunning = false

    /// Listens. Connections wait until ``start()``.
    init(
        handler: String,
        limits: ServerLimits = ServerLimits(),
        unlimitedSources: [IPPrefix] = [IPPrefix("127.0.0.0/8")!],
        log: RecordingLog = RecordingLog()
    ) throws {
        self.log = log
        let owned = try Socket.listen(on: .v4(IPv4Address(value: 0x7f00_0001), port: 0))
        guard let endpoint = try Socket.localAddress(of: owned.raw).endpoint else { throw TimedOut(what: "a port") }
        port = endpoint.port
        listener = owned.release()
        (stopRead, stopWrite) = try FileDescriptor.pipe()
        settings = ServerSettings(
            domains: [DomainName("ffww01")!],
            handlerPath: handler,
            unlimitedSources: unlimitedSources,
            limits: limits
        )
    }

    /// A server that is already running.
    static func running(
        handler: String,
        limits: ServerLimits = ServerLimits(),
        unlimitedSources: [IPPrefix] = [IPPrefix("127.0.0.0/8")!],
        log: RecordingLog = RecordingLog()
    ) throws -> TestServer {
        let server = try TestServer(handler: handler, limits: limits, unlimitedSources: unlimitedSources, log: log)
        server.start()
        return server
    }

    func start() {
        isRunning = true
        let (listener, stop, settings, ended, log) = (listener, stopRead, settings, ended, log)
        Thread.detachNewThread {
            do throws(SystemCallError) {
                var server = try Server(settings, logger: Logger(label: "test") { _ in log })
                try server.add(listener: OwnedDescriptor(adopting: listener))
                try server.run(orders: stop) { .stop }
            } catch {
                fatalError("\(error)")
            }
            ended.signal()
        }
    }

    /// Tells the server to stop; it goes on until it is done.
    func beginStopping() throws { _ = try stopWrite.writeAll([1]) }

    /// Waits until a stopping server is done.
    func waitUntilEnded() throws {
        guard ended.wait(timeout: .now() + .milliseconds(Int(patience))) == .success else {
            throw TimedOut(what: "the end of the server")
        }
        isRunning = false
    }

    deinit {
        if isRunning {
            try? beginStopping()
            try? waitUntilEnded()
        }
        try? stopRead.close()
        try? stopWrite.close()
    }
}
