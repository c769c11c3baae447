internal import Firewall
public import NetworkAddresses
internal import SystemCalls
public import SystemPackage
public import Time
public import WireGuardTypes

/// Keeps back what this machine sends to some prefixes through an interface, for a moment in which nothing of it would
/// arrive, and then sends it there in its order: what this machine sends itself, and what it forwards.
///
/// nftables diverts the packets at the interface's egress to a TUN device, and what is read from that goes back into the
/// interface by a packet socket (Linux 5.16, measured with 6.1 and 6.18). A hold ends by itself at ``HoldLimits/time``,
/// or when more waits than may. If the process dies, the kernel ends it at once; if it hangs, after 2 s.
public struct PacketHold: ~Copyable {
    /// How a hold ended.
    public struct End: Hashable, Sendable {
        public enum Reason: Hashable, Sendable {
            case released, time, full
        }

        public let key: PublicKey
        public let reason: Reason
        /// Packets that were held, and that could not be sent in the end.
        public let packets: Int
        public let lost: Int
        public let time: Duration
    }

    private var device: HoldDevice
    private let sender: PacketSender
    private let firewall: Firewall
    private var rules: HoldRules
    private var held = HeldPackets()
    private var reasons: [PublicKey: End.Reason] = [:]
    private var lost: [PublicKey: Int] = [:]
    private var nextBurst: MonotonicTime?
    private var lastUse: MonotonicTime

    /// Makes all that a hold needs, and holds nothing yet.
    public init(_ interface: InterfaceName, index: InterfaceIndex, at now: MonotonicTime) throws(HoldError) {
        let device = try HoldDevice()
        guard let rules = HoldRules(interface: interface, index: index, device: device.name) else {
            throw .unusableName(interface)
        }
        let sender = try failing(as: HoldError.system) { () throws(SystemCallError) in
            try PacketSender(interface, index: index, mark: HoldRules.mark)
        }
        let firewall = try failing(as: HoldError.firewall) { () throws(FirewallError) in
            let firewall = try Firewall()
            try firewall.run(rules.creation, "hold packets of", interface.text)
            return firewall
        }
        self.device = device
        self.sender = sender
        self.firewall = firewall
        self.rules = rules
        lastUse = now
    }

    /// Readable while packets wait to be taken in: watch it, and call ``receive(at:)``.
    public var descriptor: FileDescriptor { device.descriptor }

    /// Whose packets are held.
    public var peers: Set<PublicKey> { Set(held.holds.keys) }

    /// How many packets of a peer wait.
    func waiting(_ key: PublicKey) -> Int { held.holds[key]?.waiting ?? 0 }

    /// Whether nothing has been held for so long that all this may go.
    public func isIdle(at now: MonotonicTime) -> Bool {
        held.holds.isEmpty && lastUse + HoldLimits.idleTime <= now
    }

    /// When ``advance(at:)`` or ``isIdle(at:)`` has something to do.
    public var nextDeadline: MonotonicTime {
        guard !held.holds.isEmpty else { return lastUse + HoldLimits.idleTime }
        let limits = held.holds.values.filter { $0.releasedAt == nil }.map { $0.since + HoldLimits.time }
        return (limits + [nextBurst].compactMap(\.self)).min() ?? lastUse
    }

    /// Holds what goes to these prefixes, for a peer that has no hold.
    public mutating func begin(_ key: PublicKey, _ prefixes: [IPPrefix], at now: MonotonicTime) throws(HoldError) {
        guard held.holds[key] == nil, !prefixes.isEmpty else { return }
        guard held.holds.count < HoldLimits.holds else { throw .tooManyHolds }
        guard prefixes.count <= HoldLimits.prefixes else { throw .tooManyPrefixes(prefixes.count) }
        let (commands, new) = rules.holding(prefixes)
        try run(commands, "hold packets of")
        rules.note(new)
        held.begin(key, prefixes, at: now)
        lastUse = now
    }

