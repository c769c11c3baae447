internal import ArgumentParser
internal import ConfigurationFiles
internal import TenantFile
internal import TenantModel

/// The file that every command is about.
struct DocumentOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The document of the networks.", valueName: "file"))
    var path: String

    /// Reads the document.
    ///
    /// - Parameter isTellingWarnings: whether what is probably not meant is told on standard error.
    /// - Throws: all mistakes in it, but for those that the ledger has a part in.
    func load(isTellingWarnings: Bool = false) throws(Failure) -> TenantFile {
        let file = try inWords { () throws(ConfigurationError) in try TenantFile(path: path) }
        let findings = file.document.findings()
        try file.refuse(findings.mistakes)
        guard isTellingWarnings else { return file }
        for warning in findings.warnings { say("\(file.location(of: warning.path)): warning: \(warning.text)") }
        return file
    }
}

extension TenantFile {
    /// Ends the work if there are mistakes, with their lines.
    func refuse(_ mistakes: [DocumentMistake]) throws(Failure) {
        guard mistakes.isEmpty else { throw Failure(error(mistakes)) }
    }
}

/// Turns the mistakes of a file into a failure.
func inWords<Value>(_ work: () throws(ConfigurationError) -> Value) throws(Failure) -> Value {
    do throws(ConfigurationError) {
        return try work()
    } catch {
        throw Failure(error)
    }
}
