import NetworkAddresses

/// An address as a row of bits, for a checker that shares nothing with the product.
struct Bits: Hashable, CustomStringConvertible {
    let isIPv4: Bool
    /// From the top: an IPv4 address has its 32 bits there.
    let value: UInt128

    init(_ address: IPv6Address) {
        isIPv4 = false
        value = UInt128(address.high) << 64 | UInt128(address.low)
    }

    init(_ address: IPv4Address) {
        isIPv4 = true
        value = UInt128(address.value) << 96
    }

    init(_ address: IPPrefix.Address) {
        switch address {
        case .v4(let address): self.init(address)
        case .v6(let address): self.init(address)
        }
    }

    init(isIPv4: Bool, value: UInt128) {
        self.isIPv4 = isIPv4
        self.value = value
    }

    func isIn(_ prefix: IPPrefix) -> Bool {
        let other = Bits(prefix.address)
        guard other.isIPv4 == isIPv4 else { return false }
        return prefix.length == 0 || (value ^ other.value) >> (128 - UInt128(prefix.length)) == 0
    }

    var isLinkLocal: Bool { !isIPv4 && value >> 118 == 0xfe80 >> 6 }

    var description: String { (isIPv4 ? "4:" : "6:") + String(value, radix: 16) }
}
