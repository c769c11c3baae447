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
        case known, new, http, replay, upkeep, comeback, growth, listings, footprint
        /// What scripts/bench has had measured in a virtual machine, and gives to `--include`.
        case kernel
    }

    @Option(help: ArgumentHelp("Write the figures as JSON.", valueName: "file"))
    var json: String?

    @Flag(help: "Fewer exchanges and peers: three minutes.")
    var quick = false

    @Option(help: "How often everything is measured.")
    var rounds = 5

    @Flag(help: "WireGuard of the kernel instead of wireguard-go.")
    var kernel = false

    @Option(
        help: ArgumentHelp("Add the figures of another run's JSON to the table and to the JSON.", valueName: "file")
    )
    var include: String?

    @Option(help: ArgumentHelp("Only profile the programs, with callgrind, into this folder.", valueName: "folder"))
    var profile: String?

    @Argument(help: ArgumentHelp("What to measure; everything if nothing is named.", valueName: "part"))
    var parts: [Part] = []

    func validate() throws {
        guard rounds > 0 else { throw ValidationError("--rounds must be at least 1") }
    }

    func run() throws {
        defer { Workplace.remove() }
        if let profile { return try profilePrograms(into: profile) }
        let bench = Bench(isQuick: quick, backend: kernel ? .kernel : .userspace, rounds: rounds)
        for part in Part.allCases where parts.isEmpty || parts.contains(part) {
            switch part {
            case .known: try bench.knownKeys()
            case .new: try bench.newKeys()
            case .http: try bench.http()
            case .replay: try bench.replay()
            case .upkeep: try bench.upkeep()
            case .comeback: try bench.comeback()
            case .growth: try bench.growth()
            case .listings: try bench.listings()
            case .footprint: try bench.footprint()
            case .kernel: break
            }
        }
        bench.add(
            Figure("wrong or lost of \(Load.total) exchanges", [Double(Load.mistakes)], "", goal: .atMost(0))
        )
        if let include {
            let others = try JSONDecoder().decode([Figure].self, from: Data(contentsOf: URL(filePath: include)))
            for figure in others { bench.add(figure) }
        }
        if let json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            try encoder.encode(bench.figures).write(to: URL(filePath: json))
        }
        print(table(of: bench.figures))
        // A goal that is missed is a finding. A wrong answer is a fault.
        if Load.mistakes > 0 || bench.leaked > 0 { throw ExitCode.failure }
    }
}
