internal import ArgumentParser
internal import TenantFile
internal import TenantLedger
internal import TenantLedgerFile
internal import TenantModel

/// `kex-net allocate`: prefixes and ports for members that have none.
struct AllocateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "allocate",
        abstract: "Gives every member a prefix and ports, for ever.",
        discussion: """
            Writes into the ledger what members of FILE have not got yet, and prints it. Who has something keeps it. FILE \
            is not changed. What FILE no longer mentions stays taken until `kex-net release` gives it back.

            Two clones of a repository may both have given the same. Then nothing is given until --rebase has settled it: \
            the later one of two gets something else, and everything else stays as it is.

            Exit status: 0 done, 71 the ledger cannot be written, 78 mistakes in FILE, or nothing is left.
            """
    )

    @OptionGroup var options: DocumentOptions
    @OptionGroup var ledger: LedgerOptions

    @Flag(help: "Settle what two clones have both given, also where git has left the marks of a conflict.")
    var rebase = false

    @Option(
        name: .customLong("yield"),
        help: ArgumentHelp(
            "With --rebase: this member gets something else, though its line is the earlier one.",
            valueName: "network/member"
        )
    )
    var yielding: [String] = []

    func run() throws {
        guard rebase || yielding.isEmpty else { throw ValidationError("--yield goes with --rebase.") }
        let yielding = Set(try yielding.map(MemberName.init).map(\.id))
        try endWithStatus { () throws(Failure) in
            let document = try options.load().document
            let file = ledger.file(for: options.path)
            let now = LedgerTime.now
            if rebase, try inWords({ () throws(LedgerFileError) in try file.takeBothSides() }) {
                tell("\(file.path): the lines of both sides are in it now")
            }
            let (lost, new, leftovers) = try inWords { () throws(LedgerFileError) in
                try file.update { ledger throws(LedgerRefusal) in
                    let lost = rebase ? ledger.rebase(yielding: yielding, at: now) : []
                    let new = try ledger.allocate(document, at: now)
                    return (lost, new, ledger.leftovers(of: document))
                }
            }
            for holding in lost { tell("taken away, for somebody else has it: \(holding)") }
            for holding in new { tell("\(holding)") }
            if new.isEmpty { tell("nothing new: every member has what it needs") }
            for (holding, line) in leftovers {
                say(
                    "\(file.path):\(line): \(holding) is no longer needed by \(options.path), and stays taken; "
                        + "kex-net release gives it back"
                )
            }
        }
    }
}

/// `NETWORK/MEMBER` on the command line.
struct MemberName {
    let id: MemberID

    init(_ text: String) throws {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, let network = NetworkName(parts[0]), let node = NodeName(parts[1])
        else { throw ValidationError("Expected NETWORK/MEMBER and not '\(text)'.") }
        id = MemberID(network: network, node: node)
    }
}
