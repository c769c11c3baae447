/// How long to wait before the next attempt at something that keeps failing. It knows no clock and waits for nothing.
public struct Backoff: Sendable {
    /// The longest wait after the first failure; each failure doubles it, up to ``longest``.
    public let first: Duration
    /// No wait is longer.
    public let longest: Duration
    /// Doublings after which nothing grows any more.
    private static let mostDoublings = 16

    private var failures = 0

    public init(first: Duration, longest: Duration) {
        self.first = first
        self.longest = longest
    }

    /// The wait after one more failure: between half of what the failures so far amount to and almost all of it, by
    /// chance, so that those who lost the same thing at the same moment do not come back at the same moment.
    public mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
        let most = min(first * (1 << failures), longest)
        failures = min(failures + 1, Self.mostDoublings)
        return most / 2 + most / 2 * Double.random(in: 0..<1, using: &random)
    }

    /// As ``next(using:)``, by the system's chance.
    public mutating func next() -> Duration {
        var random = SystemRandomNumberGenerator()
        return next(using: &random)
    }

    /// What was attempted worked for so long. Only more than ``longest`` counts as an end of the failures: two clients
    /// of the same name, which a server lets throw each other out, would otherwise do so without a pause.
    public mutating func worked(for duration: Duration) {
        if duration > longest { failures = 0 }
    }
}
