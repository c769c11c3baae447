internal import Glibc
public import Logging

/// Log lines for a service: to the journal with fields if standard error goes there, else one line each on standard
/// error, which begins with the program's name.
///
/// The metadata of a line are its fields. They are for machines, and so they are not in the line on standard error.
public struct ServiceLog: LogHandler {
    public var logLevel: Logger.Level = .info
    public var metadata: Logger.Metadata = [:]
    private let program: String
    /// `nil` if standard error is not the journal's.
    private let journal: Journal?

    /// - Parameter program: the name in front of each line at a terminal, and `SYSLOG_IDENTIFIER=` in the journal.
    public init(program: String) {
        self.init(program: program, journal: Journal.isStandardError ? try? Journal() : nil)
    }

    init(program: String, journal: Journal?) {
        self.program = program
        self.journal = journal
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let message = Self.printable("\(event.message)")
        let priority = priority(of: event.level)
        var fields = ["MESSAGE=\(message)", "PRIORITY=\(priority)", "SYSLOG_IDENTIFIER=\(program)"]
        for (key, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 }) {
            fields.append("\(key)=\(Self.printable("\(value)"))")
        }
        if let journal, journal.send(fields) { return }
        // The journal takes a priority in angle brackets off again. Source: sd-daemon(3).
        let line = Array("\(journal == nil ? "\(program): " : "<\(priority)>")\(message)\n".utf8)
        // A log that cannot be written is no reason to stop, and one that nobody reads no reason to wait: the line is
        // dropped.
        var poll = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        guard unsafe Glibc.poll(&poll, 1, 0) > 0 else { return }
        // One write a line, so that lines of several processes do not mix.
        _ = unsafe line.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// Longest message or field in bytes; the rest is cut. Nothing that is logged here needs more.
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
