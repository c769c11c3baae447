internal import ArgumentParser
internal import CommandLineOptions
internal import Glibc

/// The program. Its commands are in files of their own.
@main
struct KexClient: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kex-client",
        abstract: "Registers a router's WireGuard key with a kex gateway, and makes the router's tunnel.",
        discussion: """
            A router that wants into a mesh domain sends its WireGuard public key and the name of the domain to a \
            gateway. Both sides derive the router's MAC and link-local address from the key, so nothing is sent back.

            Exit status: 0 done, 64 wrong usage, 65 refused or wrong input, 69 no gateway could be reached, \
            71 the system refused, 78 mistakes in FILE.
            """,
        version: "kex-client \(packageVersion)",
        subcommands: [DeriveCommand.self, RegisterCommand.self, UpCommand.self, DownCommand.self]
    )
}

/// How the program ends. The numbers are those of `sysexits.h`; wrong usage is 64, from the argument parser.
enum ExitStatus: Int32 {
    /// Input that is wrong, or a gateway that said no: the same again would fail again.
    case refused = 65
    /// No gateway could be reached in time: the same again may work.
    case unreachable = 69
    /// The kernel or another program refused.
    case system = 71
    /// The configuration file has mistakes.
    case configuration = 78
}

/// A failure in words, with the status that goes with it.
struct Failure: Error {
    let status: ExitStatus
    /// What happened and what to do about it, one line or more.
    let text: String

    init(_ status: ExitStatus, _ text: String) {
        self.status = status
        self.text = text
    }
}

/// Runs a command's work, and turns a failure into words on standard error and an exit status.
func endWithStatus(_ work: () throws(Failure) -> Void) throws {
    do throws(Failure) {
        try work()
    } catch {
        say(error.text)
        throw ExitCode(error.status.rawValue)
    }
}

/// Tells the user on standard error, where it does not mix with results.
func say(_ text: String) {
    for line in text.split(separator: "\n") { write("kex-client: \(line)\n", to: STDERR_FILENO) }
}

/// A result, on standard output and at once, so that whoever watches sees each step as it happens.
func tell(_ line: String) { write(line + "\n", to: STDOUT_FILENO) }

/// Writes all of `text`. What cannot be written is lost: there is nowhere left to complain.
func write(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}
