/// An IPv6 address with a prefix length, where IPv4 cannot be: a network, or an address as an interface has it.
public struct IPv6Prefix: Hashable, Sendable {
    /// Bits behind ``length`` are kept as they were given.
    public let address: IPv6Address
    /// Number of leading bits that count: 0 to 128.
    public let length: UInt8

    /// Returns `nil` if `length` is longer than the address.
    public init?(_ address: IPv6Address, length: UInt8) {
        guard length <= 128 else { return nil }
        self.address = address
        self.length = length
    }

    /// Reads `2001:db8::/48`; a missing length means the whole address.
    public init?(_ text: some StringProtocol) {
        guard let prefix = IPPrefix(text), case .v6(let address) = prefix.address else { return nil }
        self.init(address, length: prefix.length)
    }

    /// The same where both families can be.
    public var ipPrefix: IPPrefix { IPPrefix(unchecked: .v6(address), length: length) }

    /// The same prefix with nothing but zeros behind its bits.
    public var masked: IPv6Prefix {
        let high = length >= 64 ? UInt64.max : length == 0 ? 0 : UInt64.max << (64 - UInt64(length))
        let low = length <= 64 ? 0 : UInt64.max << (128 - UInt64(length))
        return IPv6Prefix(unchecked: IPv6Address(high: address.high & high, low: address.low & low), length: length)
    }

    /// Whether nothing but zeros is behind the bits that count, as of a network and not of an address in it.
    public var isNetwork: Bool { masked == self }

    /// Whether every address of `other` is in this prefix.
    public func contains(_ other: IPv6Prefix) -> Bool {
        other.length >= length && IPv6Prefix(unchecked: other.address, length: length).masked == masked
    }

    /// Whether the address begins with the bits of this prefix.
    public func contains(_ other: IPv6Address) -> Bool {
        IPv6Prefix(unchecked: other, length: length).masked == masked
    }

    /// Whether an address is in both.
    public func overlaps(_ other: IPv6Prefix) -> Bool { contains(other) || other.contains(self) }

    private init(unchecked address: IPv6Address, length: UInt8) {
        self.address = address
        self.length = length
    }
}

extension IPv6Prefix: CustomStringConvertible {
    /// The address, a slash, the length.
    public var description: String { "\(address)/\(length)" }
}

/// An IPv4 address with a prefix length, where IPv6 cannot be: a network, or an address as an interface has it.
public struct IPv4Prefix: Hashable, Sendable {
    /// Bits behind ``length`` are kept as they were given.
    public let address: IPv4Address
    /// Number of leading bits that count: 0 to 32.
    public let length: UInt8

    /// Returns `nil` if `length` is longer than the address.
    public init?(_ address: IPv4Address, length: UInt8) {
        guard length <= 32 else { return nil }
        self.address = address
        self.length = length
    }

    /// Reads `192.0.2.0/24`; a missing length means the whole address.
    public init?(_ text: some StringProtocol) {
        guard let prefix = IPPrefix(text), case .v4(let address) = prefix.address else { return nil }
        self.init(address, length: prefix.length)
    }

    /// The same where both families can be.
    public var ipPrefix: IPPrefix { IPPrefix(unchecked: .v4(address), length: length) }

    /// The same prefix with nothing but zeros behind its bits.
    public var masked: IPv4Prefix {
        let mask = length == 0 ? 0 : UInt32.max << (32 - UInt32(length))
        return IPv4Prefix(unchecked: IPv4Address(value: address.value & mask), length: length)
    }

    /// Whether nothing but zeros is behind the bits that count, as of a network and not of an address in it.
    public var isNetwork: Bool { masked == self }

    /// Whether every address of `other` is in this prefix.
    public func contains(_ other: IPv4Prefix) -> Bool {
        other.length >= length && IPv4Prefix(unchecked: other.address, length: length).masked == masked
    }

    /// Whether the address begins with the bits of this prefix.
    public func contains(_ other: IPv4Address) -> Bool {
        IPv4Prefix(unchecked: other, length: length).masked == masked
    }

    /// Whether an address is in both.
    public func overlaps(_ other: IPv4Prefix) -> Bool { contains(other) || other.contains(self) }

    private init(unchecked address: IPv4Address, length: UInt8) {
        self.address = address
        self.length = length
    }
}

extension IPv4Prefix: CustomStringConvertible {
    /// The address, a slash, the length.
    public var description: String { "\(address)/\(length)" }
}
