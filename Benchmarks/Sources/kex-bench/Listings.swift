import Foundation

// How long anybody waits because there are many routers in one domain: the kernel is asked for all of them beside the
// loop.

extension Bench {
    func listings() throws {
        let counts = isQuick ? [100, 10_000] : [100, 1000, 10_000, 50_000]
        let asked = amount(20_000, quick: 5000)
        let newPerWay = amount(2000, quick: 500)
        var series = Series()
        for round in 1...(isQuick ? 1 : min(rounds, 3)) {
            for (index, count) in counts.enumerated() {
                say("exchanges with \(count) routers, round \(round)")
                let crowd = try Crowd(seed: 70 + index, count: count)
                let newKeys = randomKeys(newPerWay * 2)
                let gateway = try Gateway(
                    "list\(round)x\(index)",
                    .scripted,
                    settings: "Fdb=mac",
                    own: "UnlimitedSources=\(HTTPExchange.keptSources)"
                )
                gateway.settings +=
                    "\nAllowedKeys="
                    + (try Workplace.write(
                        (crowd.keys + newKeys).map { "\($0)\n" }.joined(),
                        to: "allowed\(round)x\(index)"
                    ))
                try gateway.remember(count, seed: 70 + index)
                try gateway.start()
                try gateway.startHTTPListener()
                guard let handler = gateway.handler, let kexd = gateway.listener, let http = gateway.httpListener else {
                    return
                }
                // All routers are back first: how long that takes is `comeback`'s.
                try handler.settle()
                let domain = gateway.domains[0].name
                let body = HTTPExchange.v1Body
                for (way, isHTTP) in [("two lines", false), ("HTTP", true)] {
                    let exchange = isHTTP ? HTTPExchange(path: HTTPExchange.v1, body: body, isKept: true) : nil
                    let port = isHTTP ? gateway.httpPort : gateway.port
                    let front = isHTTP ? http : kexd
                    let new = newKeys[(isHTTP ? newPerWay : 0)..<(isHTTP ? 2 * newPerWay : newPerWay)]
                    for (kind, keys, amount) in [
                        ("known", crowd.keys, asked), ("new", Array(new), newPerWay),
                    ] {
                        let file = try exchanges(keys.map { (domain, $0, "-") }, in: "list\(round)x\(index)\(kind)")
                        let load = try Load.on(
                            port,
                            file,
                            count: amount,
                            connections: 1,
                            processes: [handler, front],
                            http: exchange
                        )
                        series.add("p99 \(kind) \(way) \(count)", load.p99 / 1000)
                        series.add("max \(kind) \(way) \(count)", load.max / 1000)
                    }
                }
                series.add("memory \(count)", handler.peakBytes / 1_048_576)
            }
        }
        for way in ["two lines", "HTTP"] {
            for kind in ["known", "new"] {
                for count in counts {
                    add(
                        Figure(
                            "\(kind) keys, \(way), \(count) routers in a domain: p99 / 100 routers",
                            series["p99 \(kind) \(way) \(count)"],
                            "ms",
                            to: series["p99 \(kind) \(way) 100"],
                            goal: count == counts.last ? .atMost(2) : nil
                        )
                    )
                    add(
                        Figure(
                            "\(kind) keys, \(way), \(count) routers in a domain: longest",
                            series["max \(kind) \(way) \(count)"],
                            "ms",
                            goal: .atMost(10)
                        )
                    )
                }
            }
        }
        for count in counts {
            add(Figure("kex-handler: most memory, \(count) routers", series["memory \(count)"], "MiB"))
        }
    }
}
