public import NetworkAddresses
internal import TenantModel

extension IPPrefix.Address {
    public var text: String {
        switch self {
        case .v4(let address): "\(address)"
        case .v6(let address): "\(address)"
        }
    }

    /// As IPv6 writes it: that of IPv4 as a mapped one.
    public var mapped: IPv6Address {
        switch self {
        case .v4(let address): IPv6Address(mapping: address)
        case .v6(let address): address
        }
    }

    /// The prefix with nothing else in it.
    public var host: IPPrefix {
        switch self {
        case .v4(let address): address.host
        case .v6(let address): IPPrefix(host: address)
        }
    }
}

extension IPv4Address {
    var host: IPPrefix {
        guard let prefix = IPv4Prefix(self, length: 32) else { preconditionFailure("an address has 32 bits") }
        return prefix.ipPrefix
    }
}

extension IPPrefix {
    /// Everything, of one family.
    public static let everyIPv6: IPPrefix = every(.v6(IPv6Address(high: 0, low: 0)))
    public static let everyIPv4: IPPrefix = every(.v4(IPv4Address(value: 0)))

    private static func every(_ address: Address) -> IPPrefix {
        guard let prefix = IPPrefix(address, length: 0) else { preconditionFailure("0 is no longer than an address") }
        return prefix
    }

    static func linkLocal(_ address: IPv6Address) -> IPPrefix {
        guard let prefix = IPPrefix(.v6(address), length: 64) else { preconditionFailure("64 is at most 128") }
        return prefix
    }

    /// The same as a prefix of IPv6, with IPv4 as mapped addresses: one order and one table for both families.
    public var mapped: (address: IPv6Address, length: UInt8) {
        switch address {
        case .v4(let address): (IPv6Address(mapping: address), length + 96)
        case .v6(let address): (address, length)
        }
    }
}
