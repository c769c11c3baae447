public import NetworkAddresses
import Time
public import WireGuardTypes

/// A packet inside the tunnel.
public struct InnerPacket {
    public var source: IPv6Address
    public var destination: IPv6Address
    public var port: UInt16
    public var bytes: [UInt8]

    public init(from source: IPv6Address, to destination: IPv6Address, port: UInt16, bytes: [UInt8]) {
        self.source = source
        self.destination = destination
        self.port = port
        self.bytes = bytes
    }

    /// On the wire: IPv6 and UDP, padded to 16, and WireGuard's 32.
    var size: Int { (48 + bytes.count + 15) / 16 * 16 + 32 }
}

/// A WireGuard interface as wireguard-go or the kernel behaves: handshakes, renewal, roaming, cryptokey routing. No cryptography:
/// who made a packet is written on it.
///
/// What is taken from where: times from the WireGuard paper, section 6; that two initiations at once cost 5 s, and that
/// a peer made anew just after a handshake is answered only 5 s later, was measured with wireguard-go and the kernel:
/// `WireGuardSceneTests` compares.
public final class WireGuardModel {
    public enum Kind: Sendable {
        case userspace
        case kernel
    }

    public var kind = Kind.userspace
    static let rekeyTimeout = Duration.seconds(5)
    static let rekeyAfter = Duration.seconds(120)
    static let rejectAfter = Duration.seconds(180)
    static let rekeyAttempts = Duration.seconds(90)
    static let passiveKeepalive = Duration.seconds(10)
    /// An initiation is not answered so soon after the last one.
    static let initiationSpacing = Duration.milliseconds(20)
    static let stagedPackets = 128

    enum Message {
        case initiation(from: PublicKey, id: Int)
        case response(from: PublicKey, id: Int)
        /// `nil` is a keepalive.
        case data(from: PublicKey, session: Int, InnerPacket?)
    }

    struct Session {
        var id: Int
        var isInitiator: Bool
        var made: MonotonicTime
    }

    struct PeerState {
        var allowedIPs: [IPPrefix] = []
        var endpoint: Endpoint?
        var keepalive: UInt16 = 0
        var received: UInt64 = 0
        var sent: UInt64 = 0
        var lastHandshake: MonotonicTime?
        var session: Session?
        /// Made by an initiation of the other side, and used once its first packet has come.
        var next: Session?
        /// The own initiation whose answer could be used.
        var initiation: Int?
        var initiationSent: MonotonicTime?
        var attemptsSince: MonotonicTime?
        var lastConsumed: MonotonicTime?
        var staged: [InnerPacket] = []
        var lastSent: MonotonicTime?
        var unansweredSince: MonotonicTime?
        var isPassiveDue = false
        /// Tells timers of a peer that was taken out that they are of the past.
        var life = 0
    }

    public let publicKey: PublicKey
    public let listenPort: UInt16
    private let clock: VirtualClock
    private var peers: [PublicKey: PeerState] = [:]
    private var lives = 0
    private static nonisolated(unsafe) var ids = 0
    /// Initiations of senders that were seen, which a peer that is made anew does not forget at the other side.
    var send: (Message, Int, Endpoint) -> Void = { _, _, _ in }
    var receive: (InnerPacket, PublicKey) -> Void = { _, _ in }
    /// Packets that cryptokey routing refused.
    public private(set) var refused = 0

    public init(publicKey: PublicKey, listenPort: UInt16, clock: VirtualClock) {
        self.publicKey = publicKey
        self.listenPort = listenPort
        self.clock = clock
    }

    public var state: [Peer] {
        peers.map { key, peer in
            Peer(
                publicKey: key,
                allowedIPs: peer.allowedIPs,
                endpoint: peer.endpoint,
                persistentKeepalive: peer.keepalive,
                lastHandshake: peer.lastHandshake.map { clock.wallClockOffset + $0.sinceStart.components.seconds },
                receivedBytes: peer.received,
                sentBytes: peer.sent
            )
        }
    }

