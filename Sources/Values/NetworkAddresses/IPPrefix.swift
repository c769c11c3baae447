/// An address of either family with a prefix length: what WireGuard calls an allowed IP.
public struct IPPrefix: Hashable, Sendable {
    /// An address of one family or the other.
    public enum Address: Hashable, Sendable {
        case v4(IPv4Address)
        case v6(IPv6Address)
    }

    /// Bits behind ``length`` are kept as they were given.
    public let address: Address
    /// Number of leading bits that count: 0 to 32 or 0 to 128.
    public let length: UInt8

    /// Returns `nil` if `length` is longer than the address.
    public init?(_ address: Address, length: UInt8) {
        let maximum: UInt8 =
            switch address {
            case .v4: 32
            case .v6: 128
            }
        guard length <= maximum else { return nil }
        self.address = address
        self.length = length
    }

    /// The prefix that holds `address` and nothing else.
    public init(host address: IPv6Address) {
        self.address = .v6(address)
        length = 128
    }

    /// Reads `fe80::1/64` or `192.0.2.1`; a missing length means the whole address.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first else { return nil }
        let address: Address
        if let v6 = IPv6Address(String(first)) {
            address = .v6(v6)
        } else if let v4 = IPv4Address(String(first)) {
            address = .v4(v4)
        } else {
            return nil
        }
        guard parts.count == 2 else {
            switch address {
            case .v4: self.init(address, length: 32)
            case .v6: self.init(address, length: 128)
            }
            return
        }
        guard parts[1].allSatisfy(\.isNumber), let length = UInt8(parts[1]) else { return nil }
        self.init(address, length: length)
    }
}

extension IPPrefix {
    /// Whether the address begins with the bits of this prefix. An IPv4 address is given as a mapped one, and is in no
    /// IPv6 prefix.
    public func contains(_ other: IPv6Address) -> Bool {
        switch (address, other.mappedIPv4) {
        case (.v4(let address), let other?):
            return (address.value ^ other.value).leadingZeroBitCount >= Int(length)
        case (.v6(let address), nil):
            let high = (address.high ^ other.high).leadingZeroBitCount
            let equal = high < 64 ? high : 64 + (address.low ^ other.low).leadingZeroBitCount
            return equal >= Int(length)
        default: return false
        }
    }
}

extension IPPrefix {
    /// The same prefix with nothing but zeros behind its bits, as routing tables have it.
    public var masked: IPPrefix {
        switch address {
        case .v4(let address): IPv4Prefix(address, length: length)?.masked.ipPrefix ?? self
        case .v6(let address): IPv6Prefix(address, length: length)?.masked.ipPrefix ?? self
        }
    }

    /// Whether every address of `other` is in this prefix. Those of one family are in none of the other.
    public func contains(_ other: IPPrefix) -> Bool {
        guard other.length >= length else { return false }
        switch (address, other.address) {
        case (.v4, .v4), (.v6, .v6): return IPPrefix(unchecked: other.address, length: length).masked == masked
        default: return false
        }
    }

    /// For those that know that the address has that many bits.
    init(unchecked address: Address, length: UInt8) {
        self.address = address
        self.length = length
    }
}

extension IPPrefix: CustomStringConvertible {
    /// The address, a slash, the length.
    public var description: String {
        switch address {
        case .v4(let address): "\(address)/\(length)"
        case .v6(let address): "\(address)/\(length)"
        }
    }
}
