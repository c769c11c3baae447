internal import ArgumentParser

/// `kex-net member`: who is in a network.
struct MemberCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "member",
        abstract: "Changes who is in a network.",
        subcommands: [MemberAddCommand.self]
    )
}
