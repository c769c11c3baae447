import Keys
import LinkFacts
import LinkKeeper
public import LinkMember
public import NetworkAddresses
import PathProbe
public import Time
public import WireGuardTypes

/// A machine with one WireGuard interface, and the program under test if it runs.
public final class VirtualMachine {
    public let name: String
    public let privateKey: PrivateKey
    public let wireGuard: WireGuardModel
    /// In the tunnel.
    public let tunnelAddress: IPv4Address
    private(set) public var address: IPv4Address
    public let site: Site
    let underlay: Underlay
    let clock: VirtualClock
    public private(set) var member: LinkMember?
    public var settings = LinkSettings()
    /// Changes that the keeper refuses.
    public var refuses: (PeerChange) -> Bool = { _ in false }
    /// Whether the keeper can hold packets.
    public var holds = true
    /// What is held, by peer, since when, and what waits.
    private var held: [PublicKey: (prefixes: [IPPrefix], number: Int, packets: [InnerPacket])] = [:]
    private var holdNumber = 0
    /// How long packets were held, for each hold that has ended.
    public private(set) var holdTimes: [Duration] = []
    private var holdStarts: [PublicKey: MonotonicTime] = [:]
    /// How long the keeper takes for a change.
    public var changeDelay = Duration.milliseconds(1)
    /// Names that were to be looked up, with their times.
    public private(set) var lookups: [(time: MonotonicTime, name: HostPort)] = []
    /// Lines of the log, with their times.
    public private(set) var notices: [(time: MonotonicTime, notice: LinkNotice)] = []
    /// Datagrams and bytes that the program has sent, in the tunnel and outside.
    public private(set) var sentDatagrams = 0
    public private(set) var sentBytes = 0
    /// Probes that were sent, for each destination.
    public private(set) var probes: [Endpoint: Int] = [:]

    /// Peers that the program made.
    private var made: Set<PublicKey> = []
    /// Whether a firewall keeps packets away from the ports of the relay.
    public var hidesRelay = false
    private var relayPorts: [PublicKey: UInt16] = [:]
    public var relayPortCount: Int { relayPorts.count }
    private var relayEnds: [End: Endpoint] = [:]
    private var nextRelayPort: UInt16 = 50_000
    private var readInterval = Duration.seconds(5)
    private var readNumber = 0
    private var wakeNumber = 0
    /// What was pinged, by number.
    private var answered: Set<Int> = []
    private var pings = 0
    /// Whether routers send pings of other machines on: the kernel's forwarding.
    public var forwards = false
    /// Packets of this machine in the tunnel that no program of links sent, by source.
    public var onPacket: (InnerPacket) -> Void = { _ in }

    private struct End: Hashable {
        var member: PublicKey
        var towards: PublicKey
    }

    static let pingPort: UInt16 = 1
    static let pongPort: UInt16 = 2

    public init(
        _ name: String,
        at address: String,
        tunnel: String,
        in site: Site,
        _ underlay: Underlay,
        listenPort: UInt16 = 51_820
    ) {
        self.name = name
        self.site = site
        self.underlay = underlay
        clock = underlay.clock
        privateKey = PrivateKey()
        guard let address = IPv4Address(address), let tunnel = IPv4Address(tunnel) else {
            preconditionFailure("addresses of a test")
        }
        self.address = address
        tunnelAddress = tunnel
        wireGuard = WireGuardModel(publicKey: privateKey.publicKey, listenPort: listenPort, clock: clock)
        underlay.place(address, in: site)
        wireGuard.send = { [weak self] message, size, endpoint in
            guard let self, !isAsleep else { return }
            self.underlay.send([UInt8](repeating: 4, count: size), message, from: self.endpoint, to: endpoint)
        }
        wireGuard.receive = { [weak self] packet, key in self?.take(packet, from: key) }
        listen(at: endpoint)
    }

    public var key: PublicKey { privateKey.publicKey }
    public var endpoint: Endpoint { .v4(address, port: wireGuard.listenPort) }
    public var isRunning: Bool { member != nil }

