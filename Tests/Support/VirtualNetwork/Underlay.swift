public import NetworkAddresses
import Time

/// What a router between a site and the internet does with UDP. Source: the terms of RFC 4787.
public enum NATKind: String, CaseIterable, Sendable {
    /// No router: each machine has an address of its own.
    case none
    /// Whoever sends to the mapping gets in.
    case full
    /// Who was sent to, from any port.
    case restricted
    /// Who was sent to, from that port.
    case portRestricted
    /// As ``portRestricted``, and each destination has a mapping of its own.
    case symmetric
}

/// Where machines share a network, and a router if there is one.
public final class Site {
    public let name: String
    public let kind: NATKind
    /// Of the router.
    public let address: IPv4Address?
    /// One way to the middle of the internet.
    public var delay: Duration
    /// How long a mapping lives without a packet from inside.
    public var mappingLifetime = Duration.seconds(30)

    struct Mapping {
        var inside: Endpoint
        /// Only for ``NATKind/symmetric``.
        var destination: Endpoint?
        var outside: UInt16
        var lastUse: MonotonicTime
        /// To whom a packet went, and when last.
        var sentTo: [Endpoint: MonotonicTime] = [:]
    }

    var mappings: [Mapping] = []
    private var nextPort: UInt16 = 40_000

    init(name: String, kind: NATKind, address: IPv4Address?, delay: Duration) {
        self.name = name
        self.kind = kind
        self.address = address
        self.delay = delay
    }

    /// The source of a packet outside.
    func translate(_ source: Endpoint, to destination: Endpoint, at now: MonotonicTime) -> Endpoint {
        guard kind != .none, let address else { return source }
        mappings.removeAll { $0.lastUse + mappingLifetime < now }
        let index =
            mappings.firstIndex {
                $0.inside == source && ($0.destination == nil || $0.destination == destination)
            }
        if let index {
            mappings[index].lastUse = now
            mappings[index].sentTo[destination] = now
            return .v4(address, port: mappings[index].outside)
        }
        // Ports are kept where it is possible, as Linux does; a symmetric router never does.
        var port = source.port
        if kind == .symmetric || mappings.contains(where: { $0.outside == port }) {
            nextPort += 7
            port = nextPort
        }
        mappings.append(
            Mapping(
                inside: source,
                destination: kind == .symmetric ? destination : nil,
                outside: port,
                lastUse: now,
                sentTo: [destination: now]
            )
        )
        return .v4(address, port: port)
    }

    /// Whom a packet from outside is for; `nil`: it is dropped.
    func admit(_ source: Endpoint, to destination: Endpoint, at now: MonotonicTime) -> Endpoint? {
        guard
            let index = mappings.firstIndex(where: {
                $0.outside == destination.port && $0.lastUse + mappingLifetime >= now
            })
        else { return nil }
        let mapping = mappings[index]
        let isFresh: (MonotonicTime) -> Bool = { $0 + self.mappingLifetime >= now }
        let isAdmitted =
            switch kind {
            case .none, .full: true
            case .restricted: mapping.sentTo.contains { $0.key.source == source.source && isFresh($0.value) }
            case .portRestricted, .symmetric: mapping.sentTo[source].map(isFresh) ?? false
            }
        return isAdmitted ? mapping.inside : nil
    }

    /// Forgets all mappings, as a router does that was started anew.
    public func forget() { mappings = [] }
}

/// The network outside of the tunnel: sites, the internet between them, and what is lost.
public final class Underlay {
    let clock: VirtualClock
    private(set) var sites: [Site] = []
    private var receivers: [Endpoint: (Endpoint, [UInt8], Any?) -> Void] = [:]
    private var siteOf: [IPv6Address: Site] = [:]
    /// One way inside a site.
    public var localDelay = Duration.microseconds(200)
    /// Of 1,000 packets.
    public var lossPerMille = 0
    private var lossState: UInt64 = 88_172_645_463_325_252
    /// Paths that lose everything without a word, by the addresses as the internet sees them.
    private var cuts: Set<Set<IPv6Address>> = []
    /// Packets that went out, for each destination address.
    public private(set) var sent: [IPv6Address: Int] = [:]
    /// Whoever wants to see all packets: source and destination as they arrive, and bytes.
    public var tap: ((Endpoint, Endpoint, Int) -> Void)?

    public init(_ clock: VirtualClock) { self.clock = clock }

    public func site(_ name: String, _ kind: NATKind, address: String? = nil, delay: Duration) -> Site {
        let site = Site(name: name, kind: kind, address: address.flatMap { IPv4Address($0) }, delay: delay)
        sites.append(site)
        return site
    }

    func place(_ address: IPv4Address, in site: Site) { siteOf[IPv6Address(mapping: address)] = site }

    func remove(_ address: IPv4Address) { siteOf[IPv6Address(mapping: address)] = nil }

    /// - Parameter receive: gets the source, the bytes, and what else was sent with them.
    func listen(at endpoint: Endpoint, _ receive: @escaping (Endpoint, [UInt8], Any?) -> Void) {
        receivers[endpoint] = receive
    }

    func close(_ endpoint: Endpoint) { receivers[endpoint] = nil }

    public func cut(_ one: IPv4Address, _ other: IPv4Address) {
        cuts.insert([IPv6Address(mapping: one), IPv6Address(mapping: other)])
    }

    public func repair(_ one: IPv4Address, _ other: IPv4Address) {
        cuts.remove([IPv6Address(mapping: one), IPv6Address(mapping: other)])
    }

    private func isLost() -> Bool {
        guard lossPerMille > 0 else { return false }
        lossState ^= lossState << 13
        lossState ^= lossState >> 7
        lossState ^= lossState << 17
        return lossState % 1000 < lossPerMille
    }

    /// Sends a datagram. `payload` travels with it, for models that have no bytes.
    func send(_ bytes: [UInt8], _ payload: Any? = nil, from source: Endpoint, to destination: Endpoint) {
        sent[destination.source, default: 0] += 1
        guard !isLost(), let home = siteOf[source.source] else { return }
        if siteOf[destination.source] === home {
            guard !cuts.contains([source.source, destination.source]) else { return }
            clock.after(localDelay) { self.deliver(bytes, payload, source, destination) }
            return
        }
        let outside = home.translate(source, to: destination, at: clock.now)
        guard !cuts.contains([outside.source, destination.source]) else { return }
        // A private address is nobody's outside.
        if let site = siteOf[destination.source] {
            guard site.kind == .none else { return }
            clock.after(home.delay + site.delay) { self.deliver(bytes, payload, outside, destination) }
        } else if let site = sites.first(where: { $0.address.map { IPv6Address(mapping: $0) } == destination.source }),
            site !== home
        {
            clock.after(home.delay + site.delay) {
                guard let inside = site.admit(outside, to: destination, at: self.clock.now) else { return }
                self.deliver(bytes, payload, outside, inside)
            }
        }
    }

    /// Delivers a datagram whose source is whatever its sender likes, to a machine that can be reached from everywhere.
    public func sendForged(_ bytes: [UInt8], from source: Endpoint, to destination: Endpoint) {
        clock.after(.milliseconds(1)) { self.deliver(bytes, nil, source, destination) }
    }

    private func deliver(_ bytes: [UInt8], _ payload: Any?, _ source: Endpoint, _ destination: Endpoint) {
        tap?(source, destination, bytes.count)
        receivers[destination]?(source, bytes, payload)
    }
}
