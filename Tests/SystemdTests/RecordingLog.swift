import Logging
import Synchronization

/// Keeps what is logged, for the test to look at.
final class RecordingLog: LogHandler, Sendable {
    struct Line: Equatable {
        var level: Logger.Level
        var message: String
        var fields: [String: String]
    }

    private let lines = Mutex<[Line]>([])
    private let level: Logger.Level

    init(level: Logger.Level = .info) { self.level = level }

    var all: [Line] { lines.withLock { $0 } }

    func log(event: LogEvent) {
        let fields = (event.metadata ?? [:]).mapValues { "\($0)" }
        lines.withLock { $0.append(Line(level: event.level, message: "\(event.message)", fields: fields)) }
    }

    subscript(metadataKey _: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { level }
        set {}
    }
}