    /// The machine is there too.
    ///
    /// - Returns: where WireGuard is reached then.
    public func addAddress(_ text: String) -> Endpoint {
        guard let address = IPv4Address(text) else { preconditionFailure("an address of a test") }
        underlay.place(address, in: site)
        let endpoint = Endpoint.v4(address, port: wireGuard.listenPort)
        listen(at: endpoint)
        return endpoint
    }

    private func listen(at endpoint: Endpoint) {
        underlay.listen(at: endpoint) { [weak self] source, bytes, payload in
            guard let self, !isAsleep else { return }
            if let message = payload as? WireGuardModel.Message {
                wireGuard.take(message, size: bytes.count, from: source)
            } else {
                happened(.probe(bytes, from: source, at: .wireGuard))
            }
        }
    }

    /// Takes another address, as a laptop that is carried away.
    public func move(to address: String) {
        guard let new = IPv4Address(address) else { preconditionFailure("an address of a test") }
        underlay.close(endpoint)
        underlay.remove(self.address)
        self.address = new
        underlay.place(new, in: site)
        listen(at: endpoint)
        read()
    }

    /// Whether it sleeps: then it neither sends nor receives, and nothing runs.
    public private(set) var isAsleep = false

    /// Sleeps, and wakes without sessions.
    ///
    /// - Parameter isNoticed: whether the program is told.
    public func sleep(for span: Duration, isNoticed: Bool = true) {
        isAsleep = true
        clock.after(span) { [self] in
            isAsleep = false
            wireGuard.forgetSessions()
            if isNoticed { happened(.resumed) }
            proceed()
            read()
        }
    }

    // The program

    public func start() {
        member = LinkMember(settings: settings, seesTraffic: settings.linksOnDemand)
        readInterval = .seconds(5)
        read()
    }

    /// The program ends as it should.
    public func stop() {
        guard var member else { return }
        let work = member.leave(at: clock.now)
        self.member = nil
        carryOut(work)
    }

    /// The program is gone, and what is done after it takes away the peers that it made.
    ///
    /// - Parameter saysFarewell: whether the others get to know.
    public func kill(saysFarewell: Bool = false) {
        member = nil
        var random = SystemRandomNumberGenerator()
        let farewell = Farewell(from: privateKey, peers: wireGuard.state, made: made, using: &random)
        wireGuard.apply(made.map { .remove($0) })
        made = []
        for key in heldPeers { release(key) }
        guard saysFarewell else { return }
        let port = wireGuard.listenPort + 1
        for word in farewell.forwarded {
            wireGuard.transmit(
                InnerPacket(from: key.memberAddress, to: word.address, port: port, bytes: word.bytes)
            )
        }
    }

    /// Somebody else has the machine now: with all keys of the program, and with its peers, and he does what he likes.
    public func seize() -> LinkMember? {
        defer { member = nil }
        return member
    }

    /// Sends bytes from the facts port to another machine's, through the tunnel.
    public func sendFacts(_ bytes: [UInt8], to other: VirtualMachine) {
        let port = other.wireGuard.listenPort + 1
        wireGuard.transmit(InnerPacket(from: key.memberAddress, to: other.key.memberAddress, port: port, bytes: bytes))
    }

    /// Sends a probe from an address that is another machine's, or nobody's.
    public func sendProbe(_ bytes: [UInt8], from source: Endpoint, to other: VirtualMachine) {
        underlay.sendForged(bytes, from: source, to: other.endpoint)
    }

    public func status() -> [PublicKey: MemberStatus] {
        let members = member?.status(at: clock.now).members ?? []
        return Dictionary(members.map { ($0.key, $0) }) { first, _ in first }
    }

    private var snapshot: DeviceSnapshot {
        DeviceSnapshot(
            publicKey: key,
            listenPort: wireGuard.listenPort,
            peers: wireGuard.state,
            madePeers: made,
            wallClock: clock.wallClock,
            tunnelAddresses: [IPPrefix(.v4(tunnelAddress), length: 24)!],
            underlayAddresses: [
                UnderlayAddress(interface: InterfaceName("eth0")!, address: IPPrefix(.v4(address), length: 24)!)
            ]
        )
    }

