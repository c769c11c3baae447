internal import NetworkAddresses
internal import TenantPlan

/// Values of prefixes, of which the longest that has an address counts. IPv4 is looked up as mapped addresses.
struct PrefixTable<Value: Sendable>: Sendable {
    /// Longest first. A table has few lengths, so each is one look into a dictionary.
    private var levels: [(length: UInt8, values: [IPv6Address: Value])] = []

    /// Sets the value of a prefix. `choose` picks one of two.
    mutating func insert(_ prefix: IPPrefix, _ value: Value, choosing choose: (Value, Value) -> Value = { $1 }) {
        let (address, length) = prefix.mapped
        let key = address.masked(length)
        let index = levels.firstIndex { $0.length <= length } ?? levels.count
        if index == levels.count || levels[index].length != length { levels.insert((length, [:]), at: index) }
        if let old = levels[index].values[key] {
            levels[index].values[key] = choose(old, value)
        } else {
            levels[index].values[key] = value
        }
    }

    func lookup(_ address: IPv6Address) -> Value? {
        let isIPv4 = address.isMapped
        for level in levels {
            // What is shorter holds both families, and means IPv6.
            if isIPv4, level.length < 96 { return nil }
            if let value = level.values[address.masked(level.length)] { return value }
        }
        return nil
    }
}

extension IPv6Address {
    var isMapped: Bool { high == 0 && low >> 32 == 0xffff }

    func masked(_ length: UInt8) -> IPv6Address {
        switch length {
        case 0: IPv6Address(high: 0, low: 0)
        case 1..<64: IPv6Address(high: high & ~(UInt64.max >> UInt64(length)), low: 0)
        case 64: IPv6Address(high: high, low: 0)
        case 65..<128: IPv6Address(high: high, low: low & ~(UInt64.max >> UInt64(length - 64)))
        default: self
        }
    }
}

extension IPPrefix {
    /// Whether a mapped or IPv6 address is in it; cheaper than through the text's types.
    func holds(_ other: IPv6Address) -> Bool {
        let (address, length) = mapped
        return address.masked(length) == other.masked(length) && address.isMapped == other.isMapped
    }
}
