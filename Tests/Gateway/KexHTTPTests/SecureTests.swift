import FieldRouter
import Foundation
import HandlerChannel
import KexHTTP
import KexProtocol
import NetworkAddresses
import RecordingLog
import SourceLimits
import Synchronization
import Testing

@Suite("TLS beside plain HTTP", .serialized) final class SecureTests {
    private let folder = "/tmp/kex-http-tls-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    private let identity: TLSIdentity

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let make = try Self.shell(
            "cd \(folder) && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                + "-subj /CN=gw -keyout key -out certificate 2>&1"
        )
        make.waitUntilExit()
        identity = try TLSIdentity(certificate: "\(folder)/certificate", privateKey: "\(folder)/key")
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private static func shell(_ script: String, output: Pipe = Pipe()) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", script]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    /// A POST over TLS, from 127.0.0.2, which is on its way when this returns; the pipe has what is answered.
    private func post(to port: UInt16) throws -> Pipe {
        let (request, pipe) = (KexHTTPTests.post(v1, body, fields: "Connection: close\r\n"), Pipe())
        try request.write(toFile: "\(folder)/request", atomically: true, encoding: .utf8)
        _ = try Self.shell(
            "exec openssl s_client -quiet -bind 127.0.0.2:0 -connect 127.0.0.1:\(port) < \(folder)/request",
            output: pipe
        )
        return pipe
    }

    private func answer(_ pipe: Pipe) -> String {
        var text = ""
        while !text.hasSuffix("}\n") {
            let part = pipe.fileHandleForReading.availableData
            if part.isEmpty { break }
            text += String(decoding: part, as: UTF8.self)
        }
        return text
    }

    /// Keeps the thread that asks it, for those who ask for the source that it is to keep.
    private final class Blockade: Exchanges {
        let isBlocking = Atomic(false)
        let isOver = Atomic(false)

        func register(_ registration: Registration, from source: IPv6Address) async -> Admission {
            if source == IPv6Address("::ffff:127.0.0.2")! { block() }
            return .accepted(.everywhere)
        }

        private func block() {
            isBlocking.store(true, ordering: .relaxed)
            while !isOver.load(ordering: .relaxed) { usleep(1000) }
        }

        func gateway(in domain: DomainName) async throws(NoGateway) -> ChosenGateway { throw .unavailable }

        func gateway(for registration: Registration, letIn place: Admission.Place) async throws(NoGateway)
            -> ChosenGateway
        { throw .unavailable }
    }

    @Test("Work for TLS keeps nobody else waiting")
    func ownLoop() throws {
        let blockade = Blockade()
        let door = try TestDoor(handler: FakeHandler.newPath(), exchanges: blockade, identity: identity)
        let secure = try post(to: #require(door.tlsPort))
        for _ in 0..<3000 where !blockade.isBlocking.load(ordering: .relaxed) { usleep(10_000) }
        defer { blockade.isOver.store(true, ordering: .relaxed) }
        #expect(try door.answer(to: KexHTTPTests.post(v1, body)).body == accepted)
        blockade.isOver.store(true, ordering: .relaxed)
        #expect(answer(secure).hasSuffix(accepted))
    }

    @Test("A source that is too fast gets no handshake, and an answer where none is needed")
    func refusal() throws {
        let handler = try FakeHandler()
        var (limits, settings) = (HTTPLimits(), TestDoor.settings)
        settings.unlimitedSources = []
        limits.source = SourceLimits.Share(burst: 1, interval: .seconds(3600), atOnce: 16)
        let door = try TestDoor(handler: handler.path, settings: settings, limits: limits, identity: identity)
        let port = try #require(door.tlsPort)
        #expect(answer(try post(to: port)).hasSuffix(accepted))
        #expect(answer(try post(to: port)) == "")
        #expect(try door.answer(to: KexHTTPTests.post(v1, body), source: 2).status == 429)
        #expect(door.log.count(of: "refused a connection from 127.0.0.2: RATE_LIMITED") == 1)
    }
}
