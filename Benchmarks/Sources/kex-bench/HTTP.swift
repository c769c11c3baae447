import Foundation
import Glibc

// New keys over HTTP, each answered when the kernel has its peer, and on a gateway with a bus when the broker has it
// too.

extension Bench {
    /// One way of asking for the same.
    private struct Way {
        let name: String
        let path: String?
        var isKept = false
        var hasBus = false
    }

    func http() throws {
        let (v1, v2) = (HTTPExchange.v1, HTTPExchange.v2)
        let ways = [
            Way(name: "two lines", path: nil), Way(name: "v1, a new connection each", path: v1),
            Way(name: "v1", path: v1, isKept: true), Way(name: "v2, a new connection each", path: v2),
            Way(name: "v2", path: v2, isKept: true), Way(name: "v1 with a bus", path: v1, isKept: true, hasBus: true),
            Way(name: "v2 with a bus", path: v2, isKept: true, hasBus: true),
        ]
        let count = amount(2000, quick: 500)
        let broker = try Broker()
        var series = Series()
        try eachRound("new keys over HTTP") { round in
            // New gateways: what has many peers is slower.
            let gateways = try [("http\(round)", nil), ("bus\(round)", broker)].map { name, broker in
                try httpGateway(name, keys: count * ways.count, broker)
            }
            // Nobody is always the first, or behind the same one.
            for index in ways.indices {
                let way = ways[(index + round) % ways.count]
                let (gateway, keys) = gateways[way.hasBus ? 1 : 0]
                let part = Array(keys[(index * count)..<((index + 1) * count)])
                let load = try ask(gateway, part, way.path, isKept: way.isKept)
                series.add("rate \(way.name)", load.rate)
                series.add("cpu \(way.name)", load.cpuPerExchange)
                series.add("p99 \(way.name)", load.p99 / 1000)
            }
            for (gateway, keys) in gateways {
                let isBus = gateway.mqtt != nil
                let asked = ways.indices.filter { ways[($0 + round) % ways.count].hasBus == isBus }
                let wanted = Set(asked.flatMap { keys[($0 * count)..<(($0 + 1) * count)] })
                guard try gateway.domains[0].interfaces.peers() == wanted else {
                    throw Failure("not exactly those are in WireGuard whose key was answered with success")
                }
                let word = isBus ? " with a bus" : ""
                series.add("memory\(word)", (gateway.httpListener?.peakBytes ?? 0) / 1_048_576)
                if let mqtt = gateway.mqtt { series.add("memory of kex-mqtt", mqtt.peakBytes / 1_048_576) }
            }
        }
        for way in ways.dropFirst() {
            add(
                Figure(
                    "new keys over HTTP \(way.name), \(place), 64 at a time",
                    series["rate \(way.name)"],
                    "/s",
                    goal: way.hasBus ? nil : .atLeast(3000)
                )
            )
        }
        for way in ways.dropFirst() {
            add(
                Figure(
                    "new keys over HTTP \(way.name), 64 at a time / two lines",
                    series["rate \(way.name)"],
                    "/s",
                    to: series["rate two lines"]
                )
            )
            add(Figure("kex-http: CPU per exchange, \(way.name)", series["cpu \(way.name)"], "µs"))
            add(Figure("new keys over HTTP \(way.name), 64 at a time: p99", series["p99 \(way.name)"], "ms"))
        }
        add(Figure("kex-http: most memory", series["memory"], "MiB", goal: .atMost(40)))
        add(Figure("kex-http: most memory, with a bus", series["memory with a bus"], "MiB", goal: .atMost(40)))
        add(Figure("kex-mqtt: most memory, new keys", series["memory of kex-mqtt"], "MiB", goal: .atMost(40)))
    }

    /// A gateway with all front doors, and the only keys that it lets in.
    private func httpGateway(_ name: String, keys count: Int, _ broker: Broker?) throws -> (Gateway, keys: [String]) {
        let keys = randomKeys(count)
        // A closed domain, because others have a limit of new keys.
        let list = try Workplace.write(keys.map { "\($0)\n" }.joined(), to: "allowed-\(name)")
        let gateway = try Gateway(
            name,
            backend,
            settings: "AllowedKeys=\(list)\nLinkAddress=fe80::5757:bb:1",
            own: "UnlimitedSources=\(HTTPExchange.keptSources)",
            broker: broker
        )
        try gateway.start()
        if broker != nil {
            try gateway.startMQTT()
            try gateway.mqtt?.wait(for: "connected to the broker")
        }
        try gateway.startHTTPListener()
        return (gateway, keys)
    }

    /// Asks for these keys, over HTTP if a path is given.
    private func ask(_ gateway: Gateway, _ keys: [String], _ path: String?, isKept: Bool) throws -> Load {
        let domain = gateway.domains[0]
        let file = try exchanges(keys.map { (domain.name, $0, "-") }, in: "http.txt")
        guard let path, let listener = gateway.httpListener else {
            let programs = [gateway.listener].compactMap(\.self)
            return try Load.on(gateway.port, file, count: keys.count, connections: 64, processes: programs)
        }
        let body =
            path == HTTPExchange.v1
            ? HTTPExchange.v1Body
            : #"{"Endpoint":{"Address":"gw.example.net","AllowedIPs":["fe80::5757:bb:1"],"#
                + "\"Port\":\"\(try domain.interfaces.listenPort())\",\"PublicKey\":\"\(try domain.interfaces.publicKey())\"}}"
        return try Load.on(
            gateway.httpPort,
            file,
            count: keys.count,
            connections: 64,
            processes: [listener],
            http: HTTPExchange(path: path, body: body, isKept: isKept)
        )
    }
}
