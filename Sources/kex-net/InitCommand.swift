internal import ArgumentParser
internal import Glibc
internal import TenantFile
internal import TenantModel
internal import WireGuardTypes

/// `kex-net init`: a document to begin with.
struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Writes a document to begin with.",
        discussion: """
            Asks three questions, and leaves out those that options answer: which block of IPv6 addresses there is, \
            which machine has a public address, and which machines are behind a router. The document has comments that \
            say what else can be in it. A FILE that is there stays as it is.

            Exit status: 0 written, 65 no answer, 71 FILE cannot be written.
            """
    )

    @Option(
        help: ArgumentHelp(
            "A block of IPv6 addresses, /32 to /62; or local for one that is routed nowhere.",
            valueName: "prefix"
        )
    )
    var allocation: String?

    @Option(
        name: .customLong("public"),
        help: ArgumentHelp("A machine, and its addresses that others can speak to.", valueName: "name=address,…")
    )
    var publicNode: String?

    @Option(help: ArgumentHelp("Machines behind a router or a firewall.", valueName: "name,…"))
    var hidden: String?

    @Option(help: ArgumentHelp("The name of the network.", valueName: "name"))
    var network = "mine"

    @Option(help: ArgumentHelp("The public key of a machine; may be given several times.", valueName: "name=key"))
    var key: [String] = []

    @Argument(help: ArgumentHelp("The file to write; - for standard output.", valueName: "file"))
    var path: String

    func run() throws {
        guard let network = NetworkName(network) else { throw ValidationError("--network: \(Questions.nameRule)") }
        let keys = try Dictionary(key.map(Self.key)) { _, last in last }
        try endWithStatus { () throws(Failure) in
            let prefix = try answer(Questions.block, given: allocation)
            let node = try answer(Questions.publicNode, given: publicNode)
            let hidden = try answer(Questions.hidden(besides: node.name), given: hidden)
            let document = StarterDocument(
                network: network,
                prefix: prefix,
                publicNode: node.name,
                publicAddresses: node.addresses,
                hiddenNodes: hidden,
                keys: keys
            )
            try NewFile.create(path, with: document.description)
            if path != "-" { tell("wrote \(path); next: `kex-net check \(path)` tells what is missing") }
        }
    }

    private static func key(_ text: String) throws -> (NodeName, PublicKey) {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2, let name = NodeName(parts[0]), let key = PublicKey(text: parts[1])
        else { throw ValidationError("--key: expected NAME=KEY, the key as `wg pubkey` prints it") }
        return (name, key)
    }

    /// What an option says, or else what the user answers; asked again until it can be used.
    private func answer<Value>(_ question: Question<Value>, given: String?) throws(Failure) -> Value {
        if let given {
            guard let value = question.read(given) else {
                throw Failure(.input, "kex-net: \(question.option) \(given): expected \(question.expected)")
            }
            return value
        }
        while true {
            write("\(question.text)\n> ", to: STDERR_FILENO)
            guard let line = readLine() else {
                throw Failure(.input, "\nkex-net: no answer; \(question.option) answers without a question")
            }
            if let value = question.read(line) { return value }
            say("expected \(question.expected)")
        }
    }
}
