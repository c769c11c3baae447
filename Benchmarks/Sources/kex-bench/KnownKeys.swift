import Foundation
import Glibc

// Routers that are in, and ask again as each does every minute: nothing has to be done, and nothing should be.

extension Bench {
    func knownKeys() throws {
        let gateway = try Gateway("known", backend)
        try gateway.start()
        guard let kexd = gateway.listener, let handler = gateway.handler else { return }
        let ceiling = try Ceiling(domains: gateway.domains.map(\.name))
        let crowd = try Crowd(seed: 200, count: 1000)
        let domain = gateway.domains[0].name
        let known = try exchanges(crowd.keys.map { (domain, $0, "-") }, in: "known.txt")
        // Every tenth is invalid: a domain that is none, or a key that is none.
        let mixed = try exchanges(
            crowd.keys.enumerated().map { index, key in
                switch index % 20 {
                case 0: ("nobody", key, "INVALID_DOMAIN")
                case 10: (domain, String(key.dropLast(2)) + "|=", "INVALID_WGKEY")
                default: (domain, key, "-")
                }
            },
            in: "mixed.txt"
        )
        _ = try Load.on(gateway.port, known, count: crowd.count, connections: 64, processes: [kexd])
        var series = Series()
        let widths = [1, 16, 64, 256]
        let descriptors = (kexd.openDescriptors, handler.openDescriptors)
        try eachRound("known live keys") { round in
            // Sessions last three minutes; a round takes less.
            try crowd.connect(to: gateway.domains[0].interfaces)
            usleep(300_000)
            let servers = [("kexd", gateway.port, kexd), ("ceiling", ceiling.port, ceiling.program)]
            for (name, port, program) in round % 2 == 0 ? servers : servers.reversed() {
                for width in widths {
                    let count = width == 1 ? amount(10_000, quick: 3000) : amount(20_000, quick: 6000)
                    let load = try Load.on(port, known, count: count, connections: width, processes: [program])
                    series.add("\(name) cpu \(width)", load.cpuPerExchange)
                    series.add("\(name) rate \(width)", load.rate)
                    series.add("\(name) p50 \(width)", load.p50)
                }
                for _ in 0..<3 {
                    let load = try Load.on(
                        port,
                        known,
                        count: 3500,
                        connections: 3500,
                        processes: [program],
                        burst: true
                    )
                    series.add("\(name) cpu burst", load.cpuPerExchange)
                    series.add("\(name) rate burst", load.rate)
                }
                let load = try Load.on(
                    port,
                    mixed,
                    count: amount(20_000, quick: 6000),
                    connections: 64,
                    processes: [program]
                )
                series.add("\(name) cpu mixed", load.cpuPerExchange)
                for (hold, word) in [(0, "alone"), (4000, "held")] {
                    let load = try Load.on(
                        port,
                        known,
                        count: amount(12_000, quick: 4000),
                        connections: 16,
                        processes: [program],
                        hold: hold
                    )
                    series.add("\(name) p99 \(word)", load.p99)
                }
            }
        }
        for width in widths {
            add(
                Figure(
                    "kexd: CPU per exchange, \(width) at a time / ceiling",
                    series["kexd cpu \(width)"],
                    "µs",
                    to: series["ceiling cpu \(width)"],
                    goal: width >= 64 ? .atMost(1.15) : nil
                )
            )
        }
        add(
            Figure(
                "kexd: CPU per exchange, burst of 3,500 / ceiling",
                series["kexd cpu burst"],
                "µs",
                to: series["ceiling cpu burst"],
                goal: .atMost(1.15)
            )
        )
        add(
            Figure(
                "kexd: CPU per exchange, 10 % invalid, 64 at a time / ceiling",
                series["kexd cpu mixed"],
                "µs",
                to: series["ceiling cpu mixed"]
            )
        )
        add(
            Figure(
                "burst of 3,500: drain rate / ceiling",
                series["kexd rate burst"],
                "/s",
                to: series["ceiling rate burst"],
                goal: .atLeast(0.85)
            )
        )
        add(
            Figure(
                "one at a time: rate / ceiling",
                series["kexd rate 1"],
                "/s",
                to: series["ceiling rate 1"],
                goal: .atLeast(0.8)
            )
        )
        add(
            Figure(
                "one at a time: p50 / ceiling",
                series["kexd p50 1"],
                "µs",
                to: series["ceiling p50 1"],
                goal: .atMost(1.25)
            )
        )
        for width in widths.dropFirst() {
            add(
                Figure(
                    "\(width) at a time: rate / ceiling",
                    series["kexd rate \(width)"],
                    "/s",
                    to: series["ceiling rate \(width)"]
                )
            )
        }
        add(
            Figure(
                "p99 of exchanges, 4,000 half-open held / none held",
                series["kexd p99 held"],
                "µs",
                to: series["kexd p99 alone"],
                goal: .atMost(1.5)
            )
        )
        add(
            Figure(
                "ceiling: p99 of exchanges, 4,000 half-open held / none held",
                series["ceiling p99 held"],
                "µs",
                to: series["ceiling p99 alone"]
            )
        )
        try addCalls(gateway, known)
        usleep(500_000)
        leaked = kexd.openDescriptors - descriptors.0 + handler.openDescriptors - descriptors.1
        add(Figure("descriptors left open after all that", [Double(leaked)], "", goal: .atMost(0)))
    }

    /// System calls of `kexd`, one exchange at a time. Each slows it down: the count is what is wanted.
    private func addCalls(_ gateway: Gateway, _ known: String) throws {
        guard let kexd = gateway.listener else { return }
        let path = "\(Workplace.folder)/calls"
        let tracer = try Program(["strace", "-c", "-o", path, "-p", "\(kexd.process)"], log: "\(path).log")
        try tracer.wait(for: "attached")
        let count = 2000
        _ = try Load.on(gateway.port, known, count: count, connections: 1, processes: [kexd])
        tracer.end(with: SIGINT)
        let total = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").last {
            $0.hasSuffix("total")
        }
        // % time, seconds, usecs/call, calls, errors: the last two are the only whole numbers behind the first three.
        let words = (total ?? "").split(separator: " ")
        guard words.count > 3, let calls = words.dropFirst(2).compactMap({ Double($0) }).max() else {
            throw Failure("strace did not count")
        }
        add(Figure("kexd: system calls per exchange, one at a time", [calls / Double(count)], "", goal: .atMost(9)))
    }
}
