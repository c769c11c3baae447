internal import CMNL
public import Netlink
public import NetworkAddresses
internal import SystemPackage

/// Whether packets for the neighbours of an interface have a way out.
extension LinkControl {
    /// The IPv6 addresses of an interface, each with the length of its prefix.
    public mutating func addresses(of interface: InterfaceIndex) throws(NetlinkError) -> [IPPrefix] {
        var header = ifaddrmsg()
        header.ifa_family = UInt8(AF_INET6)
        header.ifa_index = interface.number
        let request = try NetlinkMessage(type: UInt16(RTM_GETADDR), header: header) { _ in }
        return try socket.dump(request, "list the addresses of", on: "interface \(interface)", into: [IPPrefix]()) {
            found,
            reply throws(MalformedReply) in
            // The kernel tells those of all interfaces, unless it is asked to be strict (NETLINK_GET_STRICT_CHK).
            guard let address = try InterfaceAddress(reply), address.interface == interface,
                case .v6 = address.prefix.address
            else { return }
            found.append(address.prefix)
        }
    }

    /// Whether the kernel has a route to `destination` that leaves over this interface. It is asked for this one,
    /// whatever else its tables hold.
    public mutating func hasRoute(
        to destination: IPv6Address,
        over interface: InterfaceIndex
    ) throws(NetlinkError) -> Bool {
        var header = rtmsg()
        header.rtm_family = UInt8(AF_INET6)
        header.rtm_dst_len = 128
        let request = try NetlinkMessage(type: UInt16(RTM_GETROUTE), header: header) { message throws(NetlinkError) in
            try message.put(Int(RTA_DST.rawValue), bytes: destination.bytes)
            try message.put(Int(RTA_OIF.rawValue), interface.number)
        }
        var isReached = false
        do throws(NetlinkError) {
            try socket.perform(request, "look up a route over", on: "interface \(interface)") {
                reply throws(MalformedReply) in
                let (header, all) = try reply.parse(rtmsg.self)
                var attributes = all
                while let attribute = try attributes.next() {
                    guard attribute.type == Int(RTA_OIF.rawValue) else { continue }
                    isReached =
                        try attribute.number() == interface.number && header.rtm_type == UInt8(RTN_UNICAST)
                }
            }
        } catch {
            // Whatever the reason (ENETUNREACH, EACCES of a route that prohibits), there is no way.
            guard error.refusal != nil else { throw error }
            return false
        }
        return isReached
    }
}
