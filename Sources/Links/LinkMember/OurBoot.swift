public import LinkFacts

/// What a machine of ours says of itself in its alive fact, in the bytes that machines of the field do not look into.
public struct OurBoot: Hashable, Sendable {
    /// UDP port of its facts and messages.
    public var port: UInt16
    /// Whether it relays between members.
    public var relays: Bool
    /// Changes with each start.
    public var random: UInt64

    /// `kexL`
    private static let magic: [UInt8] = [0x6b, 0x65, 0x78, 0x4c]
    private static let version: UInt8 = 1

    public init(port: UInt16, relays: Bool, random: UInt64) {
        self.port = port
        self.relays = relays
        self.random = random
    }

    /// Returns `nil` for a machine of the field, and for one that speaks a version that is not known here. Flags that
    /// are not known are ignored.
    public init?(_ boot: BootID) {
        let bytes = boot.bytes
        guard bytes.starts(with: Self.magic), bytes[4] == Self.version else { return nil }
        relays = bytes[5] & 1 != 0
        port = UInt16(bytes[6]) << 8 | UInt16(bytes[7])
        random = bytes[8...].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Magic 4, version 1, flags 1, port 2, random 8.
    public var bootID: BootID {
        var bytes = Self.magic
        bytes.append(Self.version)
        bytes.append(relays ? 1 : 0)
        bytes.append(UInt8(truncatingIfNeeded: port >> 8))
        bytes.append(UInt8(truncatingIfNeeded: port))
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: random >> shift))
        }
        guard let boot = BootID(bytes: bytes) else { preconditionFailure("sixteen bytes") }
        return boot
    }
}
