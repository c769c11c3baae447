private import Foundation
public import Testing

extension Trait where Self == ConditionTrait {
    /// Makes interfaces, namespaces or mounts, or runs programs that do: left out for another user. `scripts/test` as
    /// root takes a test that is left out for a failure.
    public static var needsRoot: Self { .enabled(if: geteuid() == 0, "needs root") }
}

/// How much a test does that can do more than what tells whether something is broken.
public enum Extent {
    /// Whether `scripts/test --long` asks for all of it: for the figures of a note, not for every change.
    public static let isLong = ProcessInfo.processInfo.environment["KEX_LONG"] != nil
}
