public import Logging
private import Synchronization

/// Keeps what is logged, for the test to look at.
public final class RecordingLog: LogHandler, Sendable {
    public struct Line: Equatable, Sendable {
        public var level: Logger.Level
        public var message: String
        public var fields: [String: String]

        public init(level: Logger.Level, message: String, fields: [String: String] = [:]) {
            self.level = level
            self.message = message
            self.fields = fields
        }
    }

    private let lines = Mutex<[Line]>([])
    private let level: Logger.Level

    public init(level: Logger.Level = .info) { self.level = level }

    public var all: [Line] { lines.withLock { $0 } }

    /// How many lines have `text` in them.
    public func count(of text: String) -> Int { all.count { $0.message.contains(text) } }

    public func log(event: LogEvent) {
        let fields = (event.metadata ?? [:]).mapValues { "\($0)" }
        lines.withLock { $0.append(Line(level: event.level, message: "\(event.message)", fields: fields)) }
    }

    public subscript(metadataKey _: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }
    public var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    public var logLevel: Logger.Level {
        get { level }
        set {}
    }
}
