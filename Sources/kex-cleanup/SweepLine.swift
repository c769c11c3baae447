internal import ConfigurationFiles
internal import HandlerChannel

/// One key of a sweep, as the operator reads it: `DOMAIN KEY WHAT: WHY`.
struct SweepLine: CustomStringConvertible {
    let event: SweepEvent
    let isDryRun: Bool
    /// The domain's, if this program's configuration knows the domain.
    let interval: Duration?

    var description: String { "\(event.domain) \(event.key) \(what): \(why)" }

    private var what: String {
        switch event.action {
        case .marked: isDryRun ? "would be marked stale" : "marked stale"
        case .waiting: "still stale"
        case .removed: isDryRun ? "would be removed" : "removed"
        case .returned: isDryRun ? "would no longer be stale" : "no longer stale"
        case .failed: "not removed"
        }
    }

    private var why: String {
        switch event.action {
        case .marked: "\(silence); a sweep \(later) from now or later removes it if it is still silent"
        case .waiting: "\(silence); marked less than \(later) ago, so not removed yet"
        case .removed: "\(silence), in two sweeps"
        case .returned: "it registered, or was heard of, again"
        case .failed: "the kernel refused, see the handler's log; the next sweep tries again"
        }
    }

    private var later: String { interval.map(ConfiguredDuration.text(of:)) ?? "the sweep interval" }

    private var silence: String {
        event.silence.map { "last handshake \(Self.rounded($0)) ago" } ?? "no handshake yet"
    }

    /// In the largest unit of which there are two or more, rounded down.
    private static func rounded(_ seconds: Int64) -> String {
        for (unit, size) in [("d", Int64(86400)), ("h", 3600), ("min", 60)] where seconds >= 2 * size {
            return "\(seconds / size) \(unit)"
        }
        return "\(seconds) s"
    }
}
