internal import ConfigurationFiles
internal import NetworkAddresses
internal import TenantFile
internal import TenantModel
internal import TenantPlan

/// A document with its plan.
struct Planning {
    let file: TenantFile
    let networks: [ResolvedNetwork]
    let plan: Plan
    /// How many members have no prefix yet, and got one that is nobody's afterwards.
    let waiting: Int

    /// - Throws: all mistakes of the whole, with their lines: those of the document's rules, and those that only a plan
    ///   can tell.
    init(_ file: TenantFile, _ ledger: LedgerOptions) throws(Failure) {
        self.file = file
        let assigned = try ledger.assignments(for: file)
        let mistakes = file.document.mistakes(assigned: assigned)
        waiting = assigned.waiting(in: file.document)
        do throws(DocumentError) {
            networks = try file.document.resolve(assigned.completed(for: file.document))
        } catch {
            throw Failure(file.error(mistakes.isEmpty ? error.mistakes : mistakes))
        }
        plan = Plan(
            networks,
            withdrawn: try ledger.withdrawn(for: file).mapValues { $0.map(\.prefix.ipPrefix) }
        )
        // What follows from a broken rule is not told again in other words.
        let further = plan.mistakes.filter { mistake in
            !mistakes.contains { $0.path.contains(mistake.path) || mistake.path.contains($0.path) }
        }
        try file.refuse(mistakes + further)
    }

    /// Says on standard error what is not as it will be.
    func sayWhatIsMissing() {
        guard waiting > 0 else { return }
        say(
            "\(waiting) members have no prefix yet: theirs, and what follows from it, stand for those that "
                + "`kex-net allocate` will give"
        )
    }
}