    /// The packets of a peer leave, and are held no longer. Those that come meanwhile leave behind them.
    public mutating func release(_ key: PublicKey, at now: MonotonicTime) { release(key, .released, at: now) }

    private mutating func release(_ key: PublicKey, _ reason: End.Reason, at now: MonotonicTime) {
        guard let hold = held.holds[key], hold.releasedAt == nil else { return }
        reasons[key] = reason
        held.release(key, at: now)
        nextBurst = now
    }

    /// Takes in what was diverted.
    public mutating func receive(at now: MonotonicTime) throws(HoldError) {
        for _ in 0..<HoldLimits.packetsPerRound { guard try receiveOne(at: now) else { return } }
    }

    private mutating func receiveOne(at now: MonotonicTime) throws(HoldError) -> Bool {
        let packet: [UInt8]
        do throws(SystemCallError) {
            guard let next = try device.read() else { return false }
            packet = next
        } catch {
            throw .system(error)
        }
        switch held.take(packet) {
        case .held, .refused: break
        case .full(let key): release(key, .full, at: now)
        // It was on its way when its hold ended.
        case .passed: _ = try? sender.send(packet)
        }
        return true
    }

    /// Does what is due, and says which holds ended.
    public mutating func advance(at now: MonotonicTime) throws(HoldError) -> [End] {
        for (key, hold) in held.holds where hold.releasedAt == nil && hold.since + HoldLimits.time <= now {
            release(key, .time, at: now)
        }
        guard let next = nextBurst, next <= now else { return [] }
        nextBurst = nil
        var ends: [End] = []
        var failure: HoldError?
        for (key, hold) in held.holds {
            guard let releasedAt = hold.releasedAt else { continue }
            let isLate = releasedAt + HoldLimits.releaseTime <= now
            send(of: key, atMost: hold.burst)
            guard held.holds[key]?.waiting == 0 || isLate else {
                nextBurst = now + HoldLimits.burstInterval
                continue
            }
            do throws(HoldError) {
                try finish(key, hold, at: now)
            } catch {
                failure = error
            }
            if let end = end(key, at: now) { ends.append(end) }
        }
        lastUse = now
        if let failure { throw failure }
        return ends
    }

    /// Ends a hold whose packets have left. Those that came between the last one and the end of the rule leave now; what
    /// is sent right after it may overtake them. To end the rule takes 0.1 ms (measured).
    private mutating func finish(_ key: PublicKey, _ hold: HeldPackets.Hold, at now: MonotonicTime) throws(HoldError) {
        defer { send(of: key, atMost: .max) }
        // What is there already comes before that.
        try receive(at: now)
        send(of: key, atMost: .max)
        do throws(HoldError) {
            try run(rules.ending(hold.prefixes), "end a hold of")
        } catch {
            // This process has slept, and the kernel has done it.
            guard hold.since + HoldLimits.timeout <= now else { throw error }
        }
        while try receiveOne(at: now), held.packets <= HoldLimits.packets {}
    }

    private func run(_ commands: [String], _ operation: String) throws(HoldError) {
        do throws(FirewallError) {
            try firewall.run(commands, operation, rules.interface.text)
        } catch {
            throw .firewall(error)
        }
    }

    private mutating func end(_ key: PublicKey, at now: MonotonicTime) -> End? {
        guard let hold = held.holds[key] else { return nil }
        held.end(key)
        return End(
            key: key,
            reason: reasons.removeValue(forKey: key) ?? .released,
            packets: hold.packets,
            lost: (lost.removeValue(forKey: key) ?? 0) + hold.waiting,
            time: now - hold.since
        )
    }

    private mutating func send(of key: PublicKey, atMost count: Int) {
        for _ in 0..<min(count, HoldLimits.packets) {
            guard let packet = held.next(of: key) else { return }
            do throws(SystemCallError) {
                guard try sender.send(packet) else { return }
            } catch {
                // Too long for the interface, or the interface is down.
                lost[key, default: 0] += 1
            }
            held.removeNext(of: key)
        }
    }
}
