internal import ArgumentParser
internal import TenantFile
internal import TenantLedger
internal import TenantLedgerFile
internal import TenantModel
internal import WireGuardTypes

/// `kex-net member add`: a router, a phone, or any other WireGuard device becomes a member.
struct MemberAddCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Makes a device a member of a network.",
        discussion: """
            Puts one line into FILE, behind the last member of the network, and raises the network's version by one. \
            Everything else in FILE stays as it is. The ledger gives the member its prefix at once, and `kex-net export` \
            writes its file. A key that is a member already stays what it is.

            Exit status: 0 done, or it was a member already, 65 there is no such network, or the name or the key is \
            another member's, 71 FILE or the ledger cannot be written, 78 mistakes in FILE, or the line must be put there \
            by hand.
            """
    )

    @OptionGroup var options: DocumentOptions
    @OptionGroup var ledger: LedgerOptions

    @Option(help: ArgumentHelp("The network.", valueName: "name"))
    var network: String

    @Option(help: ArgumentHelp("The public key of the router or other device.", valueName: "key"))
    var router: String

    @Option(
        help: ArgumentHelp("What it is called; by itself router- and the first digits of its key.", valueName: "name")
    )
    var name: String?

    func run() throws {
        guard let network = NetworkName(network) else { throw ValidationError("--network: \(Questions.nameRule)") }
        guard let key = PublicKey(text: router), key.isUsable else {
            throw ValidationError(
                "--router: expected a public key of WireGuard, the 44 characters that `wg pubkey` prints"
            )
        }
        let name = try name.map { text in
            guard let name = NodeName(text) else { throw ValidationError("--name: \(Questions.nameRule)") }
            return name
        }
        try endWithStatus { () throws(Failure) in
            // What is wrong is told before there is a lock, for that leaves a file.
            _ = try addition(key, name, network)
            var written: MemberID?
            let result: Result<[String], Failure>
            do throws(LedgerFileError) {
                // The ledger's lock is also for the document, so of two at once both get in.
                result = try ledger.file(for: options.path).update { book throws(LedgerRefusal) in
                    try add(key, name, network, &book, &written)
                }
            } catch {
                let failure = Failure(error)
                guard let written else { throw failure }
                throw Failure(
                    failure.status,
                    "\(failure.text)\n\(written) is in \(options.path) already; this command again gives it its prefix"
                )
            }
            tell(try result.get().joined(separator: "\n"))
        }
    }

    private func addition(
        _ key: PublicKey,
        _ name: NodeName?,
        _ network: NetworkName
    ) throws(Failure) -> MemberAddition {
        let addition = try MemberAddition(key, name, to: network, in: try options.load())
        if let new = addition.new {
            // What is wrong with the ledger is no mistake of the member.
            _ = try ledger.assignments(for: addition.old)
            do throws(Failure) {
                _ = try Planning(new, ledger)
            } catch {
                throw Failure(
                    error.status,
                    "\(addition.id) cannot be a member, and nothing is written; with it, these are mistakes:\n"
                        + error.text
                )
            }
        }
        return addition
    }

    /// The document comes first. If the program is killed between the two, there is a member without a prefix, which the
    /// same command or `kex-net allocate` gives it. The other way round there would be a prefix whose member no document
    /// has, and it would stay taken. What the ledger refuses it refuses before: `book` changes only behind the document.
    ///
    /// - Parameters:
    ///   - book: the ledger, whose lines are on the disk when the caller is done.
    ///   - written: who is in the document now and was not before.
    /// - Returns: what to tell.
    private func add(
        _ key: PublicKey,
        _ name: NodeName?,
        _ network: NetworkName,
        _ book: inout Ledger,
        _ written: inout MemberID?
    ) throws(LedgerRefusal) -> Result<[String], Failure> {
        let addition: MemberAddition
        // Somebody may have written it since.
        do throws(Failure) { addition = try self.addition(key, name, network) } catch { return .failure(error) }
        let file = addition.new ?? addition.old
        var changed = book
        let holdings = try changed.allocate(file.document, only: addition.id, at: .now)
        var lines: [String] = []
        if let new = addition.new {
            do throws(Failure) { try DocumentFile.replace(addition.old, by: new) } catch { return .failure(error) }
            written = addition.id
            lines.append("\(new.location(of: addition.place)): \(addition.id) is a member now")
        } else {
            lines.append("\(file.location(of: addition.place)): \(addition.id) is a member already, with this key")
        }
        book = changed
        return .success(lines + holdings.map(\.description))
    }
}
