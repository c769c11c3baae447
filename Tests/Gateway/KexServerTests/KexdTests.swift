import Foundation
import HandlerChannel
import KexProtocol
import NetworkAddresses
import SystemCalls
import SystemPackage
import Testing
import Time

private let key = "I/Q7jOWvH9RGOBqF1tBPRXCbNLD0jEEUeSfHqbtd9wo="
private let exchange = "ffww01\n\(key)\n"

@Suite("kexd") struct KexdTests {
    @Test("serves at the port that it names, and ends with status 0 when it is told to", arguments: [SIGTERM, SIGINT])
    func serve(signal: Int32) throws {
        let handler = try TestHandler()
        let (kexd, port) = try KexdProcess.listening(handler: handler.path)
        let success = try TestClient(port: port)
        try success.send(exchange)
        try handler.accept()
        try handler.answer(try handler.request(), nil)
        #expect(try success.outcome() == .success)

        let refused = try TestClient(port: port)
        try refused.send("ffww03\n")
        #expect(try refused.outcome() == .closed("ERR: INVALID_DOMAIN\n"))

        kexd.signal(signal)
        let result = try kexd.result()
        #expect(result.status == 0)
        let word = signal == SIGTERM ? "terminate" : "interrupt"
        #expect(
            result.output == """
                kexd: listening on 127.0.0.1:\(port)
                kexd: refused an exchange from 127.0.0.1: INVALID_DOMAIN
                kexd: ending on signal \(word)

                """
        )
    }

    @Test("finishes what the handler has been asked before it ends")
    func finish() throws {
        let handler = try TestHandler()
        let (kexd, port) = try KexdProcess.listening(handler: handler.path)
        let client = try TestClient(port: port)
        try client.send(exchange)
        try handler.accept()
        let request = try handler.request()
        kexd.signal(SIGTERM)
        usleep(50_000)
        #expect(!client.hasAnswer)
        try handler.answer(request, .domainFull)
        #expect(try client.outcome() == .closed("ERR: DOMAIN_FULL\n"))
        #expect(try kexd.result().status == 0)
    }

    @Test("sends two exchanges that wait together in one packet")
    func batch() throws {
        let handler = try TestHandler()
        let (kexd, port) = try KexdProcess.listening(handler: handler.path)
        kexd.signal(SIGSTOP)
        let clients = try (0..<2).map { _ in try TestClient(port: port) }
        for client in clients { try client.send(exchange) }
        kexd.signal(SIGCONT)
        try handler.accept()
        let requests = try handler.requests()
        #expect(requests.count == 2)
        try handler.answer(requests.map { RegistrationAnswer(id: $0.id, refusal: nil) })
        for client in clients { #expect(try client.outcome() == .success) }
    }

    @Test("says once that the handler cannot be asked, and once that it answers again")
    func notices() throws {
        let path = TestHandler.newPath()
        let (kexd, port) = try KexdProcess.listening(handler: path, ["--listen", "127.0.0.1:0", "--debug"])
        for _ in 0..<3 {
            let client = try TestClient(port: port)
            try client.send(exchange)
            #expect(try client.outcome() == .closed("ERR: UNAVAILABLE\n"))
        }
        let handler = try TestHandler(path: path)
        usleep(110_000)
        let client = try TestClient(port: port)
        try client.send(exchange)
        try handler.accept()
        try handler.answer(try handler.request(), nil)
        #expect(try client.outcome() == .success)
        kexd.signal(SIGTERM)
        let lines = try kexd.result().output.split(separator: "\n")
        let failure = "cannot connect to \(path): No such file or directory (errno 2); answering UNAVAILABLE"
        #expect(
            lines.filter { $0.hasPrefix("kexd: the handler cannot be asked: \(failure); is kex-handler running") }.count
                == 1
        )
        #expect(lines.filter { $0 == "kexd: the handler answers again" }.count == 1)
        #expect(lines.filter { $0.contains("exchange from 127.0.0.1: UNAVAILABLE") }.count == 3)
        #expect(lines.filter { $0.contains("exchange from 127.0.0.1: accepted") }.count == 1)
    }

    @Test("waits without spinning when it has no descriptor left, and goes on when it has one")
    func exhausted() throws {
        let path = TestHandler.newPath()
        let (kexd, port) = try KexdProcess.listening(handler: path, shell: "ulimit -n 20;")
        var idle = try (0..<30).map { _ in try TestClient(port: port) }
        for client in idle { try client.send("f") }
        _ = try kexd.waitForLine(containing: "Too many open files")
        let before = try kexd.processorTime()
        usleep(1_000_000)
        let used = try kexd.processorTime() - before
        #expect(used < 0.1, "\(used) s")
        // Ten tries, one line.
        #expect(try kexd.linesSoFar().filter { $0.contains("Too many open files") }.count == 1)
        idle.removeAll()
        let client = try TestClient(port: port)
        try client.send("ffww03\n")
        #expect(try client.outcome() == .closed("ERR: INVALID_DOMAIN\n"))
    }

    @Test("takes as many descriptors as it may")
    func descriptors() throws {
        let path = TestHandler.newPath()
        let (kexd, _) = try KexdProcess.listening(handler: path, shell: "ulimit -Sn 30; ulimit -Hn 3000;")
        let limits = try String(contentsOfFile: "/proc/\(kexd.number)/limits", encoding: .utf8)
        let line = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max open files") })
        #expect(line.split(separator: " ").filter { $0 == "3000" }.count == 2, "\(line)")
    }

    @Test("gives a client the five seconds of the protocol")
    func lineTime() throws {
        let (kexd, port) = try KexdProcess.listening(handler: TestHandler.newPath())
        let start = MonotonicTime.now
        let silent = try TestClient(port: port)
        let talking = try TestClient(port: port)
        try talking.send("ffww01")
        usleep(4_500_000)
        #expect(try silent.outcome() == .closed("ERR: NO_DOMAIN\n"))
        #expect((.milliseconds(4990)..<(.milliseconds(5900))).contains(MonotonicTime.now - start))
        // Five for what it took for a line, five for the next.
        usleep(4_500_000)
        #expect(try talking.outcome() == .closed("ERR: NO_WGKEY\n"))
        #expect((.milliseconds(9990)..<(.milliseconds(10_900))).contains(MonotonicTime.now - start))
        kexd.signal(SIGTERM)
        #expect(try kexd.result().status == 0)
    }

    @Test("listens where the configuration says, for IPv4 and IPv6, several times")
    func listen() throws {
        let configuration = try ConfigurationFile(
            """
            [Gateway]
            Listen=[::1]:0
            Listen=127.0.0.1:0
            [Domain ffww01]
            WireGuard=wgww01
            VXLAN=vxww01
            """
        )
        let kexd = try KexdProcess(["--config", configuration.path])
        let line = try kexd.waitForLine(containing: "listening on ")
        #expect(line.contains(try Regex(#"listening on \[::1\]:[1-9][0-9]*, 127\.0\.0\.1:[1-9][0-9]*$"#)))
    }

    @Test("reads its configuration again on SIGHUP: new domains count at once, exchanges in flight go on")
    func reload() throws {
        let handler = try TestHandler()
        let domain = { (name: String) in "[Domain \(name)]\nWireGuard=wg\(name)\nVXLAN=vx\(name)\n" }
        let configuration = try ConfigurationFile(domain("old"))
        let kexd = try KexdProcess([
            "--config", configuration.path, "--listen", "127.0.0.1:0", "--handler", handler.path,
        ])
        let line = try kexd.waitForLine(containing: "listening on ")
        let port = try #require(UInt16(line.split(separator: ":").last ?? ""))
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHhg="
        // One has sent its first line, and one is being asked about, while the configuration changes.
        let (reading, asking) = (try TestClient(port: port), try TestClient(port: port))
        try reading.send("old\n")
        try asking.send("old\n\(key)\n")
        try handler.accept()
        let request = try handler.request()
        usleep(50_000)

        try (domain("old") + "Nonsense=1\n").write(toFile: configuration.path, atomically: false, encoding: .utf8)
        kexd.signal(SIGHUP)
        _ = try kexd.waitForLine(containing: "the configuration stays as it was")
        #expect(try kexd.linesSoFar().contains { $0.contains("unknown key Nonsense") })

        try domain("new").write(toFile: configuration.path, atomically: false, encoding: .utf8)
        kexd.signal(SIGHUP)
        _ = try kexd.waitForLine(containing: "configuration read again")
        try handler.answer(request, nil)
        #expect(try asking.outcome() == .success)
        try reading.send("\(key)\n")
        try handler.answer(try handler.request(), nil)
        #expect(try reading.outcome() == .success)
        let (gone, new) = (try TestClient(port: port), try TestClient(port: port))
        try gone.send("old\n")
        #expect(try gone.outcome() == .closed("ERR: INVALID_DOMAIN\n"))
        try new.send("new\n\(key)\n")
        try handler.answer(try handler.request(), nil)
        #expect(try new.outcome() == .success)
    }

    @Test("takes the sockets of systemd, and then does not listen where the configuration says")
    func activation() throws {
        let configuration = try ConfigurationFile()
        let listener = try Socket.listen(on: try #require(Endpoint("[::]:0")))
        let port = try #require(try Socket.localAddress(of: listener.raw).endpoint).port
        let kexd = try KexdProcess(
            ["--config", configuration.path],
            shell: "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$;",
            standardInput: FileHandle(fileDescriptor: listener.raw.rawValue)
        )
        #expect(try kexd.waitForLine(containing: "listening on ") == "kexd: listening on [::]:\(port)")
        let client = try TestClient(port: port)
        try client.send("ffww03\n")
        #expect(try client.outcome() == .closed("ERR: INVALID_DOMAIN\n"))
    }

    @Test("names the line of a socket unit that hands over connections in place of the socket")
    func connectionOfSystemd() throws {
        let configuration = try ConfigurationFile()
        let listener = try Socket.listen(on: try #require(Endpoint("127.0.0.1:0")))
        let client = try TestClient(port: try #require(try Socket.localAddress(of: listener.raw).endpoint).port)
        defer { withExtendedLifetime(client) {} }
        try wait(for: listener.raw, "a connection")
        guard let accepted = try Socket.accept(from: listener.raw) else { throw TimedOut(what: "a connection") }
        let connection = accepted.takeDescriptor()
        let kexd = try KexdProcess(
            ["--config", configuration.path],
            shell: "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=connection;",
            standardInput: FileHandle(fileDescriptor: connection.raw.rawValue)
        )
        let reason = "cannot listen on descriptor 3 (connection) of systemd: Transport endpoint is already connected"
        let advice = "its socket unit has Accept=yes: set Accept=no there (systemctl edit), and restart it"
        #expect(
            try kexd.result() == KexdProcess.Result(output: "kexd: \(reason) (errno 106); \(advice)\n", status: 1)
        )
    }

    @Test(
        "resets, when it is killed, whoever has no answer: nothing sent, half of the lines, and all that the handler was asked"
    )
    func killedAmidExchanges() throws {
        let handler = try TestHandler()
        let (kexd, port) = try KexdProcess.listening(handler: handler.path)
        let silent = try TestClient(port: port)
        let half = try TestClient(port: port)
        try half.send("ffww01\n")
        usleep(50_000)
        // One whose lines are there when it is accepted, and one whose lines come later.
        kexd.signal(SIGSTOP)
        let whole = try TestClient(port: port)
        try whole.send(exchange)
        kexd.signal(SIGCONT)
        try handler.accept()
        _ = try handler.request()
        let late = try TestClient(port: port)
        usleep(50_000)
        try late.send(exchange)
        _ = try handler.request()
        kexd.signal(SIGKILL)
        _ = try kexd.result()
        for client in [silent, half, whole, late] { #expect(try client.outcome() == .reset("")) }
    }

    @Test("resets, when it is killed, also a connection that was there before it: systemd listens first")
    func killed() throws {
        let configuration = try ConfigurationFile()
        let listener = try Socket.listen(on: try #require(Endpoint("127.0.0.1:0")))
        let port = try #require(try Socket.localAddress(of: listener.raw).endpoint).port
        let early = try TestClient(port: port)
        let kexd = try KexdProcess(
            ["--config", configuration.path],
            shell: "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$;",
            standardInput: FileHandle(fileDescriptor: listener.raw.rawValue)
        )
        _ = try kexd.waitForLine(containing: "listening on ")
        let late = try TestClient(port: port)
        for client in [early, late] { try client.send("ffww01\n") }
        usleep(100_000)
        kexd.signal(SIGKILL)
        _ = try kexd.result()
        #expect(try early.outcome() == .reset(""))
        #expect(try late.outcome() == .reset(""))
    }

    @Test("has connections reset before it knows of them: none ends in order if it is killed right after accept(2)")
    func killedAtAccept() throws {
        let configuration = try ConfigurationFile()
        let listener = try Socket.listen(on: try #require(Endpoint("127.0.0.1:0")))
        let port = try #require(try Socket.localAddress(of: listener.raw).endpoint).port
        let kexd = try KexdProcess(
            ["--config", configuration.path],
            shell: "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$;",
            standardInput: FileHandle(fileDescriptor: listener.raw.rawValue)
        )
        _ = try kexd.waitForLine(containing: "listening on ")
        kexd.signal(SIGKILL)
        _ = try kexd.result()
        // The socket is the same one in the next kexd, whose place this process takes: it accepts, and dies.
        let client = try TestClient(port: port)
        guard let accepted = try Socket.accept(from: listener.raw) else { throw TimedOut(what: "a connection") }
        _ = accepted.takeDescriptor()
        // A router would take an end in order for success, even if its lines are answered by a reset.
        #expect(try client.outcome() == .reset(""))
    }

    @Test("prints its configuration and ends, if asked")
    func checkConfiguration() throws {
        let configuration = try ConfigurationFile()
        let result = try KexdProcess(["--check-config", "--config", configuration.path]).result()
        #expect(result.status == 0)
        #expect(result.output.contains("\n[Domain ffww01]\nWireGuard=wgww01\nVXLAN=vxww01\n"))
    }

    @Test("prints help and version, and ends") func information() throws {
        let help = try KexdProcess(["--help"]).result()
        #expect(help.status == 0)
        #expect(help.output.hasPrefix("Usage: kexd [OPTION]...\n"))
        let version = try KexdProcess(["--version"]).result()
        #expect(version.output.wholeMatch(of: #/kexd \d+\.\d+\.\d+\n/#) != nil && version.status == 0, "\(version)")
    }

    @Test(
        "says what is wrong with its options, and ends with status 64",
        arguments: [
            (["--bogus"], "unknown option --bogus"),
            (["--listen", "localhost"], "option --listen localhost: expected ADDRESS:PORT, IPv6 in brackets"),
            (["--listen", "::1:10012"], "option --listen ::1:10012: expected ADDRESS:PORT, IPv6 in brackets"),
            (["--handler"], "option --handler needs a value: --handler PATH"),
        ]
    )
    func usage(arguments: [String], message: String) throws {
        let configuration = try ConfigurationFile()
        let result = try KexdProcess(["--config", configuration.path] + arguments).result()
        #expect(result == KexdProcess.Result(output: "kexd: \(message); see kexd --help\n", status: 64))
    }

    @Test("says what is wrong with its configuration, and ends with status 78")
    func badConfiguration() throws {
        let configuration = try ConfigurationFile("[Domain ffww01]\nWireGuard=wgww01\nVXLAN=vxww01\nColour=red\n")
        let result = try KexdProcess(["--config", configuration.path]).result()
        #expect(result.status == 78)
        #expect(result.output.hasPrefix("kexd: \(configuration.path):4: "))
    }

    @Test("takes an address without a port: then it is 10012")
    func defaultPort() throws {
        let configuration = try ConfigurationFile("[Gateway]\nListen=192.0.2.1\n[Domain a]\nWireGuard=w\nVXLAN=v\n")
        let result = try KexdProcess(["--config", configuration.path, "--check-config"]).result()
        #expect(result.output.contains("Listen=192.0.2.1:10012\n"))
    }

    @Test("says where it cannot listen, and ends with status 1")
    func cannotListen() throws {
        let (other, port) = try KexdProcess.listening(handler: TestHandler.newPath())
        let configuration = try ConfigurationFile()
        let result = try KexdProcess(["--config", configuration.path, "--listen", "127.0.0.1:\(port)"]).result()
        let message =
            "kexd: cannot bind 127.0.0.1:\(port): Address already in use (errno 98); another process has it, see ss -lntxp, or it was given twice\n"
        #expect(result == KexdProcess.Result(output: message, status: 1))
        other.signal(SIGTERM)
        #expect(try other.result().status == 0)
    }
}
