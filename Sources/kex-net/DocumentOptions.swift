internal import ArgumentParser
internal import ConfigurationFiles
internal import TenantFile
internal import TenantModel

/// The file that every command is about.
struct DocumentOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The document of the networks.", valueName: "file"))
    var path: String

    /// Reads the document, whatever rules it breaks.
    ///
    /// - Throws: all mistakes in what it says by itself.
    func read() throws(Failure) -> TenantFile {
        try inWords { () throws(ConfigurationError) in try TenantFile(path: path) }
    }

    /// Reads the document.
    ///
    /// - Throws: all mistakes in it, but for those that the ledger or the plan has a part in.
    func load() throws(Failure) -> TenantFile {
        let file = try read()
        try file.refuse(file.document.mistakes())
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
