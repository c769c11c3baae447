public import EventLoop
internal import NetworkAddresses
public import PathProbe
internal import SourceLimits
public import SystemCalls
internal import SystemPackage
public import Time
public import WireGuardTypes

/// Forwards packets between members that cannot reach each other, and sees nothing of what is in them.
///
/// Each member has a UDP port here. What A sends to the port of B leaves from the port of A to B: so each of the two
/// has one place for the other, and WireGuard's session is theirs. Where A is when it sends to the port of B is learned
/// from an authentic probe of A at that port, and from nothing else. So B gets packets of A only after B itself has
/// asked at the port of A. Everything else is dropped, unanswered.
public struct Relay: ~Copyable {
    /// A pair that nothing was heard of for so long is forgotten.
    public static let idleLimit = Duration.seconds(180)
    /// Time between two looks at which those are.
    static let sweepInterval = Duration.seconds(30)

    final class Port {
        let member: PublicKey
        let number: UInt16
        let descriptor: OwnedDescriptor

        init(_ member: PublicKey, _ number: UInt16, _ descriptor: consuming OwnedDescriptor) {
            self.member = member
            self.number = number
            self.descriptor = descriptor
        }
    }

    public let limits: RelayLimits
    public private(set) var counts = RelayCounts()
    private let range: ClosedRange<UInt16>?
    private let firstToken: UInt64
    var ports: [Port?] = []
    var slots: [PublicKey: Int] = [:]
    var pairs = RelayPairs()
    let batch = RelayBatch()
    private var nextSweep: MonotonicTime?

    /// - Parameters:
    ///   - range: which ports members get; `nil` lets the kernel choose.
    ///   - firstToken: of the events of this relay, which has as many of them as ``RelayLimits/ports`` says.
    public init(range: ClosedRange<UInt16>? = nil, firstToken: UInt64, limits: RelayLimits = .standard) {
        self.range = range
        self.firstToken = firstToken
        self.limits = limits
    }

    /// How many members have a port.
    public var portCount: Int { slots.count }
    /// How many pairs there are, those included of which only one side was heard.
    public var pairCount: Int { pairs.count }

    // MARK: - Ports

    /// The port of a member; `nil` if it has none.
    public func port(of member: PublicKey) -> UInt16? { slots[member].flatMap { ports[$0]?.number } }

    /// Gives a member a port, or says which it has.
    ///
    /// - Returns: `nil` if there are as many as the limit says, or none of the range is free.
    /// - Throws: EMFILE, ENFILE and other errors of the machine.
    public mutating func open(for member: PublicKey, on loop: borrowing EventLoop) throws(SystemCallError) -> UInt16? {
        if let port = port(of: member) { return port }
        guard slots.count < limits.ports, let descriptor = try freePort() else { return nil }
        guard let number = try Socket.localAddress(of: descriptor.raw).endpoint?.port else { return nil }
        let slot = ports.firstIndex { $0 == nil } ?? ports.count
        try loop.watch(descriptor.raw, for: .readable, token: firstToken + UInt64(slot))
        let port = Port(member, number, descriptor)
        if slot == ports.count { ports.append(port) } else { ports[slot] = port }
        slots[member] = slot
        return number
    }

    private borrowing func freePort() throws(SystemCallError) -> OwnedDescriptor? {
        guard let range else { return try RelayPort.open(0) }
        // From anywhere on, so that a port that was given back is not the next one's at once.
        let start = Int.random(in: 0..<range.count)
        for step in 0..<range.count {
            let port = range.lowerBound + UInt16((start + step) % range.count)
            do throws(SystemCallError) {
                return try RelayPort.open(port)
            } catch  where error.errno == .addressInUse {}
        }
        return nil
    }

    /// Takes a member's port away, with all its pairs.
    public mutating func close(_ member: PublicKey) {
        guard let slot = slots.removeValue(forKey: member) else { return }
        ports[slot] = nil
        pairs.remove(of: member, slot: slot)
    }

    // MARK: - Packets

    /// Whether an event is of this relay.
    public func owns(_ token: UInt64) -> Bool { token >= firstToken && token - firstToken < UInt64(limits.ports) }

