internal import ArgumentParser
internal import JSONText
internal import TenantModel
internal import TenantPlan

/// `kex-net plan`: how members reach each other, and what each node must have for it.
struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Shows how members reach each other, and what each node must have.",
        discussion: """
            Says of each pair how it is connected and why, and whether a third one can read what it says. Then, for each \
            node: namespaces, interfaces, peers, routes, and rules of the firewall.

            Exit status: 0 done, 65 there is no such node, 78 mistakes.
            """
    )

    @OptionGroup var options: DocumentOptions
    @OptionGroup var ledger: LedgerOptions

    @Option(help: "Show what is about this node.")
    var node: String?

    @Flag(help: "Write it as JSON.")
    var json = false

    func run() throws {
        try endWithStatus { () throws(Failure) in
            let planning = try Planning(try options.read(), ledger)
            let node = try chosen(planning.plan)
            planning.sayWhatIsMissing()
            if json {
                tell(planning.plan.json(of: node).text)
            } else {
                tell(planning.plan.lines(of: node).joined(separator: "\n"))
            }
        }
    }

    private func chosen(_ plan: Plan) throws(Failure) -> NodeName? {
        guard let node else { return nil }
        guard let name = NodeName(node), plan[name] != nil else {
            let names = plan.nodes.map(\.name.text).joined(separator: ", ")
            throw Failure(.input, "\(node) is in no network; these are: \(names)")
        }
        return name
    }
}
