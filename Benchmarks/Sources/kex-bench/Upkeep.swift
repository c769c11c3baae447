import Foundation
import Glibc

// What a gateway does besides answering: sweeps, starts, a crowd that comes back, and what it costs to hold many.

extension Bench {
    /// Sweeps of so many routers, and the start of a handler that has to bring all of them back.
    func upkeep() throws {
        let count = 10_000
        var series = Series()
        let gateway = try Gateway("upkeep", backend, settings: "StaleAfter=1h")
        let reference = try Interfaces(backend)
        let interfaces = gateway.domains[0].interfaces
        try gateway.remember(count, seed: 1)
        let keys = try Crowd(seed: 1, count: count).keys
        let batch = try fdbBatch("append", count, on: reference)
        let removal = try fdbBatch("del", count, on: reference)
        try eachRound("start and sweeps with \(count) routers") { round in
            try interfaces.renew()
            try reference.renew()
            // Memory of before the interface was made anew.
            try gateway.remember(count, seed: 1)
            gateway.settings = "StaleAfter=1h"
            series.add("restore", try gateway.startHandler())
            guard try interfaces.peerCount() == count else { throw Failure("not everybody is back") }
            let configured = try addConfiguration(keys, to: reference).seconds
            series.add("bare restore", configured + (try run("bridge", "-batch", batch).seconds))
            for _ in 0..<3 {
                series.add("dump", try run("wg", "show", interfaces.wireGuard, "dump").seconds)
                series.add("sweep", try gateway.cleanup().seconds)
            }
            gateway.stopHandler()
            // Everybody is stale: the first sweep marks, the second doubts itself, the third removes.
            gateway.settings = "StaleAfter=1s\nSweepInterval=1s"
            try gateway.startHandler()
            sleep(2)
            try gateway.cleanup()
            usleep(1_100_000)
            try gateway.cleanup()
            usleep(1_100_000)
            series.add("removal", try gateway.cleanup().seconds)
            guard try interfaces.peerCount() == 0 else { throw Failure("the sweep left somebody") }
            gateway.stopHandler()
            let start = now()
            switch backend {
            case .userspace, .scripted:
                _ = try BareWireGuard(interface: reference.wireGuard).apply(keys) { _ in "remove=true\n" }
            case .kernel:
                for start in stride(from: 0, to: keys.count, by: 5000) {
                    let peers = keys[start..<min(start + 5000, keys.count)].flatMap { ["peer", $0, "remove"] }
                    try run(["wg", "set", reference.wireGuard] + peers)
                }
            }
            try run("bridge", "-batch", removal)
            series.add("bare removal", now() - start)
        }
        add(
            Figure(
                "\(place): restore of 10,000 peers at start / wg addconf + bridge -batch",
                series["restore"],
                "s",
                to: series["bare restore"],
                goal: .atMost(1.3)
            )
        )
        add(
            Figure(
                "\(place): sweep of 10,000 peers, none stale / wg show dump",
                series["sweep"],
                "s",
                to: series["dump"],
                goal: .atMost(1.5)
            )
        )
        add(
            Figure(
                "\(place): sweep of 10,000 peers, all stale / bare removals",
                series["removal"],
                "s",
                to: series["bare removal"],
                goal: .atMost(1.5)
            )
        )
    }

    /// A file for `bridge -batch` that does the same with an entry for each of so many routers.
    func fdbBatch(_ command: String, _ count: Int, on interfaces: Interfaces) throws -> String {
        let lines = (0..<count).map { index in
            let address = String(format: "02:00:00:%02x:%02x:%02x", index >> 16 & 255, index >> 8 & 255, index & 255)
            let destination = "fe80::\(String(index + 1, radix: 16))"
            return "fdb \(command) \(address) dev \(interfaces.vxlan) dst \(destination) via \(interfaces.wireGuard)\n"
        }
        return try Workplace.write(lines.joined(), to: command)
    }

    /// All routers of a domain whose gateway lost its memory come back at once.
    func comeback() throws {
        let count = 1000
        let crowd = try Crowd(seed: 201, count: count)
        var series = Series()
        try eachRound("\(count) routers come back at once") { round in
            let gateway = try Gateway("comeback\(round)", backend)
            try gateway.start()
            guard let kexd = gateway.listener, let handler = gateway.handler else { return }
            let file = try exchanges(crowd.keys.map { (gateway.domains[0].name, $0, "-") }, in: "comeback.txt")
            let start = now()
            let load = try Load.on(gateway.port, file, count: count, connections: 64, processes: [kexd])
            let handshakes = try crowd.connect(to: gateway.domains[0].interfaces)
            let connected = now()
            while handler.output.ranges(of: "first sign of life").count < count {
                guard now() < connected + 20 else { throw Failure("not everybody was heard of") }
                usleep(5000)
            }
            series.add("all", now() - start)
            series.add("gateway", load.seconds + (now() - connected))
            series.add("handshakes", handshakes)
        }
        add(
            Figure(
                "1,000 routers return at once: answers, and from the last handshake to the last one confirmed",
                series["gateway"],
                "s",
                goal: .atMost(2)
            )
        )
        add(Figure("the same with the time of their handshakes", series["all"], "s"))
    }

