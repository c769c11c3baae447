internal import ArgumentParser
internal import CommandLineOptions

/// The program. Its commands are in files of their own.
@main
struct KexNet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kex-net",
        abstract:
            "Plans private networks over machines in several places, and proves that their members reach each other.",
        discussion: """
            One file says which machines there are and which networks live on them. Everything else follows from it: \
            names, addresses, ports, peers, routes. No server is needed, and nothing here needs root.

            Exit status: 0 done, 64 wrong usage, 65 wrong input, 71 the system refused, 78 mistakes in FILE.
            """,
        version: "kex-net \(packageVersion)",
        subcommands: [
            InitCommand.self, CheckCommand.self, AllocateCommand.self, ReleaseCommand.self, MemberCommand.self,
            ExportCommand.self, PlanCommand.self, GraphCommand.self, UpstreamCommand.self,
        ]
    )
}
