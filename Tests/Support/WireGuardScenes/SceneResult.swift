/// What came of a scene.
public enum SceneResult: Sendable, CustomStringConvertible {
    case seen(seconds: Double?)
    /// In each direction.
    case lost(Int, Int)

    /// - Parameter line: of `scenes.py`.
    public init?(_ line: some StringProtocol) {
        let words = line.split(separator: " ")
        if line == "never" {
            self = .seen(seconds: nil)
        } else if let word = words.first, words.count == 1, let seconds = Double(word) {
            self = .seen(seconds: seconds)
        } else if words.count == 4, let one = Int(words[0]), let other = Int(words[1]) {
            self = .lost(one, other)
        } else {
            return nil
        }
    }

    public var description: String {
        switch self {
        case .seen(let seconds): seconds.map { "\(Int($0 * 1000)) ms" } ?? "never"
        case .lost(let one, let other): "\(one) and \(other) lost"
        }
    }

    public func meets(_ expectation: Scene.Expectation) -> Bool {
        switch (self, expectation) {
        case (.seen(let seconds), .packet(let outcomes)), (.seen(let seconds), .handshake(let outcomes)):
            outcomes.contains(Scene.Outcome(seconds: seconds))
        case (.lost(let one, let other), .lost(let range)): range.contains(one) && range.contains(other)
        default: false
        }
    }
}
