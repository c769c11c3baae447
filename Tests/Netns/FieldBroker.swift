import Foundation

/// The field's broker on the bus: passes keys on, keeps what workers say of themselves, and chooses one for each
/// router.
///
/// What it does for a router is what the deployed program does for a request of version 2, measured; the request itself
/// is HTTP, and not of concern here.
final class FieldBroker {
    struct Answer: Equatable {
        var worker: String
        /// The worker's data, as they came.
        var data: String
    }

    private let broker: MessageBroker
    private let domain: String
    private let weights: [String: Int]
    private let connection: Daemon
    /// Lines that are taken in.
    private var taken = 0
    /// In the order in which they were heard of first: it decides between equals.
    private var workers: [String] = []
    private var isOnline: [String: Bool] = [:]
    private var peers: [String: Int] = [:]
    private var data: [String: String] = [:]

    init(_ broker: MessageBroker, domain: String = "ffww01", weights: [String: Int] = [:]) throws {
        self.broker = broker
        self.domain = domain
        self.weights = weights
        connection = try broker.listener(
            "wireguard-metrics/#",
            "wireguard-worker/+/status",
            "wireguard-worker/+/+/data"
        )
    }

    /// Takes in what has come.
    private func listen() {
        let lines = connection.output.split(separator: "\n")
        for line in lines[taken...] {
            guard let blank = line.firstIndex(of: " ") else { continue }
            let (topic, text) = (
                line[..<blank].split(separator: "/").map(String.init), line[line.index(after: blank)...]
            )
            switch (topic[0], topic.last) {
            case ("wireguard-metrics", "connected_peers") where topic[1] == domain:
                if peers.updateValue(Int(text) ?? -1, forKey: topic[2]) == nil { workers.append(topic[2]) }
            case ("wireguard-worker", "status"): isOnline[topic[1]] = text == "1"
            case ("wireguard-worker", "data") where topic[2] == domain: data[topic[1]] = String(text)
            default: break
            }
        }
        taken = lines.count
    }

    /// Those to whom routers may be sent.
    var online: Set<String> {
        listen()
        return Set(workers.filter { isOnline[$0] == true && peers[$0, default: -1] >= 0 })
    }

    /// A router asks.
    func exchange(_ key: String) throws -> Answer {
        try broker.publish("wireguard/\(domain)/all", key, "-q", "0")
        let candidates = online
        let total = peers.values.reduce(0) { $0 + max($1, 0) }
        let weight = workers.reduce(0) { $0 + weights[$1, default: 1] }
        func surplus(_ name: String) -> Double {
            Double(peers[name] ?? 0) - Double(weights[name, default: 1]) / Double(weight) * Double(total)
        }
        guard let chosen = workers.filter(candidates.contains).min(by: { surplus($0) < surplus($1) }),
            let data = data[chosen]
        else { throw Failure("no worker") }
        peers[chosen, default: 0] += 1
        return Answer(worker: chosen, data: data)
    }
}
