import ArgumentParser
import Foundation

@main
struct KexBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kex-bench",
        abstract: "Measures kex beside what it is compared with, in one run.",
        discussion: "Programs are taken from PATH. Run it with scripts/bench."
    )

    enum Part: String, CaseIterable, ExpressibleByArgument {
        case known, new, upkeep, comeback, growth, footprint
    }

    @Option(help: ArgumentHelp("Write the figures as JSON.", valueName: "file"))
    var json: String?

    @Flag(help: "Fewer exchanges and peers: three minutes.")
    var quick = false

    @Option(help: "How often everything is measured.")
    var rounds = 5

    @Flag(help: "WireGuard of the kernel instead of wireguard-go.")
    var kernel = false

    @Argument(help: ArgumentHelp("What to measure; everything if nothing is named.", valueName: "part"))
    var parts: [Part] = []

    func validate() throws {
        guard rounds > 0 else { throw ValidationError("--rounds must be at least 1") }
    }

    func run() throws {
        defer { Workplace.remove() }
        let bench = Bench(isQuick: quick, backend: kernel ? .kernel : .userspace, rounds: rounds)
        for part in Part.allCases where parts.isEmpty || parts.contains(part) {
            switch part {
            case .known: try bench.knownKeys()
            case .new: try bench.newKeys()
            case .upkeep: try bench.upkeep()
            case .comeback: try bench.comeback()
            case .growth: try bench.growth()
            case .footprint: try bench.footprint()
            }
        }
        bench.add(
            Figure("wrong or lost of \(Load.total) exchanges", [Double(Load.mistakes)], "", goal: .atMost(0))
        )
        if let json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            try encoder.encode(bench.figures).write(to: URL(filePath: json))
        }
        print(table(of: bench.figures))
    }
}
