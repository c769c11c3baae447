import FieldRouter
import Foundation
import Patience
import Testing

/// The real program, built by the same build as the tests.
private final class Program {
    private let process = Process()
    private let log: String

    static var path: String {
        get throws {
            let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            return URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("kex-http").path
        }
    }

    /// - Parameter command: words to run it with.
    init(_ arguments: [String], command: [String] = [], log: String) throws {
        self.log = log
        let words = command + [try Self.path] + arguments
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        let file = try #require(FileHandle(forWritingAtPath: log))
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = file
        process.standardError = file
        try process.run()
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    var output: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }
    var number: Int32 { process.processIdentifier }

    /// Waits for so many lines with this text; returns the last of them.
    @discardableResult
    func waitForLine(containing text: String, count: Int = 1) throws -> String {
        let deadline = Date(timeIntervalSinceNow: Patience.program)
        while Date() < deadline {
            let lines = output.split(separator: "\n").filter { $0.contains(text) }
            if lines.count >= count, output.hasSuffix("\n") { return String(lines[count - 1]) }
            usleep(10_000)
        }
        throw HTTPClient.Failure(description: "waited in vain for \(text) in: \(output)")
    }

    func status() -> Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }

    func signal(_ signal: Int32) { kill(number, signal) }
}

@Suite("The program kex-http", .serialized) final class ProgramTests {
    private let folder = "/tmp/kex-http-program-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"

    init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private func configure(_ http: String = "", domains: String = "[Domain ffww01]\nWireGuard=wg0\nVXLAN=vx0\n") throws
        -> [String]
    {
        let text =
            "[Gateway]\nHandlerSocket=\(folder)/none.sock\nUnlimitedSources=127.0.0.0/8\n[HTTP]\n\(http)\n\(domains)"
        try text.write(toFile: "\(folder)/kex.conf", atomically: true, encoding: .utf8)
        return ["--config", "\(folder)/kex.conf"]
    }

    private func start(_ arguments: [String], command: [String] = []) throws -> Program {
        try Program(arguments, command: command, log: "\(folder)/log")
    }

    private func shell(_ script: String) throws -> String {
        let (process, pipe) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", script]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return output
    }

    /// A new key, and a certificate for it.
    private func makeCertificate(_ name: String, file: String = "one") throws {
        _ = try shell(
            "cd \(folder) && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                + "-subj /CN=\(name) -keyout \(file).key -out \(file).pem"
        )
        guard FileManager.default.fileExists(atPath: "\(folder)/\(file).pem") else {
            throw HTTPClient.Failure(description: "openssl made no certificate")
        }
    }

    private func subject(at port: UInt16) throws -> String {
        try shell("openssl s_client -connect 127.0.0.1:\(port) | openssl x509 -noout -subject")
            .trimmingCharacters(in: .newlines)
    }

    private func ports(_ line: String) -> [UInt16] { line.matches(of: /:(\d+)/).compactMap { UInt16($0.1) } }

    @Test("TLS takes exchanges as the rest does, and its certificate is read again at a reload")
    func tls() throws {
        try makeCertificate("first")
        let lines = """
            Listen=127.0.0.1:0
            TLSListen=127.0.0.1:0
            Certificate=\(folder)/one.pem
            PrivateKey=\(folder)/one.key
            """
        let program = try start(configure(lines))
        let line = try program.waitForLine(containing: "listening on ")
        let (plain, tls) = (ports(line)[0], ports(line)[1])
        #expect(line.hasSuffix("(TLS)"))
        let client = try HTTPClient(port: plain)
        try client.send("GET / HTTP/1.1\r\nHost: gw\r\n\r\n")
        #expect(try client.answer().status == 200)

        let request = post(v1, body, fields: "Connection: close\r\n").replacing("\r\n", with: "\\r\\n")
        let answer = try shell("printf '\(request)' | openssl s_client -quiet -connect 127.0.0.1:\(tls)")
        #expect(answer.hasPrefix("HTTP/1.1 503 ") && answer.hasSuffix(failure), "\(answer)")
        #expect(try subject(at: tls) == "subject=CN = first")

        try makeCertificate("second")
        program.signal(SIGHUP)
        try program.waitForLine(containing: "configuration read again")
        #expect(try subject(at: tls) == "subject=CN = second")

        // One that is no use changes nothing.
        try "nonsense".write(toFile: "\(folder)/one.pem", atomically: true, encoding: .utf8)
        program.signal(SIGHUP)
        try program.waitForLine(containing: "the configuration stays as it was")
        #expect(program.output.contains("\(folder)/one.pem: no certificates in PEM"))
        #expect(try subject(at: tls) == "subject=CN = second")
        program.signal(SIGTERM)
        #expect(program.status() == 0)
    }

