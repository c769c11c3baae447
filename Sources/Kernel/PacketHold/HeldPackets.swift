public import NetworkAddresses
public import Time
public import WireGuardTypes

/// Packets that wait, in their order, for each peer whose addresses they go to. It does no I/O.
public struct HeldPackets: Sendable {
    /// What became of a packet.
    public enum Outcome: Hashable, Sendable {
        case held
        /// It is held, and was one too many: the hold of this peer is to end.
        case full(PublicKey)
        /// Nobody waits for it: it is to go on.
        case passed
        /// It is no packet, or one for this link only.
        case refused
    }

    /// The packets of one peer.
    public struct Hold: Sendable {
        public let prefixes: [IPPrefix]
        public let since: MonotonicTime
        /// Since when its packets leave; `nil` while they are kept.
        public internal(set) var releasedAt: MonotonicTime?
        /// How many packets and bytes were held in all.
        public internal(set) var packets = 0
        public internal(set) var bytes = 0
        fileprivate var queue: [[UInt8]] = []
        fileprivate var first = 0

        public var waiting: Int { queue.count - first }

        /// Packets that may leave at once, and again in each ``HoldLimits/burstInterval``.
        var burst: Int {
            let time = max((releasedAt ?? since) - since, HoldLimits.burstInterval)
            let pace = Double(2 * packets) / (time / HoldLimits.burstInterval)
            return min(max(Int(pace.rounded(.up)), HoldLimits.bursts.lowerBound), HoldLimits.bursts.upperBound)
        }
    }

    public private(set) var holds: [PublicKey: Hold] = [:]
    private var hosts: [IPv6Address: PublicKey] = [:]
    /// Packets and bytes that wait, of all.
    public private(set) var packets = 0
    public private(set) var bytes = 0

    public init() {}

    /// From now on packets to these prefixes wait.
    public mutating func begin(_ key: PublicKey, _ prefixes: [IPPrefix], at now: MonotonicTime) {
        precondition(holds[key] == nil, "a peer has one hold")
        holds[key] = Hold(prefixes: prefixes, since: now)
        for prefix in prefixes { if let host = prefix.host { hosts[host] = key } }
    }

    /// Takes a packet in, from its IP header on.
    public mutating func take(_ packet: [UInt8]) -> Outcome {
        guard let destination = Self.destination(of: packet) else { return .refused }
        guard let key = holder(of: destination) else {
            return destination.isMulticast || destination.isLinkLocal ? .refused : .passed
        }
        holds[key]?.queue.append(packet)
        holds[key]?.packets += 1
        holds[key]?.bytes += packet.count
        packets += 1
        bytes += packet.count
        return packets > HoldLimits.packets || bytes > HoldLimits.bytes ? .full(key) : .held
    }

    /// The packet that has waited longest, which stays.
    public func next(of key: PublicKey) -> [UInt8]? {
        guard let hold = holds[key], hold.waiting > 0 else { return nil }
        return hold.queue[hold.first]
    }

    /// Takes that packet out.
    public mutating func removeNext(of key: PublicKey) {
        guard let packet = next(of: key) else { return }
        packets -= 1
        bytes -= packet.count
        holds[key]?.first += 1
        // Not each time, for all others move.
        guard let first = holds[key]?.first, first >= 256 || holds[key]?.waiting == 0 else { return }
        holds[key]?.queue.removeFirst(first)
        holds[key]?.first = 0
    }

    public mutating func release(_ key: PublicKey, at now: MonotonicTime) {
        if holds[key]?.releasedAt == nil { holds[key]?.releasedAt = now }
    }

    /// Ends a hold, and drops what still waits.
    public mutating func end(_ key: PublicKey) {
        guard let hold = holds.removeValue(forKey: key) else { return }
        for packet in hold.queue[hold.first...] {
            packets -= 1
            bytes -= packet.count
        }
        for prefix in hold.prefixes {
            if let host = prefix.host, hosts[host] == key { hosts[host] = nil }
        }
    }

    private func holder(of destination: IPv6Address) -> PublicKey? {
        if let key = hosts[destination] { return key }
        return holds.first { $0.value.prefixes.contains { $0.contains(destination) } }?.key
    }

    /// IPv4 as a mapped address. Source: RFC 791, section 3.1; RFC 8200, section 3. Nothing else of a packet is read.
    static func destination(of packet: [UInt8]) -> IPv6Address? {
        switch packet.first.map({ $0 >> 4 }) {
        case 4 where packet.count >= 20: IPv4Address(bytes: packet[16..<20]).map { IPv6Address(mapping: $0) }
        case 6 where packet.count >= 40: IPv6Address(bytes: packet[24..<40])
        default: nil
        }
    }
}

extension IPPrefix {
    /// The address of a prefix that is one address; IPv4 as a mapped one.
    fileprivate var host: IPv6Address? {
        switch address {
        case .v4(let address): length == 32 ? IPv6Address(mapping: address) : nil
        case .v6(let address): length == 128 ? address : nil
        }
    }
}
