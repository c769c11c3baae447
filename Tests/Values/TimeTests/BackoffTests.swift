import Testing
import Time

@Suite("Waits between attempts") struct BackoffTests {
    private let longest = Duration.seconds(5)

    /// Always the same word.
    private struct Fixed: RandomNumberGenerator {
        let word: UInt64
        mutating func next() -> UInt64 { word }
    }

    /// The first `count` waits by that chance.
    private func waits(_ count: Int, _ word: UInt64) -> [Duration] {
        var backoff = Backoff(first: .milliseconds(250), longest: longest)
        var random = Fixed(word: word)
        return (0..<count).map { _ in backoff.next(using: &random) }
    }

    @Test("double with each failure up to the longest, and stay there for ever")
    func growth() {
        let shortest = waits(100, 0)
        #expect(
            shortest.prefix(6) == [
                .milliseconds(125), .milliseconds(250), .milliseconds(500), .seconds(1), .seconds(2), .seconds(2.5),
            ]
        )
        #expect(shortest.dropFirst(5).allSatisfy { $0 == .seconds(2.5) })
        let most = waits(100, .max)
        #expect(most.allSatisfy { $0 <= longest })
        #expect(most.last.map { $0 > longest - .milliseconds(1) } == true)
    }

    @Test("are spread over half of what they are at most")
    func jitter() {
        var backoff = Backoff(first: .milliseconds(250), longest: longest)
        for _ in 0..<10 { _ = backoff.next() }
        let waits = (0..<1000).map { _ in backoff.next() }
        #expect(waits.allSatisfy { longest / 2 <= $0 && $0 <= longest })
        #expect(Set(waits).count > 900)
        #expect(waits.min()! < .seconds(2.6) && waits.max()! > .seconds(4.9))
    }

    @Test("begin anew only after something worked for longer than the longest wait")
    func reset() {
        for (worked, isNew) in [(longest, false), (longest + .milliseconds(1), true)] {
            var backoff = Backoff(first: .milliseconds(250), longest: longest)
            var random = Fixed(word: 0)
            for _ in 0..<5 { _ = backoff.next(using: &random) }
            backoff.worked(for: worked)
            #expect(backoff.next(using: &random) == (isNew ? .milliseconds(125) : .seconds(2.5)))
        }
    }
}
