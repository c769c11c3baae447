internal import ArgumentParser
internal import ConfigurationFiles
internal import Glibc

/// How the program ends. The numbers are those of `sysexits.h`; wrong usage is 64, from the argument parser.
enum ExitStatus: Int32 {
    /// Input that is wrong, or missing.
    case input = 65
    /// The kernel or a file system refused.
    case system = 71
    /// The document has mistakes, or it cannot be built.
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

    /// Mistakes in a file: a line for each, that begins with file and line, so that editors can jump there.
    init(_ error: ConfigurationError) { self.init(.configuration, error.description) }
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
func say(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

/// A result, on standard output.
func tell(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }

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
