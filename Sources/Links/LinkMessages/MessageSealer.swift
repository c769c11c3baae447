public import Keys
internal import LinkFacts
public import WireGuardTypes

/// Seals the messages for one other member, and opens those that come from it.
///
/// ```
/// 4b | version 1 | nonce 24 | sealed: boot ID 8, counter 8, message | tag 16
/// ```
public struct MessageSealer: Sendable {
    /// The first byte, which no fact has.
    public static let marker: UInt8 = 0x4b
    static let version: UInt8 = 1
    /// Most bytes in all: what fits into the least packet of IPv6, inside a tunnel too.
    public static let maximumDatagram = WireFormat.maximumPayload
    static let head = 1 + 1 + SymmetricKey.nonceLength
    static let numbers = 8 + 8
    /// Most bytes of a message.
    static let maximumMessage = maximumDatagram - head - numbers - SymmetricKey.tagLength
    /// Most bytes of a datagram that another message forwards.
    public static let maximumForwarded = maximumMessage - 1 - PublicKey.length

    private let outgoing: SymmetricKey
    private let incoming: SymmetricKey
    private let boot: UInt64
    /// Of the last message that was sealed.
    public private(set) var counter: UInt64
    private var packets = ReplayGuard()

    /// - Parameter boot: another one with each start, for the counter begins anew.
    /// - Parameter counter: no less than that of any message that was sealed for the other member with the same boot ID.
    public init(secret: SharedSecret, own: PublicKey, other: PublicKey, boot: UInt64, after counter: UInt64 = 0) {
        let label = "kex-link message 1"
        outgoing = SymmetricKey(deriving: label, from: secret, sender: own, receiver: other)
        incoming = SymmetricKey(deriving: label, from: secret, sender: other, receiver: own)
        self.boot = boot
        self.counter = counter
    }

    /// The boot ID of the other member, once a message of it has come.
    public var otherBoot: UInt64? { packets.boot }

    /// - Parameter random: for the nonce. Outside of tests it must be one that nobody can predict.
    public mutating func seal(_ message: LinkMessage, using random: inout some RandomNumberGenerator) -> [UInt8] {
        counter += 1
        var plain: [UInt8] = []
        plain.append(bigEndian: boot)
        plain.append(bigEndian: counter)
        plain += message.bytes
        var nonce: [UInt8] = []
        for _ in 0..<SymmetricKey.nonceLength / 8 { nonce.append(bigEndian: random.next() as UInt64) }
        return [Self.marker, Self.version] + nonce + outgoing.seal(plain, nonce: nonce)
    }

    /// Opens a datagram that has come for the first time.
    public mutating func open(_ datagram: [UInt8]) throws(RefusedMessage) -> LinkMessage {
        guard datagram.count <= Self.maximumDatagram else { throw .malformed(.excess) }
        guard datagram.count >= Self.head + Self.numbers + SymmetricKey.tagLength, datagram[0] == Self.marker else {
            throw .malformed(.truncated)
        }
        guard datagram[1] == Self.version else { throw .malformed(.unknown(.version, datagram[1])) }
        let nonce = Array(datagram[2..<Self.head])
        guard let plain = try? incoming.open(Array(datagram[Self.head...]), nonce: nonce) else { throw .forged }
        var reader = FactReader(plain)
        guard let boot = try? reader.uint64(), let counter = try? reader.uint64() else { throw .malformed(.truncated) }
        guard packets.takes(boot: boot, counter: counter) else { throw .replayed }
        do throws(MalformedMessage) {
            return try LinkMessage(reader.rest())
        } catch {
            throw .malformed(error)
        }
    }
}

/// Why a datagram with a message is refused.
public enum RefusedMessage: Error, Hashable, Sendable {
    case malformed(MalformedMessage)
    /// The sender did not make it for this receiver, or it was changed on its way.
    case forged
    /// It has come before, or may have.
    case replayed
}

extension RefusedMessage: CustomStringConvertible {
    public var description: String {
        switch self {
        case .malformed(let reason): "\(reason)"
        case .forged: "message is not authentic"
        case .replayed: "message has come before"
        }
    }
}
