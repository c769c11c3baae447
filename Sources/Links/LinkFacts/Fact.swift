public import NetworkAddresses
public import WireGuardTypes

/// One thing that a member says of a member.
///
/// ```
/// attribute (1) | time to live (1 to 3) | subject (32) | value
/// ```
///
/// The time to live is a number of seconds, seven bits in each byte, the least significant first; the top bit says that another
/// byte follows. Ports have the most significant byte first. Source: wirelink's wire format, measured.
public struct Fact: Hashable, Sendable {
    /// What is said.
    public enum Statement: Hashable, Sendable {
        /// The subject says of itself that it runs, and since which start.
        case alive(BootID)
        /// Where packets for the subject might be sent.
        case endpoint(Endpoint)
        /// What the subject may send from. Bits behind the prefix are as somebody wrote them.
        case allowedIP(IPPrefix)
        /// The subject is a member, in a form that no member of the field makes any more.
        case plainMember
        /// The subject is a member.
        case member(MemberMetadata)
    }

    /// Whom it is said of.
    public let subject: PublicKey
    /// In the one form that it has on the wire: see ``init(subject:_:timeToLive:)``.
    public let statement: Statement
    public var timeToLive: TimeToLive

    /// Makes a fact of what can be said of a subject. An IPv6 address that stands for one of IPv4 becomes that, because
    /// receivers refuse it otherwise, and the interface of a link-local endpoint is left out, because it means nothing
    /// elsewhere.
    public init(subject: PublicKey, _ statement: Statement, timeToLive: TimeToLive) {
        self.subject = subject
        self.timeToLive = timeToLive
        switch statement {
        case .endpoint(let endpoint): self.statement = .endpoint(endpoint.asSent)
        case .allowedIP(let prefix): self.statement = .allowedIP(prefix.asSent)
        case .alive, .plainMember, .member: self.statement = statement
        }
    }
}

extension Fact {
    /// By what a fact is known: another one with the same key replaces it. All that is said but how long it holds, and for
    /// ``Statement/alive(_:)`` that alone, not since which start.
    public struct Key: Hashable, Sendable {
        public let subject: PublicKey
        /// `nil` for ``Statement/alive(_:)``.
        private let statement: Statement?

        fileprivate init(_ fact: Fact) {
            subject = fact.subject
            if case .alive = fact.statement { statement = nil } else { statement = fact.statement }
        }
    }

    public var key: Key { Key(self) }
}

extension Endpoint {
    fileprivate var asSent: Endpoint {
        guard case .v6(let address, let port, _) = self else { return self }
        return address.mappedIPv4.map { .v4($0, port: port) } ?? .v6(address, port: port)
    }
}

extension IPPrefix {
    fileprivate var asSent: IPPrefix {
        guard case .v6(let address) = address, let mapped = address.mappedIPv4 else { return self }
        if length >= 96, let prefix = IPPrefix(.v4(mapped), length: length - 96) { return prefix }
        // Shorter than what makes it a mapped one: it is that no more when the bits behind the prefix are zero.
        let high = length >= 64 ? UInt64.max : ~(UInt64.max >> UInt64(length))
        let low = length <= 64 ? 0 : ~(UInt64.max >> (UInt64(length) - 64))
        let masked = IPv6Address(high: address.high & high, low: address.low & low)
        return IPPrefix(.v6(masked), length: length) ?? self
    }
}
