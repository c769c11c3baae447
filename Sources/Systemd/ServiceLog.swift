internal import Glibc
public import Logging

/// Log lines for a service: one line each on standard error, which systemd sends to the journal.
///
/// Under systemd a line begins with its priority in angle brackets, which the journal takes off again; at a terminal
/// it begins with the program's name. Source: sd-daemon(3), `SD_ERR` and the others.
public struct ServiceLog: LogHandler {
    public var logLevel: Logger.Level = .info
    public var metadata: Logger.Metadata = [:]
    private let program: String
    private let isUnderSystemd: Bool

    /// - Parameter program: the name in front of each line at a terminal.
    public init(program: String) {
        self.program = program
        // Set by systemd for services whose output goes to the journal. Source: systemd.exec(5).
        isUnderSystemd = unsafe getenv("JOURNAL_STREAM") != nil
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        let fields = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        let prefix = isUnderSystemd ? "<\(priority(of: event.level))>" : "\(program): "
        let line = Array("\(prefix)\(Self.printable("\(event.message)\(fields)"))\n".utf8)
        // A log that cannot be written is no reason to stop, and one that nobody reads no reason to wait: the line is
        // dropped.
        var poll = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        guard unsafe Glibc.poll(&poll, 1, 0) > 0 else { return }
        // One write a line, so that lines of several processes do not mix.
        _ = unsafe line.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// Longest line in bytes; the rest is cut. Nothing that is logged here needs more.
    public static let maximumLine = 1024

    /// `text` with everything but printable ASCII replaced by a question mark. Names and keys are checked long before
    /// they get here; this is for the day when one is not.
    static func printable(_ text: String) -> String {
        String(decoding: text.utf8.prefix(maximumLine).map { (0x20...0x7e).contains($0) ? $0 : 0x3f }, as: UTF8.self)
    }

    private func priority(of level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
