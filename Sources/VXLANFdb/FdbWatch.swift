internal import CMNL
public import Netlink
public import NetworkAddresses
public import SystemPackage

/// Tells of entries that VXLAN interfaces learn from frames, in the network namespace in which it was opened.
///
/// The kernel tells once, with the first frame of a MAC that has no entry with this destination yet, or another one. A frame
/// that finds its entry is told by nothing (measured on 6.1 and 6.18).
public struct FdbWatch: ~Copyable {
    private let subscription: NetlinkSubscription

    /// Everything that is learned from now on is told. No right is needed.
    public init() throws(NetlinkError) { subscription = try NetlinkSubscription(.neighbours) }

    /// Readable when there is something to tell, and when there is other news of neighbours.
    public var descriptor: FileDescriptor { subscription.descriptor }

    /// What was learned since the last call, without waiting. If there is much, the descriptor stays readable.
    public func news() throws(NetlinkError) -> FdbNews {
        var entries: [LearnedEntry] = []
        let isWhole = try subscription.receive { message throws(MalformedReply) in
            if let entry = try LearnedEntry(message) { entries.append(entry) }
        }
        return isWhole ? .learned(entries) : .missed
    }
}

/// What VXLAN interfaces learned.
public enum FdbNews: Hashable, Sendable {
    /// In their order.
    case learned([LearnedEntry])
    /// More than the kernel could keep.
    case missed
}

/// An entry that a VXLAN interface made by itself.
public struct LearnedEntry: Hashable, Sendable {
    /// The VXLAN interface.
    public var device: InterfaceIndex
    public var entry: FdbEntry

    public init(device: InterfaceIndex, entry: FdbEntry) {
        self.device = device
        self.entry = entry
    }

    /// `nil` for a message about something else: neighbours of IP, bridges above, entries that somebody put in (their
    /// state has other bits; 6.1 tells of a replacement a second time, without a destination), the flood list.
    package init?(_ message: NetlinkReply) throws(MalformedReply) {
        guard Int(message.type) == RTM_NEWNEIGH else { return nil }
        let (header, _) = try message.parse(ndmsg.self)
        guard header.ndm_family == UInt8(AF_BRIDGE),
            let device = InterfaceIndex(UInt32(bitPattern: header.ndm_ifindex)),
            let record = try FdbRecord(message, of: device), record.isLearned, record.state == UInt16(NUD_REACHABLE),
            let entry = record.entry, entry.mac != .zero
        else { return nil }
        self.init(device: device, entry: entry)
    }
}
