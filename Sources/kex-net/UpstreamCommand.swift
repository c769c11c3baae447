internal import ArgumentParser
internal import Glibc
internal import TenantPlan

/// `kex-net upstream`: what the router of a site must know.
struct UpstreamCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upstream",
        abstract: "Lists the routes that the router of a site needs.",
        discussion: """
            Answers from the internet find a member only if its prefix is routed to the exit. Networks without IPv6 \
            outside, and those whose exit translates it, need none.

            Exit status: 0 done, 78 mistakes.
            """
    )

    enum Form: String, CaseIterable, ExpressibleByArgument {
        case iproute2
        case frr
        case bird

        var form: UpstreamForm {
            switch self {
            case .iproute2: .iproute2
            case .frr: .frr
            case .bird: .bird
            }
        }
    }

    @OptionGroup var options: DocumentOptions
    @OptionGroup var ledger: LedgerOptions

    @Option(help: "For what: commands of iproute2, FRR, or BIRD 2.")
    var format = Form.iproute2

    func run() throws {
        try endWithStatus { () throws(Failure) in
            let planning = try Planning(try options.read(), ledger)
            planning.sayWhatIsMissing()
            write(format.form.text(UpstreamRoute.all(planning.networks)), to: STDOUT_FILENO)
        }
    }
}
