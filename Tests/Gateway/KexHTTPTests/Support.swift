import FieldRouter
import RecordingLog
import Foundation
import KexHTTP
import KexProtocol
import Logging
import NetworkAddresses
import Synchronization
import SystemCalls
import Time
import WireGuardTypes

let key = "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw="
let gatewayKey = PublicKey(text: "I/Q7jOWvH9RGOBqF1tBPRXCbNLD0jEEUeSfHqbtd9wo=")!
let body = "{\"domain\": \"ffww01\",\"public_key\": \"\(key)\"}"
let accepted = "{\"Message\":\"OK\"}\n"
let failure = "{\"error\":{\"message\":\"An internal error has occurred. Please try again later.\"}}\n"
let v1 = "/api/v1/wg/key/exchange"
let v2 = "/api/v2/wg/key/exchange"

/// A POST with a length.
func post(_ path: String, _ body: String, fields: String = "") -> String {
    "POST \(path) HTTP/1.1\r\nHost: gw\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
}

/// A POST in chunks of so many bytes.
func chunked(_ path: String, _ body: String, size: Int = 100) -> String {
    var text = "POST \(path) HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\n\r\n"
    var rest = body[...]
    while !rest.isEmpty {
        let part = rest.prefix(size)
        text += "\(String(part.utf8.count, radix: 16))\r\n\(part)\r\n"
        rest = rest.dropFirst(size)
    }
    return text + "0\r\n\r\n"
}

/// A front door that listens on loopback, at a port that the kernel chose.
final class TestDoor {
    let port: UInt16
    /// The port for TLS, if there is an identity.
    let tlsPort: UInt16?
    let door: HTTPFrontDoor
    let log = RecordingLog()
    private var isStopped = false

    static let settings = HTTPSettings(
        domains: [DomainName("ffww01")!: IPv6Address("fe80::5757:bb:1")!, DomainName("unlinked")!: nil],
        externalName: "gw04.ext.example.net",
        nodeNames: ("/api/add_key", DomainName("ffww01")!),
        unlimitedSources: [IPPrefix("127.0.0.0/8")!]
    )

    init(
        handler: String,
        bus: String? = nil,
        settings: HTTPSettings = settings,
        limits: HTTPLimits = HTTPLimits(),
        exchanges: (any Exchanges)? = nil,
        identity: TLSIdentity? = nil
    ) throws {
        let listener = try Socket.listen(on: .v4(IPv4Address("127.0.0.1")!, port: 0))
        port = try Socket.localAddress(of: listener.raw).endpoint!.port
        let log = log
        door = HTTPFrontDoor(
            settings,
            handler: handler,
            bus: bus,
            exchanges: exchanges,
            identity: identity,
            limits: limits,
            logger: Logger(label: "test") { _ in log }
        )
        try door.listen(on: listener)
        guard identity != nil else {
            tlsPort = nil
            return
        }
        let secure = try Socket.listen(on: .v4(IPv4Address("127.0.0.1")!, port: 0))
        tlsPort = try Socket.localAddress(of: secure.raw).endpoint!.port
        try door.listen(on: secure, isTLS: true)
    }

    deinit { if !isStopped { door.stop() } }

    func stop() {
        isStopped = true
        door.stop()
    }

    /// One request on a connection of its own.
    func answer(to request: String, source: UInt32 = 1, hasBody: Bool = true) throws -> HTTPClient.Answer {
        let client = try HTTPClient(port: port, source: source)
        try client.send(request)
        return try client.answer(hasBody: hasBody)
    }
}

/// Seconds that `body` takes.
func seconds(_ body: () throws -> Void) throws -> Double {
    let start = MonotonicTime.now
    try body()
    return (MonotonicTime.now - start) / .seconds(1)
}
