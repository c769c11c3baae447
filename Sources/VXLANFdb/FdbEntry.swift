public import NetworkAddresses

/// Where a VXLAN interface sends the frames for one MAC address.
///
/// All three parts are the identity of an entry: the same destination with another `via` is another entry, and
/// would get each frame a second time. A deletion names all three too, because the kernel takes one without
/// a destination as "all destinations of this MAC"; so there is no way to leave one out.
public struct FdbEntry: Hashable, Sendable {
    /// The address of the frame's receiver; the zero address for everything that goes to all (see ``flood(to:via:)``).
    public var mac: MACAddress
    /// The tunnel end that gets the frames.
    public var destination: IPv6Address
    /// The interface through which `destination` is reached. Link-local addresses mean nothing without it, and a
    /// permanent entry without it makes the kernel drop what it *receives* from that MAC (measured).
    public var via: InterfaceIndex

    public init(mac: MACAddress, destination: IPv6Address, via: InterfaceIndex) {
        self.mac = mac
        self.destination = destination
        self.via = via
    }

    /// The entry that puts a tunnel end on the flood list: it gets a copy of each broadcast, each multicast, and each
    /// frame for an unknown MAC. Every copy costs the sender about 1 µs, and more beyond 1,000 entries (measured).
    public static func flood(to destination: IPv6Address, via: InterfaceIndex) -> FdbEntry {
        FdbEntry(mac: .zero, destination: destination, via: via)
    }
}

extension FdbEntry: CustomStringConvertible {
    /// In the words of bridge(8): `02:de:5d:b8:5b:59 dst fe80::de:5dff:feb8:5b59 via 4`.
    public var description: String { "\(mac) dst \(destination) via \(via)" }
}
