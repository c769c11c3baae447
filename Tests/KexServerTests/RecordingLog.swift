import Logging
import Synchronization

/// Keeps what is logged, for the test to look at.
struct RecordingLog: LogHandler {
    private final class Lines: Sendable {
        let all = Mutex<[String]>([])
    }

    private let lines = Lines()
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.all.withLock { $0.append("\(event.message)") } }

    /// How many lines have `text` in them.
    func count(of text: String) -> Int { lines.all.withLock { $0.count { $0.contains(text) } } }

    var isEmpty: Bool { lines.all.withLock { $0.isEmpty } }
}
