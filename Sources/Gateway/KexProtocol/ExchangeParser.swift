public import WireGuardTypes

/// Reads one exchange of the two-line protocol: a domain, a line feed, a key, a line feed.
///
/// It is fed what the network and the clock bring, in any portions, and knows neither. What deployed routers and tools
/// do is taken: blanks and tabs around a field, a last line without line feed, and the two lines the other way round.
/// A carriage return is part of its line, so that `\r\n` is refused here as everywhere in the field.
///
/// Source: the deployed gateways, measured. Different from them: a line that is too long or has a NUL byte in it is
/// refused, where they cut the one and drop the other and then register something that was not sent.
public struct ExchangeParser: Sendable {
    /// How far an exchange has come.
    public enum Progress: Hashable, Sendable {
        /// More bytes, the end, or the deadline decide. See ``line``.
        case waiting
        /// Both lines are there and well formed. Whatever follows them means nothing.
        case complete(Registration)
        /// Nothing that may still come changes the answer.
        case refused(Refusal)
    }

    public enum Line: Sendable { case first, second }

    /// The line that is being waited for. Each has ``ProtocolLimit/lineTime`` from when this names it first.
    public var line: Line {
        if case .nothing = known { return .first } else { return .second }
    }

    /// The domain of the first line, if there was one.
    public var domain: DomainName? {
        if case .domain(let domain) = known { return domain } else { return nil }
    }

    /// The key of the first line, if the lines came the other way round.
    public var key: PublicKey? {
        if case .key(let key) = known { return key } else { return nil }
    }

    /// What the first line said.
    private enum FirstLine {
        case nothing
        case domain(DomainName)
        case key(PublicKey)
    }

    private var known = FirstLine.nothing
    /// The beginning of a line that came in parts, ``ProtocolLimit/lineLength`` at most; ``count`` bytes are in use.
    private var buffer = InlineArray<64, UInt8>(repeating: 0)
    private var count = 0

    public init() {}

    /// Takes the next bytes of the stream. Only to be called while ``Progress/waiting``.
    public mutating func receive(_ bytes: Span<UInt8>, domains: KnownDomains) -> Progress {
        var start = 0
        while start < bytes.count {
            // A line may have this many bytes; behind them only its end may come.
            let limit = min(bytes.count, start + ProtocolLimit.lineLength - count)
            var index = start
            while index < limit, bytes[index] != UInt8(ascii: "\n"), bytes[index] != 0 { index += 1 }
            guard index < bytes.count else { break }
            guard bytes[index] == UInt8(ascii: "\n") else { return .refused(invalidField) }
            let progress: Progress
            if count == 0 {
                progress = take(bytes.extracting(start..<index), domains)
            } else {
                for part in start..<index { append(bytes[part]) }
                progress = takeBuffer(domains)
            }
            guard case .waiting = progress else { return progress }
            start = index + 1
        }
        for index in start..<bytes.count { append(bytes[index]) }
        return .waiting
    }

    /// The client will send nothing more: a line counts as far as it came.
    public mutating func end(domains: KnownDomains) -> Progress {
        let progress = takeBuffer(domains)
        // After the first line there is nothing to be waited for either: the second is empty.
        guard case .waiting = progress else { return progress }
        return takeBuffer(domains)
    }

    /// The time of the current line is over: it counts as far as it came. What comes later begins the next line, which
    /// has a time of its own.
    public mutating func deadline(domains: KnownDomains) -> Progress { takeBuffer(domains) }

    private mutating func append(_ byte: UInt8) {
        buffer[count] = byte
        count += 1
    }

    private mutating func takeBuffer(_ domains: KnownDomains) -> Progress {
        let line = buffer
        let length = count
        count = 0
        return take(line.span.extracting(0..<length), domains)
    }

    /// A whole line, without its line feed.
    private mutating func take(_ line: Span<UInt8>, _ domains: KnownDomains) -> Progress {
        let field = line.extracting(Self.rangeWithoutBlanks(line))
        guard field.count > 0 else { return .refused(missingField) }
        switch known {
        case .nothing:
            if let key = PublicKey(text: field) {
                known = .key(key)
            } else if let domain = domains.domain(named: field) {
                known = .domain(domain)
            } else {
                return .refused(invalidField)
            }
            return .waiting
        case .domain(let domain):
            guard let key = PublicKey(text: field) else { return .refused(invalidField) }
            return .complete(Registration(domain: domain, key: key))
        case .key(let key):
            guard let domain = domains.domain(named: field) else { return .refused(invalidField) }
            return .complete(Registration(domain: domain, key: key))
        }
    }

    /// What to say if the current line is empty.
    private var missingField: Refusal { isKeyNext ? .noKey : .noDomain }

    /// What to say if the current line is not what it should be.
    private var invalidField: Refusal { isKeyNext ? .invalidKey : .invalidDomain }

    private var isKeyNext: Bool {
        if case .domain = known { return true } else { return false }
    }

    private static func rangeWithoutBlanks(_ line: Span<UInt8>) -> Range<Int> {
        func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        var start = 0
        var end = line.count
        while start < end, isBlank(line[start]) { start += 1 }
        while start < end, isBlank(line[end - 1]) { end -= 1 }
        return start..<end
    }
}
