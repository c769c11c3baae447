internal import ArgumentParser
internal import Glibc
internal import TenantFile
internal import TenantModel

/// `kex-net check`: what is wrong with a document.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Checks a document.",
        discussion: """
            Names every mistake at once, with file, line, the reason, and what would help. Then it proves the plan: \
            packets are walked through the tables of all nodes, there and back, between every two members, to the \
            internet and from it.

            Exit status: 0 nothing is wrong, 78 mistakes.
            """
    )

    @OptionGroup var options: DocumentOptions
    @OptionGroup var ledger: LedgerOptions

    @Flag(help: "Print the document as it was understood, with everything that is so by itself.")
    var print = false

    @Flag(help: "Print the path of every pair, or why there is none.")
    var paths = false

    func run() throws {
        try endWithStatus { () throws(Failure) in
            let file = try options.read()
            if print {
                try file.refuse(file.document.mistakes())
                write(TenantFile.text(of: file.document), to: STDOUT_FILENO)
                return
            }
            let planning = try Planning(file, ledger)
            for warning in file.document.findings().warnings {
                say("\(file.location(of: warning.path)): warning: \(warning.text)")
            }
            planning.sayWhatIsMissing()
            let report = ProofReport(planning) { if paths { tell("\($0)") } }
            try report.refuse()
            tell(Self.summary(of: file.document))
            tell(report.summary)
        }
    }

    /// What was understood, on one line.
    static func summary(of document: TenantDocument) -> String {
        func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
        let members = document.networks.reduce(0) { $0 + $1.members.count }
        return "\(count(document.networks.count, "network")) with \(count(members, "member")) on "
            + "\(count(document.nodes.count, "node")): no mistakes"
    }
}