    /// The interface is read, now and then.
    private func read() {
        readNumber += 1
        let number = readNumber
        guard isRunning, !isAsleep else { return }
        happened(.device(snapshot))
        clock.after(readInterval) { [weak self] in
            guard let self, number == readNumber else { return }
            read()
        }
    }

    private func happened(_ event: LinkEvent) {
        guard member != nil, !isAsleep else { return }
        member?.take(event, at: clock.now)
        proceed()
    }

    /// How often the program was woken.
    public private(set) var wakeups = 0

    private func proceed() {
        guard !isAsleep else { return }
        wakeups += 1
        guard let work = member?.work(at: clock.now) else { return }
        carryOut(work)
        wakeNumber += 1
        let number = wakeNumber
        guard let next = member?.nextDeadline else { return }
        clock.at(next) { [weak self] in
            guard let self, number == wakeNumber else { return }
            proceed()
        }
    }

    private func carryOut(_ work: [LinkWork]) {
        for item in work {
            switch item {
            case .change(let changes):
                clock.after(changeDelay) { [weak self] in
                    guard let self else { return }
                    let refused = changes.filter(refuses)
                    apply(changes.filter { !refused.contains($0) })
                    for change in refused { happened(.refused(change.publicKey, reason: "as the test wants")) }
                    let done = Set(changes.map(\.publicKey)).subtracting(refused.map(\.publicKey))
                    if !done.isEmpty { happened(.changed(Array(done))) }
                }
            case .hold(let key, let prefixes):
                clock.after(changeDelay) { [weak self] in self?.hold(key, prefixes) }
            case .release(let key): clock.after(changeDelay) { [weak self] in self?.release(key) }
            case .secretWanted(let other):
                clock.after(changeDelay) { [weak self] in
                    guard let self else { return }
                    happened(.secret(other, try? privateKey.sharedSecret(with: other)))
                }
            case .datagram(let bytes, let destination, let port):
                sentDatagrams += 1
                sentBytes += bytes.count
                wireGuard.transmit(InnerPacket(from: key.memberAddress, to: destination, port: port, bytes: bytes))
            case .probe(let bytes, let destination, let port):
                sentDatagrams += 1
                sentBytes += bytes.count
                probes[destination, default: 0] += 1
                guard let source = source(of: port) else { continue }
                underlay.send(bytes, from: source, to: destination)
            case .openRelayPort(let other): openRelayPort(other)
            case .closeRelayPort(let other):
                if let port = relayPorts.removeValue(forKey: other) { underlay.close(.v4(address, port: port)) }
            case .relayEnd(let other, let endpoint, let towards):
                relayEnds[End(member: other, towards: towards)] = endpoint
            case .forgetRelay(let one, let other):
                relayEnds[End(member: one, towards: other)] = nil
                relayEnds[End(member: other, towards: one)] = nil
            case .read(let interval):
                readInterval = interval
                clock.after(interval) { [weak self, readNumber] in
                    if self?.readNumber == readNumber { self?.read() }
                }
            case .readNow: clock.after(changeDelay) { [weak self] in self?.read() }
            case .lookUp(let name): lookups.append((clock.now, name))
            case .log(let notice): notices.append((clock.now, notice))
            }
        }
    }

    private func hold(_ key: PublicKey, _ prefixes: [IPPrefix]) {
        guard holds, made.contains(key) else {
            happened(.notHeld(key, reason: "as the test wants"))
            return
        }
        holdNumber += 1
        let number = holdNumber
        held[key] = (prefixes, number, [])
        holdStarts[key] = clock.now
        // The keeper's own limit.
        clock.after(.seconds(1)) { [weak self] in if self?.held[key]?.number == number { self?.release(key) } }
        happened(.held(key))
    }

    private func release(_ key: PublicKey) {
        guard let hold = held.removeValue(forKey: key) else { return }
        if let start = holdStarts.removeValue(forKey: key) { holdTimes.append(clock.now - start) }
        for packet in hold.packets { wireGuard.transmit(packet) }
    }

    /// Peers whose packets are held.
    public var heldPeers: Set<PublicKey> { Set(held.keys) }

    /// Sends a packet into the interface, or holds it.
    private func transmit(_ packet: InnerPacket) {
        if let key = held.first(where: { $0.value.prefixes.contains { $0.contains(packet.destination) } })?.key {
            held[key]?.packets.append(packet)
        } else {
            wireGuard.transmit(packet)
        }
    }