    /// Exchanges of live routers among many others.
    func growth() throws {
        let sizes = isQuick ? [(1, 1000), (1, 10_000), (10, 1000)] : [(1, 1000), (1, 10_000), (100, 1000)]
        var gateways: [(name: String, gateway: Gateway, crowds: [Crowd], file: String)] = []
        var series = Series()
        for (domains, peers) in sizes {
            let total = domains * peers
            say("a gateway with \(total) routers in \(domains) domains")
            let gateway = try Gateway("growth\(total)x\(domains)", domains: domains, backend)
            try gateway.remember(peers, seed: 1)
            try gateway.start()
            // A thousand of them are routers that live; the others are in the tables.
            let crowds = try (0..<domains).map { try Crowd(seed: 1 + $0, count: 1000 / domains) }
            let file = try exchanges(
                (0..<1000).map { index in
                    let domain = index % domains
                    return (gateway.domains[domain].name, crowds[domain].keys[index / domains], "-")
                },
                in: "growth\(total)x\(domains).txt"
            )
            gateways.append(("\(total) peers, \(domains) domains", gateway, crowds, file))
            if let handler = gateway.handler {
                let bytes = (handler.residentBytes - 8 * 1_048_576) / Double(total)
                let goal: Goal? = total >= 10_000 ? .atMost(300) : nil
                add(Figure("kex-handler: memory above 8 MiB for each of \(total) keys", [bytes], "bytes", goal: goal))
            }
        }
        try eachRound("growth") { round in
            for (name, gateway, crowds, file) in round % 2 == 0 ? gateways : gateways.reversed() {
                for (crowd, domain) in zip(crowds, gateway.domains) { try crowd.connect(to: domain.interfaces) }
                guard let kexd = gateway.listener, let handler = gateway.handler else { continue }
                sleep(1)
                let load = try Load.on(
                    gateway.port,
                    file,
                    count: amount(20_000, quick: 6000),
                    connections: 64,
                    processes: [kexd, handler]
                )
                series.add("kexd \(name)", load.cpuPerExchange)
                series.add("both \(name)", load.allCPUPerExchange)
                series.add("p99 \(name)", load.p99 / 1000)
            }
        }
        let least = gateways[0].name
        for (name, _, _, _) in gateways.dropFirst() {
            let isGoal = name == gateways.last?.name
            add(
                Figure(
                    "CPU per exchange, both programs, \(name) / \(least)",
                    series["both \(name)"],
                    "µs",
                    to: series["both \(least)"],
                    goal: isGoal ? .atMost(1.3) : nil
                )
            )
            add(
                Figure(
                    "kexd: CPU per exchange, \(name) / \(least)",
                    series["kexd \(name)"],
                    "µs",
                    to: series["kexd \(least)"],
                    goal: isGoal ? .atMost(1.3) : nil
                )
            )
            add(Figure("p99, \(name) / \(least)", series["p99 \(name)"], "ms", to: series["p99 \(least)"]))
        }
    }

    /// Memory and start of the programs.
    func footprint() throws {
        let gateway = try Gateway("footprint", backend)
        try gateway.startHandler()
        var series = Series()
        for _ in 0..<21 {
            let seconds = try gateway.startListener()
            series.add("start", seconds * 1000)
            usleep(20_000)
            series.add("kexd", (gateway.listener?.residentBytes ?? 0) / 1_048_576)
            gateway.listener?.end()
        }
        try gateway.startListener()
        guard let kexd = gateway.listener, let handler = gateway.handler else { return }
        series.add("handler", handler.residentBytes / 1_048_576)
        let key = randomKeys(1)[0]
        let file = try exchanges([(gateway.domains[0].name, key, "-")], in: "footprint.txt")
        _ = try Load.on(gateway.port, file, count: 10, connections: 1, processes: [kexd], hold: 4086)
        series.add("half-open", kexd.residentBytes / 1_048_576)
        add(Figure("kexd: start to listening", series["start"], "ms", goal: .atMost(5)))
        add(Figure("kexd: memory, idle", series["kexd"], "MiB", goal: .atMost(6)))
        add(Figure("kexd: memory, 4,096 half-open", series["half-open"], "MiB", goal: .atMost(10)))
        add(Figure("kex-handler: memory, no key", series["handler"], "MiB", goal: .atMost(8)))
    }
}