    public func apply(_ changes: [PeerChange]) {
        for change in changes {
            switch change {
            case .remove(let key): peers[key] = nil
            case .update(let settings):
                if peers[settings.publicKey] != nil { set(settings) }
            case .add(let settings):
                if peers[settings.publicKey] == nil {
                    lives += 1
                    var peer = PeerState()
                    peer.life = lives
                    peers[settings.publicKey] = peer
                }
                set(settings)
            }
        }
    }

    /// As the kernel does when the machine goes to sleep. Source: wg_pm_notification of drivers/net/wireguard.
    func forgetSessions() {
        for key in Array(peers.keys) {
            peers[key]?.session = nil
            peers[key]?.next = nil
            peers[key]?.initiation = nil
        }
    }

    private func set(_ settings: PeerSettings) {
        let key = settings.publicKey
        for other in peers.keys where other != key {
            peers[other]?.allowedIPs.removeAll { settings.allowedIPs.contains($0) }
        }
        if settings.replacesAllowedIPs { peers[key]?.allowedIPs = [] }
        for prefix in settings.allowedIPs where peers[key]?.allowedIPs.contains(prefix) == false {
            peers[key]?.allowedIPs.append(prefix)
        }
        if let endpoint = settings.endpoint { peers[key]?.endpoint = endpoint }
        if let keepalive = settings.persistentKeepalive {
            let wasOff = peers[key]?.keepalive == 0
            peers[key]?.keepalive = keepalive
            // Turning it on sends one at once.
            if keepalive > 0, wasOff, let life = peers[key]?.life { persist(key, life) }
        }
    }

    /// Whose packets an address may be in, and where packets to it go: the longest prefix.
    public func peer(for address: IPv6Address) -> PublicKey? {
        var best: (key: PublicKey, length: UInt8)?
        for (key, peer) in peers {
            for prefix in peer.allowedIPs where prefix.contains(address) && prefix.length >= best?.length ?? 0 {
                best = (key, prefix.length)
            }
        }
        return best?.key
    }

    /// Sends a packet of this machine, or one that it forwards.
    public func transmit(_ packet: InnerPacket) {
        guard let key = peer(for: packet.destination) else { return }
        transmit(packet, to: key)
    }

    private func transmit(_ packet: InnerPacket?, to key: PublicKey) {
        guard var peer = peers[key] else { return }
        if let session = peer.session, session.made + Self.rejectAfter > clock.now {
            guard let endpoint = peer.endpoint else { return }
            let size = packet?.size ?? 32
            peer.sent += UInt64(size)
            peer.lastSent = clock.now
            let isFirst = packet != nil && peer.unansweredSince == nil
            if isFirst { peer.unansweredSince = clock.now }
            peers[key] = peer
            send(.data(from: publicKey, session: session.id, packet), size, endpoint)
            if session.isInitiator, session.made + Self.rekeyAfter <= clock.now { initiate(key) }
            // No answer for 15 s: a new handshake. Source: WireGuard paper, section 6.4.
            if isFirst {
                clock.after(.seconds(15)) { [weak self] in
                    guard let self, let peer = peers[key], let since = peer.unansweredSince,
                        since + .seconds(15) <= clock.now
                    else { return }
                    peers[key]?.unansweredSince = nil
                    initiate(key)
                }
            }
        } else {
            // The kernel drops it; wireguard-go keeps it, and begins to wait for an answer that nobody was asked for.
            if kind == .kernel, peer.endpoint == nil { return }
            if let packet, peer.staged.count < Self.stagedPackets { peer.staged.append(packet) }
            peers[key] = peer
            initiate(key)
        }
    }

