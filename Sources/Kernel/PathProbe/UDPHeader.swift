internal import NetworkAddresses

/// The eight bytes before a UDP payload. Source: RFC 768.
struct UDPHeader: Hashable {
    static let length = 8

    let sourcePort: UInt16
    let destinationPort: UInt16

    /// Reads the header at the beginning of `bytes`. The kernel has checked the rest, and a probe has a tag.
    init?(_ bytes: Span<UInt8>) {
        guard bytes.count >= Self.length else { return nil }
        sourcePort = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
        destinationPort = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
    }

    /// A datagram of `payload` with a header.
    ///
    /// - Parameter addresses: source and destination, for the checksum; without them it is zero, which in IPv4 says that
    ///   there is none.
    static func datagram(
        _ payload: [UInt8],
        from source: UInt16,
        to destination: UInt16,
        addresses: (source: IPv4Address, destination: IPv4Address)?
    ) -> [UInt8] {
        var datagram: [UInt8] = []
        datagram.reserveCapacity(length + payload.count)
        append(source, to: &datagram)
        append(destination, to: &datagram)
        append(UInt16(truncatingIfNeeded: length + payload.count), to: &datagram)
        append(UInt16(0), to: &datagram)
        datagram += payload
        if let addresses {
            let sum = checksum(of: datagram, addresses.source, addresses.destination)
            datagram[6] = UInt8(sum >> 8)
            datagram[7] = UInt8(sum & 0xff)
        }
        return datagram
    }

    /// The checksum of a datagram with zero in its place, with the pseudo-header of IPv4. It is never zero.
    static func checksum(of datagram: [UInt8], _ source: IPv4Address, _ destination: IPv4Address) -> UInt16 {
        var sum: UInt64 = 17 + UInt64(datagram.count)
        for address in [source.value, destination.value] { sum += UInt64(address >> 16) + UInt64(address & 0xffff) }
        for index in stride(from: 0, to: datagram.count, by: 2) {
            sum += UInt64(datagram[index]) << 8 | UInt64(index + 1 < datagram.count ? datagram[index + 1] : 0)
        }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        let complement = ~UInt16(sum)
        return complement == 0 ? 0xffff : complement
    }
}

/// The header that a raw socket of IPv4 gives. Source: RFC 791, section 3.1.
struct IPv4Header {
    let length: Int
    let source: IPv4Address
    let destination: IPv4Address

    init?(_ bytes: Span<UInt8>) {
        guard bytes.count >= 20, bytes[0] >> 4 == 4 else { return nil }
        length = Int(bytes[0] & 0xf) * 4
        guard length >= 20, bytes.count >= length else { return nil }
        source = IPv4Address(value: bytes.word(at: 12))
        destination = IPv4Address(value: bytes.word(at: 16))
    }
}
