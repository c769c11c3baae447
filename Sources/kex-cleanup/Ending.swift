internal import ArgumentParser
internal import Glibc

/// How the program ends when it could not do what it was asked.
enum Ending {
    /// Writes `message` to standard error.
    static func complain(_ message: String) {
        let line = Array("kex-cleanup: \(message)\n".utf8)
        _ = unsafe line.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// Writes `message` to standard error; the returned error ends the program with `status`.
    static func failure(status: Int32, _ message: String) -> ExitCode {
        complain(message)
        return ExitCode(status)
    }
}
