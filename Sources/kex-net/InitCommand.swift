internal import ArgumentParser

/// `kex-net init`: a document to begin with.
struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "init", abstract: "Writes a document to begin with.")

    func run() throws {}
}