    private func initiate(_ key: PublicKey) {
        guard var peer = peers[key] else { return }
        if let sent = peer.initiationSent, sent + Self.rekeyTimeout > clock.now { return }
        if peer.attemptsSince == nil { peer.attemptsSince = clock.now }
        peer.initiationSent = clock.now
        Self.ids += 1
        peer.initiation = Self.ids
        let life = peer.life
        peers[key] = peer
        if let endpoint = peer.endpoint {
            peers[key]?.sent += 148
            send(.initiation(from: publicKey, id: Self.ids), 148, endpoint)
        }
        let jitter = Duration.milliseconds(Int64(Self.ids * 37 % 334))
        clock.after(Self.rekeyTimeout + jitter) { [weak self] in
            guard let self, let peer = peers[key], peer.life == life, peer.attemptsSince != nil else { return }
            if let since = peer.attemptsSince, since + Self.rekeyAttempts < clock.now {
                peers[key]?.attemptsSince = nil
                peers[key]?.staged = []
                return
            }
            initiate(key)
        }
    }

    func take(_ message: Message, size: Int, from source: Endpoint) {
        switch message {
        case .initiation(let key, let id):
            guard var peer = peers[key] else { return }
            if let last = peer.lastConsumed, last + Self.initiationSpacing > clock.now { return }
            peer.lastConsumed = clock.now
            // The own initiation is lost: what answers it cannot be used any more.
            peer.initiation = nil
            peer.received += UInt64(size)
            peer.endpoint = source
            peer.sent += 92
            peer.next = Session(id: id, isInitiator: false, made: clock.now)
            peers[key] = peer
            send(.response(from: publicKey, id: id), 92, source)
        case .response(let key, let id):
            guard var peer = peers[key], peer.initiation == id else { return }
            peer.initiation = nil
            peer.attemptsSince = nil
            peer.received += UInt64(size)
            peer.endpoint = source
            peer.session = Session(id: id, isInitiator: true, made: clock.now)
            peer.lastHandshake = clock.now
            let staged = peer.staged
            peer.staged = []
            peers[key] = peer
            if staged.isEmpty { sendKeepalive(to: key) }
            for packet in staged { transmit(packet, to: key) }
        case .data(let key, let session, let packet):
            guard var peer = peers[key] else { return }
            if peer.next?.id == session {
                peer.session = peer.next
                peer.next = nil
                // Who answers says that there was a handshake when its session is used.
                peer.lastHandshake = clock.now
                peer.attemptsSince = nil
            }
            guard let current = peer.session, current.id == session || current.made + .seconds(10) > clock.now else {
                return
            }
            guard current.made + Self.rejectAfter > clock.now else { return }
            peer.received += UInt64(size)
            peer.endpoint = source
            peer.unansweredSince = nil
            let staged = peer.staged
            peer.staged = []
            peers[key] = peer
            for packet in staged { transmit(packet, to: key) }
            guard let packet else { return }
            let life = peer.life
            if !peer.isPassiveDue {
                let received = clock.now
                peers[key]?.isPassiveDue = true
                clock.after(Self.passiveKeepalive) { [weak self] in
                    guard let self, let peer = peers[key], peer.life == life else { return }
                    peers[key]?.isPassiveDue = false
                    if peer.lastSent.map({ $0 < received }) ?? true { sendKeepalive(to: key) }
                }
            }
            if self.peer(for: packet.source) == key { receive(packet, key) } else { refused += 1 }
        }
    }

    private func sendKeepalive(to key: PublicKey) { transmit(nil, to: key) }

    /// Sends a keepalive whenever nothing was sent for its interval.
    private func persist(_ key: PublicKey, _ life: Int) {
        guard let peer = peers[key], peer.life == life, peer.keepalive > 0 else { return }
        let interval = Duration.seconds(Int64(peer.keepalive))
        var next = clock.now + interval
        if let last = peer.lastSent, last + interval > clock.now, last != clock.now {
            next = last + interval
        } else {
            sendKeepalive(to: key)
        }
        clock.at(next) { [weak self] in self?.persist(key, life) }
    }
}
