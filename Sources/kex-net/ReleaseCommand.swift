internal import ArgumentParser
internal import TenantFile
internal import TenantLedger
internal import TenantLedgerFile
internal import TenantModel

/// `kex-net release`: what a member or a network had is given back.
struct ReleaseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release",
        abstract: "Gives back what a member or a network has.",
        discussion: """
            Nobody else gets it for thirty days, because routes, firewalls and names outlive a node. Within that time the \
            member itself gets it again when it comes back. FILE must no longer have what is released.

            Exit status: 0 done, 65 FILE still has it, or there is nothing to give back, 71 the ledger cannot be written, \
            78 mistakes in FILE.
            """
    )

    @OptionGroup var options: DocumentOptions

    @Argument(help: ArgumentHelp("What to release.", valueName: "network[/member]"))
    var name: String

    @OptionGroup var ledger: LedgerOptions

    @Flag(help: "Without the thirty days, also for what was released before.")
    var now = false

    func run() throws {
        let network: NetworkName
        let member: MemberID?
        if name.contains("/") {
            let id = try MemberName(name).id
            (network, member) = (id.network, id)
        } else {
            guard let name = NetworkName(name) else {
                throw ValidationError("Expected NETWORK or NETWORK/MEMBER and not '\(name)'.")
            }
            (network, member) = (name, nil)
        }
        try endWithStatus { () throws(Failure) in
            let members = try options.load().document.networks.first { $0.name == network }?.members
            let isInFile =
                if let member { members?.contains { $0.node == member.node } ?? false } else { members != nil }
            if isInFile { throw Failure(.input, "\(name) is still in \(options.path); take it out first") }
            let file = ledger.file(for: options.path)
            let time = LedgerTime.now
            let quarantine = now ? Duration.zero : Ledger.quarantine
            let given = try inWords { () throws(LedgerFileError) in
                try file.update { ledger throws(LedgerRefusal) in
                    if let member { return ledger.release(member, at: time, quarantine: quarantine) }
                    return ledger.release(network, at: time, quarantine: quarantine)
                }
            }
            guard !given.isEmpty else { throw Failure(.input, "\(file.path): \(name) has nothing to give back") }
            for holding in given {
                tell(now ? "free: \(holding)" : "in quarantine until \(time + quarantine): \(holding)")
            }
        }
    }
}
