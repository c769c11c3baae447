internal import ArgumentParser
internal import ConfigurationFiles
internal import Glibc
internal import SystemCalls
internal import TenantFile
internal import TenantLedger
internal import TenantLedgerFile
internal import TenantModel

/// Where the ledger is.
struct LedgerOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("The ledger; by itself that beside FILE, with .ledger for .yaml.", valueName: "file")
    )
    var ledger: String?

    /// The ledger of a document: `net.ledger` is that of `net.yaml`.
    func path(for document: String) -> String {
        if let ledger { return ledger }
        let ending = [".yaml", ".yml"].first { document.hasSuffix($0) } ?? ""
        return document.dropLast(ending.count) + ".ledger"
    }

    func file(for document: String) -> LedgerFile { LedgerFile(path: path(for: document), notice: Self.tell) }

    /// What the ledger has given to the members of a document; nothing if there is none.
    func assignments(for file: TenantFile) throws(Failure) -> Assignments {
        try inWords { () throws(LedgerFileError) in try self.file(for: file.path).read() }
            .assignments(for: file.document)
    }

    /// Prefixes in quarantine, by the networks of a document whose members had them.
    func withdrawn(for file: TenantFile) throws(Failure) -> [NetworkName: [Segment]] {
        let ledger = try inWords { () throws(LedgerFileError) in try self.file(for: file.path).read() }
        let now = LedgerTime.now
        return file.document.networks.reduce(into: [:]) { $0[$1.name] = ledger.withdrawn(of: $1.name, at: now) }
    }

    /// Says on a terminal what takes long.
    private static func tell(_ notice: LedgerNotice) {
        guard isatty(STDERR_FILENO) == 1 else { return }
        switch notice {
        case .waits(let path): say("another kex-net is writing, and has \(path); waiting for it")
        case .read(let path, let count, let size) where size > 8 << 20:
            say("\(path): \(count >> 20) of \(size >> 20) MB read")
        case .read: break
        }
    }
}

extension Failure {
    init(_ error: LedgerFileError) {
        switch error {
        case .isRefused, .isDamaged: self.init(.configuration, error.description)
        case .system, .isLink, .isNoPlainFile, .wasReplaced: self.init(.system, error.description)
        }
    }
}

/// Turns what is wrong with a ledger into a failure.
func inWords<Value>(_ work: () throws(LedgerFileError) -> Value) throws(Failure) -> Value {
    do throws(LedgerFileError) {
        return try work()
    } catch {
        throw Failure(error)
    }
}

extension LedgerTime {
    static var now: LedgerTime { LedgerTime(seconds: wallClockSeconds()) }
}
