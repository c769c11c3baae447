import Mosquitto
import TLSFiles
import Testing

/// A throw-away authority, and what it vouches for.
private struct Authority {
    let folder: Folder

    init() throws {
        folder = try Folder()
        for name in ["ca", "stranger"] {
            try folder.run(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=\(name)",
                "-keyout",
                "\(name).key",
                "-out",
                "\(name).crt"
            )
        }
        try issue("broker", extensions: "subjectAltName=DNS:localhost")
        try issue("member", extensions: "extendedKeyUsage=clientAuth")
    }

    private func issue(_ name: String, extensions: String) throws {
        try folder.run(
            "openssl",
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=\(name)",
            "-keyout",
            "\(name).key",
            "-out",
            "\(name).csr"
        )
        let file = try folder.write(extensions, to: "\(name).ext")
        try folder.run(
            "openssl",
            "x509",
            "-req",
            "-in",
            "\(name).csr",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            file,
            "-out",
            "\(name).crt"
        )
    }

    func file(_ name: String) -> String { "\(folder.path)/\(name)" }

    var listener: String {
        "cafile \(file("ca.crt"))\ncertfile \(file("broker.crt"))\nkeyfile \(file("broker.key"))\n"
    }
}

@Suite("TLS and who we are", .serialized) struct SecureTests {
    private let authority: Authority

    init() throws { authority = try Authority() }

    private func client(
        _ broker: TestBroker,
        host: String = "localhost",
        _ change: (inout BrokerSettings) -> Void = { _ in }
    ) throws -> TestClient {
        try TestClient(broker, "client") { settings in
            settings.host = host
            settings.tls = .init(authorities: authority.file("ca.crt"))
            change(&settings)
        }
    }

    @Test("With the right authority and password all works, in records of TLS that hold many messages")
    func password() throws {
        try authority.folder.run("mosquitto_passwd", "-b", "-c", "passwords", "gateway", "secret")
        let broker = try TestBroker("\(authority.listener)password_file \(authority.file("passwords"))\n")
        try broker.start()
        let client = try client(broker) { ($0.user, $0.password) = ("gateway", "secret") }
        try client.connect()
        try client.subscribe("t/+")
        // More than a record takes and less than a burst: some are left in OpenSSL when the socket is empty.
        for number in 0..<500 {
            _ = try client.link.publish("t/\(number)", [UInt8](repeating: 1, count: 200), quality: .atLeastOnce)
        }
        #expect(try client.waitForMessages(500).count == 500)
        let wrong = try self.client(broker) { ($0.user, $0.password) = ("gateway", "wrong") }
        #expect(try wrong.failToConnect() == .refused(135))
        let nobody = try self.client(broker)
        #expect(
            try nobody.failToConnect().description == "the broker refused the connection: Not authorized (reason 135)"
        )
    }

    @Test("A broker of another authority, or of another name, is refused; so are files that are not there")
    func verification() throws {
        let broker = try TestBroker(authority.listener + "allow_anonymous true\n")
        try broker.start()
        func reason(host: String = "localhost", _ authorities: String) throws -> String {
            let client = try client(broker, host: host) { $0.tls = .init(authorities: authorities) }
            return try client.failToConnect().description
        }
        let verify = "certificate verify failed"
        #expect(try reason(authority.file("stranger.crt")).contains(verify))
        #expect(try reason(host: "127.0.0.1", authority.file("ca.crt")).contains(verify))
        let missing = authority.file("missing.crt")
        #expect(
            try reason(missing)
                == "cannot reach the broker: cannot read \(missing): No such file or directory (errno 2)"
        )
        let noCertificate = try authority.folder.write("nothing", to: "nothing.crt")
        #expect(try reason(noCertificate).hasPrefix("cannot reach the broker: "))
        // In clear to a listener with TLS.
        let clear = try TestClient(broker, "clear")
        guard case .lost = try clear.failToConnect() else {
            Issue.record("\(clear.events)")
            return
        }
    }

    @Test("A certificate of ours is shown, and without one a broker that wants it lets nobody in")
    func certificate() throws {
        let broker = try TestBroker(authority.listener + "require_certificate true\nuse_identity_as_username true\n")
        try broker.start()
        let member = try client(broker) {
            $0.tls?.identity = .init(
                certificate: authority.file("member.crt"),
                privateKey: authority.file("member.key")
            )
        }
        try member.connect()
        #expect(try member.publish("c", "c") == 16)
        let nobody = try client(broker)
        // The broker's alert comes while CONNECT is written, which the connecting thread does, or after it.
        switch try nobody.failToConnect() {
        case .lost, .unreachable: #expect(!nobody.events.contains(.connected))
        case .refused, .ended: Issue.record("\(nobody.events)")
        }
    }
}
