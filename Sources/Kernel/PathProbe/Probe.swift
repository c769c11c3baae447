public import NetworkAddresses

/// What one machine asks another, outside of any tunnel, to find out whether a path works; or the answer.
///
/// On the wire, 92 bytes, numbers with the most significant byte first:
///
/// ```
/// 6b 78 70 31 | nonce 24 | gate 8 | hint 4 | XChaCha20-Poly1305 of: kind 1 | boot ID 8 | counter 8 | endpoint 19     tag 16
/// ```
///
/// The gate is BLAKE2b-64 of the nonce, keyed with the receiver's public key; the hint is BLAKE2b-32 of it, keyed with
/// the sender's key of the pair. The endpoint is family 1 (0 none, 4, 6), address 16 (4, and zeros), port 2. The first
/// byte is none that WireGuard begins with, which takes no notice of such a datagram.
public struct Probe: Hashable, Sendable {
    public enum Kind: UInt8, Hashable, Sendable {
        case request = 1
        case answer = 2
    }

    /// Length in bytes, of a request and of an answer: nobody can make us send more than he sends.
    public static let length = 92
    /// The first four bytes.
    public static let magic: UInt32 = 0x6b78_7031
    /// Of what is sealed, in bytes.
    static let bodyLength = 36

    public let kind: Kind
    /// Random, another with each start of whoever asks. An answer repeats it.
    public let boot: UInt64
    /// From 1 with each start of whoever asks, one more for each request to the same machine. An answer repeats it.
    public let counter: UInt64
    /// Of an answer: where the request came from. An interface is not told.
    public let observed: Endpoint?

    public init(kind: Kind, boot: UInt64, counter: UInt64, observed: Endpoint? = nil) {
        self.kind = kind
        self.boot = boot
        self.counter = counter
        self.observed =
            switch observed {
            case .v6(let address, let port, _):
                // One spelling for each address.
                address.mappedIPv4.map { .v4($0, port: port) } ?? .v6(address, port: port)
            default: observed
            }
    }

    /// Whether these bytes begin as a probe does.
    public static func isProbe(_ bytes: Span<UInt8>) -> Bool { bytes.count >= 4 && bytes.word(at: 0) == magic }

    /// What is sealed.
    package var body: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.bodyLength)
        bytes.append(kind.rawValue)
        append(boot, to: &bytes)
        append(counter, to: &bytes)
        switch observed {
        case nil: bytes += [UInt8](repeating: 0, count: 19)
        case .v4(let address, let port):
            bytes.append(4)
            bytes += address.bytes
            bytes += [UInt8](repeating: 0, count: 12)
            append(port, to: &bytes)
        case .v6(let address, let port, _):
            bytes.append(6)
            bytes += address.bytes
            append(port, to: &bytes)
        }
        return bytes
    }

    /// Reads what ``body`` wrote. Every probe has one spelling.
    package init?(body: [UInt8]) {
        guard body.count == Self.bodyLength, let kind = Kind(rawValue: body[0]) else { return nil }
        let address = body[18..<34]
        let port = UInt16(body[34]) << 8 | UInt16(body[35])
        let observed: Endpoint?
        switch body[17] {
        case 0:
            guard port == 0, address.allSatisfy({ $0 == 0 }) else { return nil }
            observed = nil
        case 4:
            guard address.dropFirst(4).allSatisfy({ $0 == 0 }), let v4 = IPv4Address(bytes: address.prefix(4))
            else { return nil }
            observed = .v4(v4, port: port)
        case 6:
            guard let v6 = IPv6Address(bytes: address), v6.mappedIPv4 == nil else { return nil }
            observed = .v6(v6, port: port)
        default: return nil
        }
        self.init(kind: kind, boot: number(body[1..<9]), counter: number(body[9..<17]), observed: observed)
    }
}

func append(_ number: some FixedWidthInteger, to bytes: inout [UInt8]) {
    for shift in stride(from: number.bitWidth - 8, through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: number >> shift))
    }
}

func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

extension Span<UInt8> {
    /// The number of four bytes at `start`, which must be there.
    func word(at start: Int) -> UInt32 { (start..<start + 4).reduce(0) { $0 << 8 | UInt32(self[$1]) } }

    /// The number of eight bytes at `start`, which must be there.
    func doubleWord(at start: Int) -> UInt64 { UInt64(word(at: start)) << 32 | UInt64(word(at: start + 4)) }
}
