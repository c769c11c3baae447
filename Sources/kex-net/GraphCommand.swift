internal import ArgumentParser
internal import Glibc
internal import TenantGraph
internal import TenantModel
internal import TenantPlan

/// `kex-net graph`: a picture of a network.
struct GraphCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "graph",
        abstract: "Draws how the members of a network reach each other.",
        discussion: """
            Solid lines are direct: thick in a LAN, with an arrow to the one that is dialled, without arrows where both \
            can begin. Dashed is through the exit, and dotted over a relay.

            Exit status: 0 done, 65 there is no such network, 78 mistakes.
            """
    )

    enum Form: String, CaseIterable, ExpressibleByArgument {
        case svg
        case mermaid
    }

    @OptionGroup var options: DocumentOptions
    @OptionGroup var ledger: LedgerOptions

    @Option(help: "The network, if FILE has several.")
    var network: String?

    @Option(help: "As a picture, or as text that Markdown shows as one.")
    var format = Form.svg

    func run() throws {
        try endWithStatus { () throws(Failure) in
            let planning = try Planning(try options.read(), ledger)
            let names = planning.networks.map(\.network.name.text)
            let chosen = network.map { name in names.firstIndex(of: name) } ?? (names.count == 1 ? 0 : nil)
            guard let chosen else {
                throw Failure(.input, "name one of the networks with --network: \(names.joined(separator: ", "))")
            }
            let graph = Graph(planning.networks[chosen], planning.plan.networks[chosen])
            switch format {
            case .svg: write(GraphSVG.text(of: graph), to: STDOUT_FILENO)
            case .mermaid: write(graph.mermaid, to: STDOUT_FILENO)
            }
        }
    }
}
