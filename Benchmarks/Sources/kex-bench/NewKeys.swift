import Foundation
import Glibc

// Keys that nobody has seen before, each answered when the kernel has its peer and its entry.

extension Bench {
    func newKeys() throws {
        let widths = [1, 16, 64, 256]
        // A list of keys may have 1 MiB: 23,000 of them.
        let most = 22_000 / rounds / 4
        let counts = [
            1: min(amount(400, quick: 100), most), 16: min(1000, most),
            64: min(backend == .kernel ? 1000 : 2000, most * 2), 256: min(1000, most),
        ]
        let perRound = counts.values.reduce(0, +)
        let keys = randomKeys(perRound * rounds)
        let list = try Workplace.write(keys.map { "\($0)\n" }.joined(), to: "allowed")
        // A closed domain: for others there is a limit of new keys, which is not what is measured.
        let gateway = try Gateway("new", backend, settings: "AllowedKeys=\(list)")
        try gateway.start()
        guard let kexd = gateway.listener, let handler = gateway.handler else { return }
        let file = try exchanges(keys.map { (gateway.domains[0].name, $0, "-") }, in: "new.txt")
        let bare = try Interfaces(backend)
        let shell = backend == .userspace ? try ShellGateway() : nil
        var series = Series()
        var first = 0
        try eachRound("new keys") { round in
            for width in widths {
                let count = counts[width] ?? 0
                let load = try Load.on(
                    gateway.port,
                    file,
                    count: count,
                    connections: width,
                    first: first,
                    processes: [kexd, handler]
                )
                first += count
                series.add("rate \(width)", load.rate)
                series.add("cpu \(width)", load.allCPUPerExchange)
                series.add("p99 \(width)", load.p99 / 1000)
            }
            let others = randomKeys(counts[64] ?? 0)
            switch backend {
            case .userspace, .scripted:
                let seconds = try BareWireGuard(interface: bare.wireGuard).apply(others) { index in
                    "allowed_ip=fe80::\(String(index >> 16, radix: 16)):\(String(index & 0xffff, radix: 16))/128\n"
                }
                series.add("bare", Double(others.count) / seconds)
            case .kernel: series.add("bare", Double(others.count) / (try addConfiguration(others, to: bare).seconds))
            }
            if let shell {
                let load = try shell.load(amount(150, quick: 60))
                series.add("shell", load.rate)
            }
        }
        let goal = Goal.atLeast(backend == .userspace ? 0.5 : 0.6)
        let reference = backend == .userspace ? "bare UAPI in batches" : "wg addconf"
        if backend == .userspace {
            add(Figure("new keys, \(place), 64 at a time", series["rate 64"], "/s", goal: .atLeast(8000)))
        }
        add(
            Figure(
                "new keys, \(place), 64 at a time / \(reference)",
                series["rate 64"],
                "/s",
                to: series["bare"],
                goal: goal
            )
        )
        if shell != nil {
            add(
                Figure(
                    "new keys, \(place), 64 at a time / shell gateway",
                    series["rate 64"],
                    "/s",
                    to: series["shell"],
                    goal: .atLeast(100)
                )
            )
        }
        for width in widths {
            add(Figure("new keys, \(place), \(width) at a time: rate", series["rate \(width)"], "/s"))
            add(Figure("new keys, \(place), \(width) at a time: CPU, both programs", series["cpu \(width)"], "µs"))
            add(Figure("new keys, \(place), \(width) at a time: p99", series["p99 \(width)"], "ms"))
        }
        let peers = try gateway.domains[0].interfaces.peerCount()
        guard peers == first else {
            throw Failure("\(first) keys were answered with success, \(peers) are in WireGuard")
        }
    }

    /// - Returns: of `wg addconf` with these peers.
    func addConfiguration(_ keys: [String], to interfaces: Interfaces) throws -> Outcome {
        let text = keys.enumerated().map { index, key in
            "[Peer]\nPublicKey = \(key)\nAllowedIPs = fe80::\(String(index >> 16, radix: 16)):\(String(index & 0xffff, radix: 16))/128\n"
        }.joined()
        return try run("wg", "addconf", interfaces.wireGuard, try Workplace.write(text, to: "addconf"))
    }
}

/// The gateway that many run today: socat, and a shell for each router.
final class ShellGateway {
    private let interfaces: Interfaces
    private let program: Program
    private let port: Int

    init() throws {
        interfaces = try Interfaces(.userspace)
        port = 20_000 + Int(getpid()) % 10_000
        setenv("KEX_WIREGUARD", interfaces.wireGuard, 1)
        setenv("KEX_VXLAN", interfaces.vxlan, 1)
        program = try Program(
            ["socat", "TCP-LISTEN:\(port),bind=127.0.0.1,reuseaddr,fork,backlog=128", "EXEC:kex-shell"],
            log: "\(Workplace.folder)/socat.log"
        )
        usleep(200_000)
    }

    func load(_ count: Int) throws -> Load {
        let file = try exchanges(randomKeys(count).map { ("ffww000", $0, "-") }, in: "shell.txt")
        return try Load.on(port, file, count: count, connections: 64, processes: [program])
    }
}
