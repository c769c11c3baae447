internal import CMNL
package import Netlink
public import NetworkAddresses

/// One line of what the kernel lists for a VXLAN interface, entries of others included: learned ones, and those of
/// a bridge that the interface is a port of. So each part may be missing.
public struct FdbRecord: Hashable, Sendable {
    /// `nil` if the kernel gives none. Zero is the flood list.
    public let mac: MACAddress?
    /// `nil` if there is none, as in a bridge's entry, or if it is an IPv4 address.
    public let destination: IPv6Address?
    /// `nil` if the entry was made without.
    public let via: InterfaceIndex?
    /// NUD_* of `linux/neighbour.h`.
    public let state: UInt16
    /// NTF_* of `linux/neighbour.h`.
    public let flags: UInt8

    /// Whether the entry stays until somebody deletes it.
    public var isPermanent: Bool { state & UInt16(NUD_PERMANENT) != 0 }

    /// Whether the VXLAN interface learned the entry from a frame; it goes when it has not been used for some time.
    /// Not the bridge's own entries, and not what another program marked as learned elsewhere.
    public var isLearned: Bool {
        state & UInt16(NUD_PERMANENT | NUD_NOARP) == 0 && flags & UInt8(NTF_SELF) != 0
            && flags & UInt8(NTF_EXT_LEARNED) == 0
    }

    /// The record as an entry that can be deleted, or `nil` if it is not complete, or a bridge's.
    public var entry: FdbEntry? {
        guard flags & UInt8(NTF_SELF) != 0, let mac, let destination, let via else { return nil }
        return FdbEntry(mac: mac, destination: destination, via: via)
    }

    /// Reads an RTM_NEWNEIGH message, or returns `nil` if it is about another interface than `device`.
    package init?(_ reply: NetlinkReply, of device: InterfaceIndex) throws(MalformedReply) {
        let (header, all) = try reply.parse(ndmsg.self)
        guard UInt32(bitPattern: header.ndm_ifindex) == device.number else { return nil }
        var attributes = all
        var (mac, destination, via): (MACAddress?, IPv6Address?, InterfaceIndex?) = (nil, nil, nil)
        while let attribute = try attributes.next() {
            switch attribute.type {
            case Int(NDA_LLADDR): mac = MACAddress(bytes: attribute.payload)
            case Int(NDA_DST): destination = IPv6Address(bytes: attribute.payload)
            case Int(NDA_IFINDEX): via = InterfaceIndex(try attribute.number())
            default: break
            }
        }
        self.mac = mac
        self.destination = destination
        self.via = via
        state = header.ndm_state
        flags = header.ndm_flags
    }
}
