internal import ArgumentParser
internal import CommandLineOptions
internal import ConfigurationFiles
internal import HandlerChannel
internal import KexConfiguration
internal import KexProtocol
internal import SystemCalls

/// Asks `kex-handler` for one sweep and prints what it did, a line for each key.
@main
struct KexCleanup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kex-cleanup",
        abstract: "Removes routers that were silent in two sweeps.",
        discussion: """
            One sweep over the named domains, or over all: a router whose last handshake is older than StaleAfter is \
            marked; one that is still silent SweepInterval later is removed, with its fdb entries. Peers that were \
            not made by a registration are never touched.

            Exit status: 0 the sweep was made, 64 wrong usage, 69 the handler could not be asked or a domain could \
            not be swept, 78 the configuration cannot be used.
            """,
        version: "kex-cleanup \(packageVersion)"
    )

    @Option(help: ArgumentHelp("Read this configuration.", valueName: "file"))
    var config = Configuration.defaultPath

    @Flag(help: "Say what a sweep would do, and change nothing.")
    var dryRun = false

    @Flag(help: "Print the configuration as understood, and end.")
    var checkConfig = false

    @Argument(help: "Domains to sweep; all if none is named.")
    var domains: [String] = []

    func run() throws {
        let configuration: Configuration
        do {
            configuration = try Configuration(path: config)
        } catch {
            throw Ending.failure(status: 78, "\(error)")
        }
        if checkConfig {
            print(configuration)
            return
        }
        let names = try domains.map { text in
            guard let name = DomainName(text), configuration.domains.contains(where: { $0.name == name }) else {
                let known = configuration.domains.map(\.name.text).joined(separator: ", ")
                throw ValidationError("There is no domain '\(text)' in \(config). Known are: \(known).")
            }
            return name
        }
        guard Set(names).count == names.count else { throw ValidationError("A domain is named twice.") }
        guard names.count <= ChannelLimit.records else {
            throw ValidationError(
                "At most \(ChannelLimit.records) domains can be named; without a name, all are swept."
            )
        }
        try sweep(names, of: configuration)
    }

    private func sweep(_ names: [DomainName], of configuration: Configuration) throws {
        let requests = names.isEmpty ? [nil] : names.map(Optional.some)
        var hasFailure = false
        do {
            let handler = try ControlConnection(path: configuration.controlSocket)
            try handler.sweep(requests.map { SweepRequest(domain: $0, isDryRun: dryRun) }) { report in
                switch report {
                case .events(let events):
                    for event in events {
                        let domain = configuration.domains.first { $0.name == event.domain }
                        print(SweepLine(event: event, isDryRun: dryRun, interval: domain?.sweepInterval))
                    }
                case .end(let end):
                    guard let domain = end.domain else { return }
                    if let failure = end.failure {
                        hasFailure = true
                        Ending.complain("\(domain): not swept: \(failure)")
                    } else {
                        print("\(domain): \(end.peers) \(end.peers == 1 ? "router" : "routers") checked")
                    }
                }
            }
        } catch {
            throw Ending.failure(status: 69, "\(error)\n\(Self.advice)")
        }
        if hasFailure { throw ExitCode(69) }
    }

    private static let advice = "Is kex-handler running, and may this user ask it (root, or group kex-admin)?"
}
