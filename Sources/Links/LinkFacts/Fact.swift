public import NetworkAddresses
public import WireGuardTypes

/// One thing that a member says of a member.
///
/// ```
/// attribute (1) | time to live (1 to 3) | subject (32) | value
/// ```
///
/// The time to live is in seconds, seven bits in each byte, the least significant first. The top bit is set if another
/// byte follows. Ports have the most significant byte first. Source: wirelink's wire format, measured.
public struct Fact: Hashable, Sendable {
    /// What is said.
    public enum Statement: Hashable, Sendable {
        /// The subject runs, since the start with this identifier. Only the subject itself says so.
        case alive(BootID)
        /// Where packets for the subject might be sent.
        case endpoint(Endpoint)
        /// What the subject may send from. Bits behind the prefix stay as they were written.
        case allowedIP(IPPrefix)
        /// The subject is a member. This is an older form of ``member(_:)``, which the field reads and no longer
        /// writes.
        case plainMember
        /// The subject is a member.
        case member(MemberMetadata)
    }

    /// The member that the fact is about.
    public let subject: PublicKey
    /// In the form that it has on the wire: see ``init(subject:_:timeToLive:)``.
    public let statement: Statement
    public var timeToLive: TimeToLive

    /// Makes a fact in the form that receivers take. An IPv4-mapped address becomes the IPv4 address, because receivers
    /// refuse it otherwise. The interface of a link-local endpoint is left out, because it has no meaning elsewhere.
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
    /// What identifies a fact: of two facts with one key, one replaces the other. It is the subject and the statement
    /// without the time to live. All facts ``Statement/alive(_:)`` of a subject have one key, whatever their boot ID.
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
        // The prefix is shorter than the part that makes the address a mapped one. With zeros behind it, it is none.
        let high = length >= 64 ? UInt64.max : ~(UInt64.max >> UInt64(length))
        let low = length <= 64 ? 0 : ~(UInt64.max >> (UInt64(length) - 64))
        let masked = IPv6Address(high: address.high & high, low: address.low & low)
        return IPPrefix(.v6(masked), length: length) ?? self
    }
}
