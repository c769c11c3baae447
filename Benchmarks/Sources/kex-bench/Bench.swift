import Foundation
import Glibc

/// One run: what is measured, and with how much of everything.
final class Bench {
    let isQuick: Bool
    let backend: Backend
    let rounds: Int
    private(set) var figures: [Figure] = []
    /// Descriptors that the programs had too many at the end.
    var leaked = 0

    init(isQuick: Bool, backend: Backend, rounds: Int) {
        self.isQuick = isQuick
        self.backend = backend
        self.rounds = rounds
    }

    /// Part of the names of figures that differ by it.
    var place: String { backend == .userspace ? "userspace WireGuard" : "kernel WireGuard in the VM" }

    /// The number for a thorough run, or a quick one.
    func amount(_ thorough: Int, quick: Int) -> Int { isQuick ? quick : thorough }

    func add(_ figure: Figure) {
        figures.append(figure)
        let ratio = figure.ratio.map { ", ratio \(shortest($0))" } ?? ""
        say("  \(figure.name): \(shortest(figure.value)) \(figure.unit)\(ratio)")
    }

    /// Calls with the numbers of the rounds; says so.
    func eachRound(_ what: String, _ body: (Int) throws -> Void) rethrows {
        for round in 1...rounds {
            say("\(what), round \(round) of \(rounds)")
            try body(round)
        }
    }
}

/// Values of several rounds, by name.
struct Series {
    private var values: [String: [Double]] = [:]

    mutating func add(_ name: String, _ value: Double) { values[name, default: []].append(value) }

    subscript(name: String) -> [Double] { values[name] ?? [] }
}

/// Routers with sessions of their own: their keys, and how to make them shake hands.
struct Crowd {
    let seed: Int
    let count: Int
    let keys: [String]

    init(seed: Int, count: Int) throws {
        self.seed = seed
        self.count = count
        keys = try sh("kex-crowd keys \(seed) \(count)").split(separator: "\n").map(String.init)
    }

    /// - Returns: how long it took.
    @discardableResult
    func connect(to interfaces: Interfaces) throws -> Double {
        let (port, key) = (try interfaces.listenPort(), try interfaces.publicKey())
        let outcome = try run("kex-crowd", "connect", port, key, "\(seed)", "\(count)")
        guard outcome.output == "\(count)\n" else { throw Failure("\(outcome.output) of \(count) routers shook hands") }
        return outcome.seconds
    }
}
