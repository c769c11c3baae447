internal import CMNL
public import Netlink
public import NetworkAddresses
internal import SystemPackage

/// An address of this machine.
public struct InterfaceAddress: Hashable, Sendable {
    public let interface: InterfaceIndex
    /// With the length of its network.
    public let prefix: IPPrefix
    /// Whether the kernel still looks for another machine that has it, or has found one. Source: IFA_F_TENTATIVE,
    /// IFA_F_DADFAILED.
    public let isTentative: Bool
    /// Whether new conversations should not use it. Source: IFA_F_DEPRECATED.
    public let isDeprecated: Bool
    /// Whether it is an IPv6 address that was made by chance and goes again. Source: IFA_F_TEMPORARY, RFC 8981.
    public let isTemporary: Bool

    public init(
        interface: InterfaceIndex,
        prefix: IPPrefix,
        isTentative: Bool = false,
        isDeprecated: Bool = false,
        isTemporary: Bool = false
    ) {
        self.interface = interface
        self.prefix = prefix
        self.isTentative = isTentative
        self.isDeprecated = isDeprecated
        self.isTemporary = isTemporary
    }

    /// Reads an RTM_NEWADDR message; `nil` for one of another family.
    package init?(_ reply: NetlinkReply) throws(MalformedReply) {
        let (header, all) = try reply.parse(ifaddrmsg.self)
        guard let interface = InterfaceIndex(header.ifa_index) else { return nil }
        let length = header.ifa_family == UInt8(AF_INET) ? 4 : 16
        guard [UInt8(AF_INET), UInt8(AF_INET6)].contains(header.ifa_family) else { return nil }
        var attributes = all
        var (bytes, isOwn): (ArraySlice<UInt8>?, Bool) = (nil, false)
        // Those that do not fit into the header's eight bits are only here.
        var flags = UInt32(header.ifa_flags)
        while let attribute = try attributes.next() {
            switch attribute.type {
            // The own one of an address that has another end, which IFA_ADDRESS tells then.
            case Int(IFA_LOCAL):
                bytes = try attribute.bytes(length)
                isOwn = true
            case Int(IFA_ADDRESS) where !isOwn: bytes = try attribute.bytes(length)
            case Int(IFA_FLAGS): flags = try attribute.number()
            default: break
            }
        }
        guard let bytes else { return nil }
        let address = IPv4Address(bytes: bytes).map(IPPrefix.Address.v4) ?? IPv6Address(bytes: bytes).map { .v6($0) }
        guard let address, let prefix = IPPrefix(address, length: header.ifa_prefixlen)
        else { throw MalformedReply("an address with a prefix of \(header.ifa_prefixlen) bits") }
        self.interface = interface
        self.prefix = prefix
        isTentative = flags & UInt32(IFA_F_TENTATIVE | IFA_F_DADFAILED) != 0
        isDeprecated = flags & UInt32(IFA_F_DEPRECATED) != 0
        // IPv4 has the same bit for an address beside the first of a network.
        isTemporary = length == 16 && flags & UInt32(IFA_F_TEMPORARY) != 0
    }
}

extension LinkControl {
    /// All addresses of all interfaces. No right is needed.
    public mutating func addresses() throws(NetlinkError) -> [InterfaceAddress] {
        let request = try NetlinkMessage(type: UInt16(RTM_GETADDR), header: ifaddrmsg()) { _ in }
        return try socket.dump(request, "list", on: "all addresses", into: []) {
            (found: inout [InterfaceAddress], reply) throws(MalformedReply) in
            if let address = try InterfaceAddress(reply) { found.append(address) }
        }
    }

    /// All interfaces. No right is needed.
    public mutating func links() throws(NetlinkError) -> [Link] {
        let request = try NetlinkMessage(type: UInt16(RTM_GETLINK), header: ifinfomsg()) { _ in }
        return try socket.dump(request, "list", on: "all interfaces", into: []) {
            (found: inout [Link], reply) throws(MalformedReply) in found.append(try Link(reply))
        }
    }

    /// Takes an address from an interface.
    ///
    /// - Returns: whether it was there.
    @discardableResult
    public mutating func removeAddress(_ prefix: IPPrefix, from name: InterfaceName) throws(NetlinkError) -> Bool {
        guard let link = try link(named: name) else { return false }
        let (header, bytes) = Self.addressHeader(prefix, link)
        let request = try NetlinkMessage(type: UInt16(RTM_DELADDR), header: header) { message throws(NetlinkError) in
            try message.put(Int(IFA_LOCAL), bytes: bytes)
        }
        do throws(NetlinkError) {
            try socket.perform(request, "take address \(prefix) from", on: name.text)
            return true
        } catch {
            guard error.refusal == .addressNotAvailable || error.refusal == .noSuchDevice else { throw error }
            return false
        }
    }

    /// The C struct before the attributes of an address, and its bytes.
    static func addressHeader(_ prefix: IPPrefix, _ link: Link) -> (ifaddrmsg, [UInt8]) {
        var header = ifaddrmsg()
        header.ifa_index = link.index.number
        header.ifa_prefixlen = prefix.length
        switch prefix.address {
        case .v4(let address):
            header.ifa_family = UInt8(AF_INET)
            return (header, address.bytes)
        case .v6(let address):
            header.ifa_family = UInt8(AF_INET6)
            return (header, address.bytes)
        }
    }
}