    /// Takes what came to a port, at most 64 packets; the event loop tells of more.
    ///
    /// - Parameter table: of this machine, for the probes.
    public mutating func serve(_ token: UInt64, probes table: inout ProbeTable, at now: MonotonicTime) {
        forward(token, at: now) { relay, index, source, port, slot in
            relay.answer(index, from: source, at: port, slot, &table, now)
        }
    }

    /// Takes what came to a port, and forwards what is no probe.
    ///
    /// - Parameter probe: takes a probe, which is packet `index`, from `source`. Returns whether an answer is in its place.
    mutating func forward(
        _ token: UInt64,
        at now: MonotonicTime,
        _ probe: (inout Relay, _ index: Int, _ source: RelayAddress, Port, _ slot: Int) -> Bool
    ) {
        let slot = Int(token - firstToken)
        guard slot < ports.count, let port = ports[slot] else { return }
        let sinceStart = now.sinceStart
        var out: Int?
        for index in 0..<batch.receive(from: port.descriptor.raw) {
            guard let length = batch.length(index) else {
                counts.lost += 1
                continue
            }
            let source = batch.source(index)
            if length == Probe.length, batch.withBytes(index, { Probe.isProbe($0) }) {
                guard probe(&self, index, source, port, slot) else { continue }
                send(index, by: slot, last: &out)
                batch.queue(index, to: source, from: batch.local(index))
                continue
            }
            guard let route = pairs.route(from: source, at: slot), let way = pairs.way(route, slots: slots) else {
                counts.strangers += 1
                continue
            }
            guard pairs.take(route.pair, length, limits, at: sinceStart, now) else {
                counts.limited += 1
                continue
            }
            counts.forwardedPackets += 1
            counts.forwardedBytes += UInt64(length)
            send(index, by: way.slot, last: &out)
            batch.queue(index, to: way.address, from: way.local)
        }
        flush(out)
    }

    /// Sends what is queued before a packet that leaves by another port.
    private mutating func send(_ index: Int, by slot: Int, last: inout Int?) {
        if last != slot { flush(last) }
        last = slot
    }

    private mutating func flush(_ slot: Int?) {
        guard let slot, let port = ports[slot] else { return }
        counts.lost += UInt64(batch.flush(over: port.descriptor.raw))
    }

    /// Reads a probe, learns where its sender is, and puts the answer in its place.
    private mutating func answer(
        _ index: Int,
        from source: RelayAddress,
        at port: Port,
        _ slot: Int,
        _ table: inout ProbeTable,
        _ now: MonotonicTime
    ) -> Bool {
        let event: ProbeTable.Event? = batch.withBytes(index) { try? table.read($0, from: source.endpoint, at: now) }
        guard case .request(let sender, let answer)? = event else {
            counts.strangers += 1
            return false
        }
        learn(sender, at: source, local: batch.local(index), port, slot, now)
        guard let answer else {
            counts.limited += 1
            return false
        }
        counts.answers += 1
        batch.replace(index, with: answer)
        return true
    }

    /// Notes where a member is when it sends to the port of another.
    mutating func learn(
        _ sender: PublicKey,
        at source: RelayAddress,
        local: IPv6Address?,
        _ port: Port,
        _ slot: Int,
        _ now: MonotonicTime
    ) {
        guard sender != port.member else { return }
        if pairs.count >= limits.pairs { pairs.expire(at: now) }
        pairs.learn(sender, at: source, local: local, port.member, slot, limits, now)
        if nextSweep == nil { nextSweep = now + Self.sweepInterval }
    }

    // MARK: - Time

    /// When ``expire(at:)`` has something to do; `nil` if there is no pair.
    public var nextDeadline: MonotonicTime? { nextSweep }

    /// Forgets pairs that are idle.
    public mutating func expire(at now: MonotonicTime) {
        guard let due = nextSweep, due <= now else { return }
        pairs.expire(at: now)
        nextSweep = pairs.count == 0 ? nil : now + Self.sweepInterval
    }
}
