internal import CMNL
public import Netlink
public import NetworkAddresses
public import SystemCalls
public import SystemPackage
public import Time

/// Tells of entries that VXLAN interfaces learn from frames, in the network namespace in which it was opened.
///
/// The kernel tells once, with the first frame of a MAC that has no entry with this destination yet, or another one. A
/// frame that finds its entry is told by nothing (measured on 6.1 and 6.18).
///
/// A tunnel end can send frames from any number of MACs, thousands a second, and only the first one is news of it. So
/// one that teaches more than ``burst`` in ``window`` is kept out for ``silence`` by a filter in the kernel, which
/// holds ``silenced`` of them; and what comes is read at a limited rate: when there is more, the kernel drops it.
public struct LearningWatch: ~Copyable {
    /// Most entries of one tunnel end that are told in ``window``.
    public static let burst = 32
    public static let window = Duration.seconds(10)
    /// How long nothing is told of a tunnel end that was too loud.
    public static let silence = Duration.seconds(60)
    /// Most tunnel ends that are kept out at the same time; five instructions of the filter each.
    public static let silenced = 64
    /// After a call that found more than it takes, nothing is read for this time: 640 entries a second at most.
    public static let pause = Duration.milliseconds(100)
    /// Size of the kernel's buffer in bytes: some 200 entries.
    static let receiveBuffer = 1 << 18

    private let subscription: NetlinkSubscription
    private var counts: [IPv6Address: Int] = [:]
    /// Until when ``counts`` count; `nil` before the first entry.
    private var windowEnd: MonotonicTime?
    private var silences: [IPv6Address: MonotonicTime] = [:]
    /// When there is something to do although the descriptor is not to be watched; `nil` while it is to be.
    public private(set) var resumption: MonotonicTime?

    /// Everything that is learned from now on is told. No right is needed.
    public init() throws(NetlinkError) {
        subscription = try NetlinkSubscription(
            .neighbours,
            filter: Self.filter(without: []),
            receiveBuffer: Self.receiveBuffer
        )
    }

    /// Readable when there is something to tell. Not to be watched until ``resumption``.
    public var descriptor: FileDescriptor { subscription.descriptor }

    /// What was learned since the last call, without waiting.
    public mutating func news(at now: MonotonicTime = .now) throws(NetlinkError) -> LearningNews {
        resumption = nil
        var entries: [LearnedEntry] = []
        let reception = try subscription.receive { message throws(MalformedReply) in
            if let entry = try LearnedEntry(message) { entries.append(entry) }
        }
        if !reception.isDrained { resumption = now + Self.pause }
        try silence(those: entries, at: now)
        return LearningNews(entries: entries, isWhole: reception.isWhole)
    }

    private mutating func silence(those entries: [LearnedEntry], at now: MonotonicTime) throws(NetlinkError) {
        if windowEnd.map({ $0 <= now }) ?? true {
            counts.removeAll(keepingCapacity: true)
            windowEnd = now + Self.window
        }
        let old = silences.count
        silences = silences.filter { $0.value > now }
        var hasChanged = silences.count != old
        for entry in entries {
            let destination = entry.entry.destination
            counts[destination, default: 0] += 1
            guard counts[destination] == Self.burst, silences.count < Self.silenced else { continue }
            silences[destination] = now + Self.silence
            hasChanged = true
        }
        if hasChanged { try subscription.change(filter: Self.filter(without: silences.keys)) }
    }

    private static func filter(without destinations: some Collection<IPv6Address>) -> MessageFilter {
        var filter = MessageFilter()
        filter.require(byte: UInt8(AF_BRIDGE), at: MessagePosition.family)
        filter.require(number: UInt16(RTM_NEWNEIGH), at: MessagePosition.type)
        filter.require(number: UInt16(NUD_REACHABLE), at: MessagePosition.state)
        filter.require(anyBitOf: UInt8(NTF_SELF), at: MessagePosition.flags)
        for destination in destinations { filter.reject(destination.low, at: MessagePosition.interfaceIdentifier) }
        return filter
    }
}

/// What VXLAN interfaces learned.
public struct LearningNews: Hashable, Sendable {
    /// In their order.
    public var entries: [LearnedEntry]
    /// Whether the kernel could keep all.
    public var isWhole: Bool

    public init(entries: [LearnedEntry], isWhole: Bool) {
        self.entries = entries
        self.isWhole = isWhole
    }
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

    /// `nil` for a message about something else: neighbours of IP, bridges above, entries that somebody added (their
    /// state has other bits), the flood list.
    package init?(_ message: NetlinkReply) throws(MalformedReply) {
        guard Int(message.type) == RTM_NEWNEIGH, let (device, record) = try FdbRecord.told(by: message),
            record.isLearned, record.state == UInt16(NUD_REACHABLE), let entry = record.entry, entry.mac != .zero
        else { return nil }
        self.init(device: device, entry: entry)
    }
}