    @Test("A certificate and a key that do not go together are a mistake in the configuration")
    func mismatch() throws {
        try makeCertificate("first")
        try makeCertificate("second", file: "two")
        let lines = "Certificate=\(folder)/one.pem\nPrivateKey=\(folder)/two.key"
        let program = try start(configure(lines) + ["--check-config"])
        #expect(program.status() == 78)
        #expect(program.output.contains("\(folder)/one.pem: does not match the private key"))
        let missing = try start(configure("Certificate=\(folder)/none\nPrivateKey=\(folder)/two.key"))
        #expect(missing.status() == 78)
        #expect(missing.output.contains("\(folder)/none: no certificates in PEM"))
    }

    @Test("A reload brings new domains, and one with mistakes changes nothing")
    func reload() throws {
        let program = try start(configure("Listen=127.0.0.1:0"))
        let port = try #require(ports(program.waitForLine(containing: "listening on ")).first)
        func ask(_ domain: String) throws -> Int {
            let client = try HTTPClient(port: port)
            try client.send(post(v1, body.replacing("ffww01", with: domain)))
            return try client.answer().status
        }
        #expect(try ask("ffww01") == 503)
        #expect(try ask("ffww02") == 400)
        _ = try configure("Listen=127.0.0.1:0", domains: "[Domain ffww02]\nWireGuard=wg0\nVXLAN=vx0\n")
        program.signal(SIGHUP)
        try program.waitForLine(containing: "configuration read again, 1 domains")
        #expect(try ask("ffww01") == 400)
        #expect(try ask("ffww02") == 503)
        _ = try configure("Colour=blue")
        program.signal(SIGHUP)
        try program.waitForLine(containing: "the configuration stays as it was")
        #expect(try ask("ffww02") == 503)
        program.signal(SIGTERM)
        #expect(program.status() == 0)
    }

    /// Opens two listening sockets, names them, and becomes the program.
    private static let activation = """
        import os, socket, sys
        sockets = [socket.socket() for _ in range(2)]
        for s in sockets:
            s.bind(('127.0.0.1', 0))
            s.listen(4096)
        high = [os.dup2(s.fileno(), 10 + n) for n, s in enumerate(sockets)]
        for n in range(2):
            os.dup2(high[n], 3 + n)
        os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=sys.argv[1])
        os.execv(sys.argv[2], sys.argv[2:])
        """

    @Test("Sockets of systemd are known by their names, and 4,096 clients may wait at each")
    func activated() throws {
        try makeCertificate("first")
        let lines = "Certificate=\(folder)/one.pem\nPrivateKey=\(folder)/one.key"
        let program = try start(configure(lines), command: ["python3", "-c", Self.activation, "http:https"])
        let line = try program.waitForLine(containing: "listening on ")
        let (plain, tls) = (ports(line)[0], ports(line)[1])
        let client = try HTTPClient(port: plain)
        try client.send("GET / HTTP/1.1\r\nHost: gw\r\n\r\n")
        #expect(try client.answer().status == 200)
        #expect(try subject(at: tls) == "subject=CN = first")
        for port in [plain, tls] {
            // The last number of a listener's line is its backlog; the kernel has its own limit.
            let backlog = try shell("ss -Hltn sport = :\(port)").split(separator: " ").dropFirst(2).first
            let most = try String(contentsOfFile: "/proc/sys/net/core/somaxconn", encoding: .utf8)
            #expect(backlog.flatMap { Int($0) } == min(4096, Int(most.trimmingCharacters(in: .newlines)) ?? 0))
        }
        let open = try start(configure(), command: ["python3", "-c", Self.activation, "http:https"])
        #expect(open.status() == 1)
        #expect(open.output.contains("systemd passed a socket for TLS, but [HTTP] has no Certificate="))
    }
}
