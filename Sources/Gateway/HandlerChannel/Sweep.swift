public import KexProtocol
public import WireGuardTypes

/// One domain that the operator wants swept.
public struct SweepRequest: Hashable, Sendable {
    /// `nil` for every domain of the handler; then it must be the only record. No domain may be named twice.
    public var domain: DomainName?
    /// Report only: change neither the kernel nor the marks.
    public var isDryRun: Bool

    public init(domain: DomainName?, isDryRun: Bool) {
        self.domain = domain
        self.isDryRun = isDryRun
    }
}

/// What a sweep did with one key, or would do.
public struct SweepEvent: Hashable, Sendable {
    /// What became of the router, or would become of it.
    public enum Action: UInt8, CaseIterable, Sendable {
        /// Silent for too long, for the first time: marked.
        case marked = 1
        /// Still silent, but the last sweep is not long enough ago.
        case waiting = 2
        /// Silent in two sweeps: removed.
        case removed = 3
        /// It has shaken hands since it was marked: the mark is gone.
        case returned = 4
        /// Silent in two sweeps, but the kernel refused to remove it. The next sweep tries again.
        case failed = 5
    }

    public var domain: DomainName
    public var key: PublicKey
    public var action: Action
    /// Seconds since the last handshake; `nil` if there never was one.
    public var silence: Int64?

    public init(domain: DomainName, key: PublicKey, action: Action, silence: Int64?) {
        self.domain = domain
        self.key = key
        self.action = action
        self.silence = silence
    }
}

/// The end of the report on one domain of a sweep.
public struct SweepEnd: Hashable, Sendable {
    /// Longest ``failure`` in bytes; the rest is cut.
    public static let maximumFailure = 180

    /// `nil` after the last domain: the sweep is over.
    public var domain: DomainName?
    /// Peers of ours that the domain had, those removed included.
    public var peers: UInt32
    /// Why the domain could not be swept; `nil` if it was.
    public var failure: String?

    public init(domain: DomainName?, peers: UInt32, failure: String?) {
        self.domain = domain
        self.peers = peers
        self.failure = failure
    }
}

extension SweepRequest: Record {
    static var encodedSize: Int { 1 + 1 + DomainName.maximumLength }

    func encode(into bytes: inout [UInt8]) {
        bytes.append(isDryRun ? 1 : 0)
        bytes.appendOptional(domain)
    }

    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        let flag = bytes.byte(&position)
        guard flag <= 1 else { throw .record("flag \(flag)") }
        isDryRun = flag == 1
        domain = try bytes.optionalDomain(&position)
    }
}

extension SweepEvent: Record {
    static var encodedSize: Int { 1 + 8 + PublicKey.length + 1 + DomainName.maximumLength }

    func encode(into bytes: inout [UInt8]) {
        bytes.append(action.rawValue)
        bytes.appendBigEndian(silence ?? Int64.min)
        for index in 0..<PublicKey.length { bytes.append(key[index]) }
        bytes.appendOptional(domain)
    }

    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        let number = bytes.byte(&position)
        guard let action = Action(rawValue: number) else { throw .record("action \(number)") }
        self.action = action
        let seconds: Int64 = bytes.integer(&position)
        silence = seconds == Int64.min ? nil : seconds
        key = try PublicKey(decoding: bytes, at: &position)
        domain = try DomainName(decoding: bytes, at: &position)
    }
}

extension SweepEnd: Record {
    static var encodedSize: Int { 4 + 1 + DomainName.maximumLength + 1 + maximumFailure }

    func encode(into bytes: inout [UInt8]) {
        bytes.appendBigEndian(peers)
        bytes.appendOptional(domain)
        bytes.appendShortText((failure ?? ""), Self.maximumFailure)
    }

    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame) {
        peers = bytes.integer(&position)
        domain = try bytes.optionalDomain(&position)
        let text = try bytes.shortText(&position, Self.maximumFailure)
        failure = text.isEmpty ? nil : String(decoding: text.map { bytes[$0] }, as: UTF8.self)
    }
}

extension [UInt8] {
    fileprivate mutating func appendOptional(_ domain: DomainName?) {
        appendShortText((domain?.text ?? ""), DomainName.maximumLength)
    }
}

extension Span<UInt8> {
    fileprivate func optionalDomain(_ position: inout Int) throws(MalformedFrame) -> DomainName? {
        let text = try shortText(&position, DomainName.maximumLength)
        guard !text.isEmpty else { return nil }
        guard let name = DomainName(bytes: extracting(text)) else { throw .record("a bad domain name") }
        return name
    }
}
