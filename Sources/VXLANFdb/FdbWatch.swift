internal import CMNL
public import Netlink
public import NetworkAddresses
public import SystemPackage

/// Tells of permanent entries that VXLAN interfaces get and lose, whoever puts them in or takes them out, in the
/// network namespace in which it was opened.
///
/// What interfaces learn from frames is kept out by a filter in the kernel: strangers can cause any number of those.
public struct FdbWatch: ~Copyable {
    /// Size of the kernel's buffer in bytes: room for some 8,000 entries. Whoever changes more at once has to take in
    /// the news in between, or gets ``FdbNews/missed``.
    static let receiveBuffer = 8 << 20

    private let subscription: NetlinkSubscription

    /// Everything that happens from now on is told. No right is needed.
    public init() throws(NetlinkError) {
        var filter = MessageFilter()
        filter.require(byte: UInt8(AF_BRIDGE), at: MessagePosition.family)
        filter.require(anyBitOf: UInt16(NUD_PERMANENT), at: MessagePosition.state)
        subscription = try NetlinkSubscription(.neighbours, filter: filter, receiveBuffer: Self.receiveBuffer)
    }

    /// Readable when there is something to tell.
    public var descriptor: FileDescriptor { subscription.descriptor }

    /// What happened since the last call, in its order, without waiting. If there is much, the descriptor stays
    /// readable.
    public func news() throws(NetlinkError) -> FdbNews {
        var changes: [FdbChange] = []
        let reception = try subscription.receive { message throws(MalformedReply) in
            if let change = try FdbChange(message) { changes.append(change) }
        }
        return reception.isWhole ? .changes(changes) : .missed
    }
}

/// What became of permanent entries.
public enum FdbNews: Hashable, Sendable {
    /// In their order.
    case changes([FdbChange])
    /// More than the kernel could keep.
    case missed
}

/// A permanent entry of a VXLAN interface appeared, or went.
public struct FdbChange: Hashable, Sendable {
    /// The VXLAN interface.
    public var device: InterfaceIndex
    public var entry: FdbEntry
    public var isGone: Bool

    public init(device: InterfaceIndex, entry: FdbEntry, isGone: Bool) {
        self.device = device
        self.entry = entry
        self.isGone = isGone
    }

    /// `nil` for a message about something else: bridges above, and entries without a destination (6.1 tells of a
    /// replacement a second time, without one).
    package init?(_ message: NetlinkReply) throws(MalformedReply) {
        guard [RTM_NEWNEIGH, RTM_DELNEIGH].contains(Int(message.type)),
            let (device, record) = try FdbRecord.told(by: message), record.isPermanent, let entry = record.entry
        else { return nil }
        self.init(device: device, entry: entry, isGone: Int(message.type) == RTM_DELNEIGH)
    }
}

extension FdbRecord {
    /// The record in a message about any interface's fdb; `nil` if the message is about something else.
    static func told(by message: NetlinkReply) throws(MalformedReply) -> (device: InterfaceIndex, record: FdbRecord)? {
        let (header, _) = try message.parse(ndmsg.self)
        guard header.ndm_family == UInt8(AF_BRIDGE),
            let device = InterfaceIndex(UInt32(bitPattern: header.ndm_ifindex)),
            let record = try FdbRecord(message, of: device)
        else { return nil }
        return (device, record)
    }
}

/// Where a message about an entry has what, in bytes from its start. Source: `struct nlmsghdr` of `linux/netlink.h`,
/// `struct ndmsg` of `linux/neighbour.h`, and the kernel's `vxlan_fdb_info`, which puts the MAC first and the
/// destination second.
enum MessagePosition {
    static let type = 4
    static let family = 16
    static let state = 24
    static let flags = 26
    /// The last eight bytes of an IPv6 destination.
    static let interfaceIdentifier = 52
}
