internal import Glibc

/// A 128-bit IPv6 address without scope.
public struct IPv6Address: Hashable, Sendable {
    /// The first eight bytes as a number, most significant byte first.
    public let high: UInt64
    /// The last eight bytes as a number: the interface identifier of a unicast address.
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Takes the address from `bytes` in network order, or returns `nil` if they are not sixteen.
    @inlinable
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Reads any text form of RFC 4291, section 2.2. No zone, no brackets, no prefix length.
    public init?(_ text: String) {
        guard let bytes = presentationToNetwork(AF_INET6, text, size: 16) else { return nil }
        self.init(bytes: bytes)
    }

    /// The address that stands for `address` where only IPv6 is spoken. Source: RFC 4291, section 2.5.5.2.
    public init(mapping address: IPv4Address) {
        self.init(high: 0, low: 0xffff << 32 | UInt64(address.value))
    }

    /// The IPv4 address inside an IPv4-mapped one, or `nil` for every other address.
    public var mappedIPv4: IPv4Address? {
        high == 0 && low >> 32 == 0xffff ? IPv4Address(value: UInt32(truncatingIfNeeded: low)) : nil
    }

    /// The text form as its owner would write it: for an IPv4-mapped address that of the IPv4 address.
    public var unmappedDescription: String { mappedIPv4.map { "\($0)" } ?? description }

    /// The text form of where somebody came from: the same, and for an address of ``scoped(to:)`` the interface behind
    /// it.
    public var sourceDescription: String { scope == 0 ? unmappedDescription : "\(unscoped)%\(scope)" }

    /// Whether the address is in fe80::/10, so that it means nothing without an interface.
    public var isLinkLocal: Bool { high >> 54 == 0xfe80 >> 6 }

    /// A link-local address together with its link, in one value: the index of the interface takes the place of the
    /// last 32 bits of the high half. Those mean nothing to IPv6 (RFC 4291, section 2.5.6), so what an outsider wrote
    /// there is gone. Every other address stays what it is.
    public func scoped(to interface: UInt32) -> IPv6Address {
        isLinkLocal ? IPv6Address(high: 0xfe80 << 48 | UInt64(interface), low: low) : self
    }

    /// The interface of an address that was ``scoped(to:)`` one; 0 for every other.
    public var scope: UInt32 { isLinkLocal ? UInt32(truncatingIfNeeded: high) : 0 }

    /// The address without its interface.
    public var unscoped: IPv6Address { scoped(to: 0) }

    /// Whether the address stands for none: `::`, or IPv4's 0.0.0.0/8. Source: RFC 4291, section 2.5.2; RFC 1122,
    /// 3.2.1.3.
    public var isUnspecified: Bool { mappedIPv4.map { $0.value >> 24 == 0 } ?? (high == 0 && low == 0) }

    /// Whether the address is its own machine's: `::1`, or IPv4's 127.0.0.0/8.
    public var isLoopback: Bool { mappedIPv4.map { $0.value >> 24 == 127 } ?? (high == 0 && low == 1) }

    /// Whether the address is that of a group: ff00::/8, or IPv4's 224.0.0.0/4; and what IPv4 has above that.
    public var isMulticast: Bool { mappedIPv4.map { $0.value >> 28 >= 0xe } ?? (high >> 56 == 0xff) }

    /// The sixteen bytes in network order.
    public var bytes: [UInt8] { bigEndianBytes(high) + bigEndianBytes(low) }
}

extension IPv6Address: CustomStringConvertible {
    /// The one preferred text form. Source: RFC 5952, a stricter reading of RFC 4291, section 2.2.
    ///
    /// Written here and not by inet_ntop(3), which takes ten times as long: each new router has its address written for
    /// userspace WireGuard and for the log.
    public var description: String {
        if mappedIPv4 != nil || high == 0 && low >> 32 == 0 && low >> 16 != 0 {
            // The forms that end like an IPv4 address are rare.
            return networkToPresentation(AF_INET6, bytes)
        }
        let zeros = longestZeros
        var text: [UInt8] = []
        text.reserveCapacity(39)
        var index = 0
        while index < 8 {
            if let zeros, index == zeros.lowerBound {
                text.append(contentsOf: "::".utf8)
                index = zeros.upperBound
                continue
            }
            if index > 0, index != zeros?.upperBound { text.append(UInt8(ascii: ":")) }
            let group = group(index)
            for shift in stride(from: 12, through: 0, by: -4) where shift == 0 || group >> UInt16(shift) != 0 {
                text.append(hexadecimalDigit(group >> UInt16(shift)))
            }
            index += 1
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// One of the eight groups of sixteen bits, the most significant first.
    private func group(_ index: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 - 16 * (index & 3)))
    }

    /// The groups that `::` stands for: the first longest run of two or more that are zero. Source: RFC 5952, section
    /// 4.2.
    private var longestZeros: Range<Int>? {
        var longest: Range<Int>?
        var start = 0
        for index in 0...8 where index == 8 || group(index) != 0 {
            if index - start > max(longest?.count ?? 0, 1) { longest = start..<index }
            start = index + 1
        }
        return longest
    }
}

/// The digit of the lowest four bits, in lower case.
func hexadecimalDigit(_ bits: some FixedWidthInteger) -> UInt8 {
    let digit = UInt8(truncatingIfNeeded: bits & 15)
    return digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
}

/// A 32-bit IPv4 address.
public struct IPv4Address: Hashable, Sendable {
    /// The address as a number, first byte most significant.
    public let value: UInt32

    public init(value: UInt32) { self.value = value }

    /// Takes the address from `bytes` in network order, or returns `nil` if they are not four.
    @inlinable
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 else { return nil }
        value = bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// Reads four decimal numbers joined by dots; nothing else that inet_aton(3) would take.
    public init?(_ text: String) {
        guard let bytes = presentationToNetwork(AF_INET, text, size: 4) else { return nil }
        self.init(bytes: bytes)
    }

    /// The four bytes in network order.
    public var bytes: [UInt8] { bigEndianBytes(value) }
}

extension IPv4Address: CustomStringConvertible {
    public var description: String { networkToPresentation(AF_INET, bytes) }
}

private func bigEndianBytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    stride(from: Value.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) }
}

/// inet_pton(3), which unlike inet_aton takes no shortened forms.
private func presentationToNetwork(_ family: Int32, _ text: String, size: Int) -> [UInt8]? {
    guard !text.utf8.contains(0) else { return nil }
    var bytes = [UInt8](repeating: 0, count: size)
    return unsafe inet_pton(family, text, &bytes) == 1 ? bytes : nil
}

/// inet_ntop(3), which in glibc writes the form of RFC 5952.
private func networkToPresentation(_ family: Int32, _ bytes: [UInt8]) -> String {
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    let end = unsafe inet_ntop(family, bytes, &text, socklen_t(INET6_ADDRSTRLEN))
    unsafe precondition(end != nil, "inet_ntop fails only for an unknown family or a short buffer")
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
