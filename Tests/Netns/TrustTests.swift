import BusMessages
import FieldRouter
import Foundation
import Keys
import Mosquitto
import Surroundings
import SystemCalls
import TLSFiles
import Testing
import WireGuardTypes

/// A throw-away authority, the broker's certificate, passwords, and the gateways' signing keys.
private final class Secrets {
    private let folder = "/run/kex-secrets-\(UUID().uuidString)"
    private(set) var signingKeys: [String: SigningKey] = [:]

    init(gateways: [String], users: [String]) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        try Command.check(
            "openssl req -x509 \(key) -subj /CN=ca -days 2 -keyout \(path("ca.key")) -out \(path("ca.crt"))"
        )
        try Command.check(
            "openssl req \(key) -subj /CN=broker -keyout \(path("broker.key")) -out \(path("broker.csr"))"
        )
        try write("subjectAltName=DNS:localhost", to: "extensions")
        try Command.check(
            "openssl x509 -req -in \(path("broker.csr")) -CA \(path("ca.crt")) -CAkey \(path("ca.key")) -CAcreateserial "
                + "-days 2 -extfile \(path("extensions")) -out \(path("broker.crt"))"
        )
        try write("", to: "passwords")
        for user in users {
            try write("secret of \(user)\n", to: "\(user).password")
            let arguments = ["-b", path("passwords"), user, "secret of \(user)"]
            guard try Command.run("mosquitto_passwd", arguments).status == 0 else { throw Failure("no password") }
        }
        for gateway in gateways {
            let key = SigningKey()
            signingKeys[gateway] = key
            try write(key.text, to: "\(gateway).signing")
        }
        try write(signingKeys.map { "\($1.publicKey) \($0)\n" }.joined(), to: "trusted")
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    private func write(_ text: String, to name: String) throws {
        try text.write(toFile: path(name), atomically: false, encoding: .utf8)
    }

    /// Lines of the broker's configuration.
    var listener: String {
        """
        cafile \(path("ca.crt"))
        certfile \(path("broker.crt"))
        keyfile \(path("broker.key"))
        password_file \(path("passwords"))
        """
    }

    /// Lines of a gateway's section `[Bus]`, beside its name.
    func bus(_ gateway: String) -> String {
        """
        User=gateways
        PasswordFile=\(path("gateways.password"))
        CAFile=\(path("ca.crt"))
        SigningKey=\(path("\(gateway).signing"))
        TrustedKeys=\(path("trusted"))
        """
    }
}

/// Whole gateways that believe nobody but one another.
@Suite("Trust on the bus", .needsRoot, .serialized) struct TrustTests {
    @Test(
        "Over TLS, with passwords and signatures, routers are shared; a stranger with an account there changes nothing"
    )
    func strangers() throws {
        let secrets = try Secrets(gateways: ["gw01", "gw02"], users: ["gateways", "stranger"])
        let broker = try MessageBroker(secrets.listener)
        try broker.start()
        let gateways = try ["gw01", "gw02"].map { name in
            let gateway = try GatewayFixture(
                settings: "LinkAddress=fe80::5757:bb:1",
                bus: "Broker=localhost:\(broker.port)\nName=\(name)\n\(secrets.bus(name))"
            )
            try gateway.startHandler()
            try gateway.startMQTT()
            try gateway.mqtt?.waitFor(#/connected to the broker localhost/#)
            return gateway
        }
        try gateways[0].startHTTPListener()
        try gateways[0].startListener()
        func haveAll(_ keys: Set<String>) throws -> Bool {
            try gateways.allSatisfy { try Set($0.peers().keys) == keys }
        }
        let heard = try gateways[0].makeConnectedRouter(1)
        try wait(for: "the router at both") { try haveAll([heard]) }

        let stranger = try BusPeer(broker) { settings in
            settings.host = "localhost"
            (settings.user, settings.password) = ("stranger", "secret of stranger")
            settings.tls = .init(authorities: secrets.path("ca.crt"))
        }
        // Without a signature, with one of his own, and as if with one of the other gateway's.
        let signers = [nil, SigningKey(), secrets.signingKeys["gw02"]]
        for signer in signers {
            try stranger.say(.registered, of: PublicKey(text: anyKey())!, as: "gw01", signedWith: signer)
            try stranger.say(
                .heard(at: wallClockSeconds()),
                of: PublicKey(text: anyKey())!,
                as: "gw01",
                signedWith: signer
            )
            try stranger.say(.removed, of: PublicKey(text: heard)!, as: "gw01", signedWith: signer)
        }
        // The field's form has no signature; gateways of ours send it too, so it is passed over without a word.
        try stranger.publish("wireguard/ffww01/all", Array(anyKey().utf8))
        try stranger.settle()
        let notice = "0 malformed, \(3 * signers.count) untrusted, 0 over the limit"
        for gateway in gateways { try gateway.mqtt?.waitFor(Regex<Substring>(verbatim: notice)) }
        #expect(try haveAll([heard]))

        // They believe each other still, and their routers are answered.
        let asked = anyKey()
        let router = FieldRouter(domain: "ffww01", key: asked)
        #expect(router.post("/api/v1/wg/key/exchange", gateways[0].httpPort) == .registered)
        try wait(for: "one more at both") { try haveAll([heard, asked]) }
    }
}
