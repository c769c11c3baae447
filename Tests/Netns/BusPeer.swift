import BusMessages
import EventLoop
import Foundation
import KexProtocol
import Keys
import Mosquitto
import NetworkAddresses
import SystemCalls
import Time
import WireGuardTypes

/// A mosquitto on loopback, at a port that was free a moment ago.
final class MessageBroker {
    let port: UInt16
    private let folder = "/run/kex-broker-\(UUID().uuidString)"
    private(set) var daemon: Daemon?

    /// - Parameter lines: of the configuration: who may use it, and how.
    init(_ lines: String = "allow_anonymous true") throws {
        let socket = try Socket.listen(on: .v4(.init(value: 0x7f00_0001), port: 0))
        port = try Socket.localAddress(of: socket.raw).endpoint!.port
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        try change(lines)
    }

    /// Other lines of the configuration, which hold from the next start.
    func change(_ lines: String) throws {
        let text = "user root\nlistener \(port) 127.0.0.1\n\(lines)\n"
        try text.write(toFile: "\(folder)/conf", atomically: false, encoding: .utf8)
    }

    deinit {
        stop(SIGKILL)
        try? FileManager.default.removeItem(atPath: folder)
    }

    func start() throws {
        daemon = try Daemon(["/usr/sbin/mosquitto", "-c", "\(folder)/conf"], log: "\(folder)/log")
        try wait(for: "mosquitto") { (try? TCPClient(port: port)) != nil }
    }

    func stop(_ signal: Int32 = SIGTERM) {
        daemon?.end(with: signal)
        daemon = nil
    }

    /// A program of the broker's own clients, as the field's programs speak: MQTT 3.1.1.
    func client(_ program: String, _ arguments: [String]) throws -> Daemon {
        let all = [program, "-h", "127.0.0.1", "-p", "\(port)", "-V", "mqttv311"] + arguments
        return try Daemon(all, log: "\(folder)/\(UUID().uuidString).log")
    }

    /// Publishes one message.
    func publish(_ topic: String, _ text: String, _ arguments: String...) throws {
        let client = try client("mosquitto_pub", ["-t", topic, "-m", text] + arguments)
        try wait(for: "the publication") { !client.isRunning }
        guard client.status == 0 else { throw Failure("mosquitto_pub: \(client.output)") }
    }

    /// Takes down what it hears: topic, a blank and the payload, line by line.
    func listener(_ filters: String..., arguments: [String] = []) throws -> Daemon {
        let listener = try client("mosquitto_sub", ["-v"] + filters.flatMap { ["-t", $0] } + arguments)
        usleep(200_000)
        return listener
    }
}

/// Somebody on the bus who can publish much: another gateway, or a stranger.
final class BusPeer {
    private var loop: EventLoop
    private var link: BrokerLink
    private var waiting = 0

    init(_ broker: MessageBroker, _ change: (inout BrokerSettings) -> Void = { _ in }) throws {
        var settings = BrokerSettings(host: "127.0.0.1", port: broker.port, clientID: "peer")
        change(&settings)
        loop = try EventLoop()
        link = BrokerLink(settings, token: 1)
        link.connect(now: .now)
        let deadline = MonotonicTime.now + .seconds(10)
        while !link.isConnected {
            guard .now < deadline else { throw Failure("no broker") }
            try step()
        }
    }

    private func step() throws {
        let limit = MonotonicTime.now + .milliseconds(100)
        for index in 0..<(try loop.wait(until: min(limit, link.deadline ?? limit))) {
            link.handle(loop[index].readiness)
        }
        for event in try link.attend(loop, now: .now) {
            if case .acknowledged = event { waiting -= 1 }
            if case .disconnected(let reason) = event { throw Failure("\(reason)") }
        }
    }

    /// Publishes, and waits until the broker has all but some hundred.
    func publish(_ topic: String, _ payload: [UInt8], isRetained: Bool = false) throws {
        while waiting >= 500 { try step() }
        _ = try link.publish(topic, payload, quality: .atLeastOnce, isRetained: isRetained)
        waiting += 1
    }

    func publish(_ message: BusMessage, isRetained: Bool = false, signedWith key: SigningKey? = nil) throws {
        try publish("\(message.topic)", message.payload(signedWith: key), isRetained: isRetained)
    }

    /// A note of a gateway of ours.
    ///
    /// - Parameter age: how many seconds ago it was said; negative for one from the future.
    func say(
        _ state: RouterNote.State,
        of key: PublicKey,
        as gateway: String = "gw09",
        age: Int64 = 0,
        signedWith signer: SigningKey? = nil
    ) throws {
        let time = wallClockMilliseconds() - age * 1000
        let note = RouterNote(gateway: GatewayName(gateway)!, time: time, state: state)
        let registration = Registration(domain: DomainName("ffww01")!, key: key)
        try publish(.router(registration, note), isRetained: true, signedWith: signer)
    }

    /// Waits until the broker has all.
    func settle() throws { while waiting > 0 { try step() } }
}