    private func apply(_ changes: [PeerChange]) {
        let operators = Set(wireGuard.state.map(\.publicKey)).subtracting(made)
        for change in changes {
            switch change {
            case .add(let settings) where !operators.contains(settings.publicKey): made.insert(settings.publicKey)
            case .remove(let key): made.remove(key)
            default: break
            }
        }
        wireGuard.apply(changes)
    }

    private func source(of port: ProbePort) -> Endpoint? {
        switch port {
        case .wireGuard: endpoint
        case .relay(let other): relayPorts[other].map { .v4(address, port: $0) }
        }
    }

    private func openRelayPort(_ other: PublicKey) {
        nextRelayPort += 1
        let port = nextRelayPort
        relayPorts[other] = port
        underlay.listen(at: .v4(address, port: port)) { [weak self] source, bytes, payload in
            guard let self, isRunning, !hidesRelay else { return }
            guard let payload else {
                happened(.probe(bytes, from: source, at: .relay(other)))
                return
            }
            // Of whom it is says where it came from.
            guard let sender = relayEnds.first(where: { $0.key.towards == other && $0.value == source })?.key.member,
                let destination = relayEnds[End(member: other, towards: sender)], let out = relayPorts[sender]
            else { return }
            underlay.send(bytes, payload, from: .v4(address, port: out), to: destination)
        }
        clock.after(.microseconds(100)) { [weak self] in self?.happened(.relayPort(other, port)) }
    }

    // Traffic in the tunnel

    /// One of so many packets is seen by the program.
    static let sample = 16
    private var packets = 0

    private func see(_ address: IPv6Address) {
        packets += 1
        if settings.linksOnDemand, packets % Self.sample == 0 { happened(.traffic([address])) }
    }

    private func take(_ packet: InnerPacket, from key: PublicKey) {
        if packet.source != key.memberAddress { see(packet.source) }
        let own = IPv6Address(mapping: tunnelAddress)
        if packet.destination == self.key.memberAddress {
            happened(.datagram(packet.bytes, from: packet.source, port: packet.port))
        } else if packet.destination != own {
            if forwards { transmit(packet) }
        } else if packet.port == Self.pingPort {
            var answer = packet
            (answer.source, answer.destination, answer.port) = (own, packet.source, Self.pongPort)
            transmit(answer)
        } else if packet.port == Self.pongPort {
            answered.insert(Int(packet.bytes[0]) << 16 | Int(packet.bytes[1]) << 8 | Int(packet.bytes[2]))
        }
        onPacket(packet)
    }

    /// Pings another machine at a rate, and tells which were not answered.
    public final class Pings {
        public fileprivate(set) var sent: [(number: Int, time: MonotonicTime)] = []
        fileprivate var isOver = false
        public func stop() { isOver = true }
    }

    public func ping(_ other: VirtualMachine, each interval: Duration) -> Pings {
        let pings = Pings()
        pingNext(other, interval, pings)
        return pings
    }

    private func pingNext(_ other: VirtualMachine, _ interval: Duration, _ pings: Pings) {
        guard !pings.isOver else { return }
        self.pings += 1
        let number = self.pings
        pings.sent.append((number, clock.now))
        let bytes = [UInt8(number >> 16 & 255), UInt8(number >> 8 & 255), UInt8(number & 255)]
        see(IPv6Address(mapping: other.tunnelAddress))
        transmit(
            InnerPacket(
                from: IPv6Address(mapping: tunnelAddress),
                to: IPv6Address(mapping: other.tunnelAddress),
                port: Self.pingPort,
                bytes: bytes + [UInt8](repeating: 0, count: 61)
            )
        )
        clock.after(interval) { [weak self] in self?.pingNext(other, interval, pings) }
    }

    /// The times of the pings that were not answered, of those that were sent long enough ago.
    public func lost(_ pings: Pings, within: Duration = .seconds(1)) -> [MonotonicTime] {
        pings.sent.filter { $0.time + within < clock.now && !answered.contains($0.number) }.map(\.time)
    }
}
