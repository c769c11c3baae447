internal import CMNL
public import Netlink
public import NetworkAddresses
internal import SystemPackage

/// Makes, changes, looks up and deletes network interfaces of the network namespace in which it was opened.
///
/// Everything goes by name, so that errors can be read and nothing happens to an interface that took over a number.
/// Everything but ``link(named:)`` needs CAP_NET_ADMIN.
public struct LinkControl: ~Copyable {
    var socket: NetlinkSocket

    public init(buffer: DatagramBuffer = DatagramBuffer()) throws(NetlinkError) {
        socket = try NetlinkSocket(.route, buffer: buffer)
    }

    // MARK: - Looking

    /// The interface of that name, or `nil` if there is none.
    public mutating func link(named name: InterfaceName) throws(NetlinkError) -> Link? {
        let request = try Self.message(RTM_GETLINK, name)
        var found: Link?
        do throws(NetlinkError) {
            try socket.perform(request, "look up interface", on: name.text) { reply throws(MalformedReply) in
                found = try Link(reply)
            }
        } catch {
            guard error.refusal == .noSuchDevice else { throw error }
        }
        return found
    }

    // MARK: - Making and deleting

    /// Makes a WireGuard interface in the kernel: down, without key and address.
    ///
    /// - Throws: EEXIST if the name is taken, EOPNOTSUPP if this kernel has no WireGuard.
    public mutating func createWireGuard(_ name: InterfaceName) throws(NetlinkError) {
        try create(name, kind: "wireguard", "create WireGuard interface") { _ in }
    }

    /// Makes a VXLAN interface: down, with a random MAC.
    ///
    /// - Throws: EEXIST if the name is taken, or the network identifier and port on the same underlying interface.
    public mutating func createVXLAN(_ name: InterfaceName, _ settings: VXLANSettings) throws(NetlinkError) {
        precondition(settings.identifier <= VXLANSettings.maximumIdentifier, "a VXLAN network identifier has 24 bits")
        try create(name, kind: "vxlan", "create VXLAN interface") { message throws(NetlinkError) in
            try message.nest(Int(IFLA_INFO_DATA)) { message throws(NetlinkError) in
                try settings.put(into: &message)
            }
        }
    }

    private mutating func create(
        _ name: InterfaceName,
        kind: String,
        _ operation: String,
        data: (inout MessageBuilder) throws(NetlinkError) -> Void
    ) throws(NetlinkError) {
        let request = try Self.message(RTM_NEWLINK, name, flags: NLM_F_CREATE | NLM_F_EXCL) {
            message throws(NetlinkError) in
            try message.nest(Int(IFLA_LINKINFO)) { message throws(NetlinkError) in
                try message.put(Int(IFLA_INFO_KIND), text: kind)
                try data(&message)
            }
        }
        try socket.perform(request, operation, on: name.text)
    }

    /// Deletes an interface, and with it every VXLAN interface above it.
    ///
    /// A kernel WireGuard interface takes about 16 ms for each peer that it still has (measured with 1,000): remove
    /// the peers first.
    ///
    /// - Returns: whether it was there.
    @discardableResult
    public mutating func delete(_ name: InterfaceName) throws(NetlinkError) -> Bool {
        do throws(NetlinkError) {
            try socket.perform(try Self.message(RTM_DELLINK, name), "delete interface", on: name.text)
            return true
        } catch {
            guard error.refusal == .noSuchDevice else { throw error }
            return false
        }
    }

    // MARK: - Changing

    /// Changes an interface. What is `nil` stays; what is given is set in the order of the parameters.
    ///
    /// - Parameters:
    ///   - mac: the interface must be of a kind that has one.
    ///   - mtu: largest packet in bytes.
    ///   - queueLength: packets that may wait for the interface.
    ///   - isUp: setting it up makes the kernel give it a link-local address, unless ``turnOffAddressGeneration(of:)``
    ///     came before.
    /// - Throws: ENODEV if there is no such interface, EINVAL for an MTU that its kind does not allow.
    public mutating func change(
        _ name: InterfaceName,
        mac: MACAddress? = nil,
        mtu: UInt32? = nil,
        queueLength: UInt32? = nil,
        isUp: Bool? = nil
    ) throws(NetlinkError) {
        var header = ifinfomsg()
        if let isUp {
            header.ifi_change = UInt32(IFF_UP)
            header.ifi_flags = isUp ? UInt32(IFF_UP) : 0
        }
        let request = try Self.message(RTM_SETLINK, name, header: header) { message throws(NetlinkError) in
            if let mac { try message.put(Int(IFLA_ADDRESS), bytes: mac.bytes) }
            if let mtu { try message.put(Int(IFLA_MTU), mtu) }
            if let queueLength { try message.put(Int(IFLA_TXQLEN), queueLength) }
        }
        try socket.perform(request, "change interface", on: name.text)
    }

    /// Keeps the kernel from giving the interface a link-local address of its own when it is set up.
    ///
    /// Source: IN6_ADDR_GEN_MODE_NONE of `linux/if_link.h`; `addrgenmode none` of ip-link(8).
    public mutating func turnOffAddressGeneration(of name: InterfaceName) throws(NetlinkError) {
        let request = try Self.message(RTM_SETLINK, name) { message throws(NetlinkError) in
            try message.nest(Int(IFLA_AF_SPEC)) { message throws(NetlinkError) in
                try message.nest(Int(AF_INET6)) { message throws(NetlinkError) in
                    try message.put(Int(IFLA_INET6_ADDR_GEN_MODE), UInt8(IN6_ADDR_GEN_MODE_NONE.rawValue))
                }
            }
        }
        try socket.perform(request, "turn off address generation on", on: name.text)
    }

    /// Gives the interface an address, and the route to its prefix.
    ///
    /// - Parameter checksForDuplicates: IPv6 only. Without the check the address can be used at once, which is right
    ///   where nobody else can have it, as behind WireGuard.
    /// - Throws: EEXIST if it has the address already.
    public mutating func addAddress(
        _ prefix: IPPrefix,
        to name: InterfaceName,
        checksForDuplicates: Bool = false
    ) throws(NetlinkError) {
        let operation = "add address \(prefix) to"
        guard let link = try link(named: name) else {
            throw .refused(operation: operation, object: name.text, errno: .noSuchDevice, text: nil)
        }
        var (header, bytes) = Self.addressHeader(prefix, link)
        if header.ifa_family == UInt8(AF_INET6), !checksForDuplicates { header.ifa_flags = UInt8(IFA_F_NODAD) }
        let request = try NetlinkMessage(
            type: UInt16(RTM_NEWADDR),
            flags: NLM_F_CREATE | NLM_F_EXCL,
            header: header
        ) { message throws(NetlinkError) in
            try message.put(Int(IFA_LOCAL), bytes: bytes)
            try message.put(Int(IFA_ADDRESS), bytes: bytes)
        }
        try socket.perform(request, operation, on: name.text)
    }

    /// A message about the interface of that name.
    private static func message(
        _ type: some BinaryInteger,
        _ name: InterfaceName,
        flags: Int32 = 0,
        header: ifinfomsg = ifinfomsg(),
        attributes: (inout MessageBuilder) throws(NetlinkError) -> Void = { _ in }
    ) throws(NetlinkError) -> NetlinkMessage {
        try NetlinkMessage(type: UInt16(type), flags: flags, header: header) { message throws(NetlinkError) in
            try message.put(Int(IFLA_IFNAME), text: name.text)
            try attributes(&message)
        }
    }
}
