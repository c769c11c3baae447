import Foundation

/// The field's worker on the bus: takes keys, and says that it is there. Its MQTT is the 3.1.1 of the broker's own
/// clients.
///
/// Measured with the deployed program: what it says, in which order, with which quality, and what of it is retained.
final class FieldWorker {
    let name: String
    let key = anyKey()
    private let broker: MessageBroker
    private let domain: String
    private var connection: Daemon?

    init(_ broker: MessageBroker, name: String = "worker", domain: String = "ffww01") {
        self.broker = broker
        self.name = name
        self.domain = domain
    }

    private var status: String { "wireguard-worker/\(name)/status" }

    /// Where its routers are to go.
    var data: String {
        "{\"ExternalAddress\": \"\(name).example.net\", \"Port\": 40011, \"PublicKey\": \"\(key)\", "
            + "\"LinkAddress\": \"fe80::2\"}"
    }

    func connect() throws {
        connection = try broker.listener(
            "wireguard/\(domain)/+",
            arguments: ["-q", "0", "-i", name, "--will-topic", status, "--will-payload", "0", "--will-qos", "1"]
                + ["--will-retain"]
        )
        try broker.publish("wireguard-worker/\(name)/\(domain)/data", data, "-q", "1", "-r")
        try broker.publish(status, "1", "-q", "1", "-r")
        try tell(peers: 0)
    }

    /// As it does every minute.
    func tell(peers: Int, quality: Int = 0) throws {
        try broker.publish("wireguard-metrics/\(domain)/\(name)/connected_peers", "\(peers)", "-q", "\(quality)", "-r")
    }

    /// The keys that it has taken. Its queue is a set, and so it has no order.
    var keys: Set<String> {
        Set(
            (connection?.output ?? "").split(separator: "\n").compactMap {
                $0.split(separator: " ").last.map(String.init)
            }
        )
    }

    func leave() throws {
        try tell(peers: -1, quality: 1)
        try broker.publish(status, "0", "-q", "1", "-r")
        connection?.end(with: SIGTERM)
    }

    /// Without a last word: the broker has its will.
    func die() { connection?.end(with: SIGKILL) }
}
