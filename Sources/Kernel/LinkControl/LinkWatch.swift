internal import CMNL
public import Netlink
public import NetworkAddresses
public import SystemPackage

/// Tells of interfaces that appear, change, are renamed, get or lose an IPv6 address, or go, in the network namespace
/// in which it was opened.
public struct LinkWatch: ~Copyable {
    private let subscription: NetlinkSubscription

    /// Everything that happens from now on is told. No right is needed.
    public init() throws(NetlinkError) { subscription = try NetlinkSubscription(.links, .addresses) }

    /// Readable when there is something to tell.
    public var descriptor: FileDescriptor { subscription.descriptor }

    /// What happened since the last call, without waiting. If there is much, the descriptor stays readable.
    public func changes() throws(NetlinkError) -> LinkChanges {
        var changes: [LinkChange] = []
        let reception = try subscription.receive { message throws(MalformedReply) in
            guard let change = try LinkChange(message) else { return }
            changes.append(change)
        }
        return reception.isWhole ? .links(changes) : .missed
    }
}

/// News of interfaces.
public enum LinkChanges: Hashable, Sendable {
    /// In their order.
    case links([LinkChange])
    /// More than the kernel could keep: any interface may have changed.
    case missed
}

/// One interface appeared, changed, or went.
public struct LinkChange: Hashable, Sendable {
    public var index: InterfaceIndex
    /// Its name by now: after a renaming the new one. `nil` if only its addresses changed.
    public var name: InterfaceName?
    public var isGone: Bool

    public init(index: InterfaceIndex, name: InterfaceName?, isGone: Bool) {
        self.index = index
        self.name = name
        self.isGone = isGone
    }

    /// `nil` for a message about something else. A port that leaves its bridge is told by RTM_DELLINK too, of family
    /// AF_BRIDGE, and is not gone (measured).
    package init?(_ message: NetlinkReply) throws(MalformedReply) {
        if [RTM_NEWADDR, RTM_DELADDR].contains(Int(message.type)) {
            let (header, _) = try message.parse(ifaddrmsg.self)
            guard let index = InterfaceIndex(header.ifa_index) else { return nil }
            self.init(index: index, name: nil, isGone: false)
            return
        }
        guard [RTM_NEWLINK, RTM_DELLINK].contains(Int(message.type)) else { return nil }
        let (header, all) = try message.parse(ifinfomsg.self)
        guard header.ifi_family == UInt8(AF_UNSPEC) else { return nil }
        var attributes = all
        while let attribute = try attributes.next() {
            guard attribute.type == Int(IFLA_IFNAME) else { continue }
            guard let index = InterfaceIndex(UInt32(bitPattern: header.ifi_index)),
                let name = InterfaceName(attribute.text)
            else {
                throw MalformedReply("interface \(header.ifi_index) with the name \(attribute.text.debugDescription)")
            }
            self.init(index: index, name: name, isGone: Int(message.type) == RTM_DELLINK)
            return
        }
        return nil
    }
}
