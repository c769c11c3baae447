public import NetworkAddresses
public import WireGuardTypes

/// What a member asks of its keeper. The member may have been taken over, so each is checked before it is done.
public enum MemberFrame: Hashable, Sendable {
    /// Changes of peers, together. A preshared key cannot be asked for, and is left out.
    case changes([PeerChange])
    /// What this machine has in common with the owner of this key.
    case secretWanted(PublicKey)
    /// What goes to these prefixes is to be held for this peer.
    case hold(PublicKey, [IPPrefix])
    /// What is held for this peer is to leave.
    case release(PublicKey)
    /// How often the interface is to be read from now on.
    case read(every: Duration)
    /// The member has taken a snapshot: it goes round.
    case taken
    /// The member has left the mesh.
    case left

    /// Longest list of changes in bytes.
    public static let maximumChanges = 1 << 20
    /// Longest list of prefixes in bytes: twice as many as one peer may have.
    public static let maximumHold = 1 << 14
    /// Longest frame of the other kinds in bytes.
    static let maximumOther = PublicKey.length

    private enum Kind: UInt8, CaseIterable {
        case changes = 64
        case secretWanted, read, taken, left, hold, release

        var limit: Int {
            switch self {
            case .changes: maximumChanges
            case .hold: maximumHold
            default: maximumOther
            }
        }
    }

    private enum ChangeKind: UInt8 { case add = 1, update, remove }

    package static let limits = Dictionary(uniqueKeysWithValues: Kind.allCases.map { ($0.rawValue, $0.limit) })

    /// The packets that say this, in their order.
    public var packets: [[UInt8]] {
        var body: [UInt8] = []
        let kind: Kind
        switch self {
        case .changes(let changes):
            kind = .changes
            body.append(UInt32(changes.count))
            for change in changes { Self.append(change, to: &body) }
        case .secretWanted(let key):
            kind = .secretWanted
            body.append(key)
        case .hold(let key, let prefixes):
            kind = .hold
            body.append(key)
            body.append(UInt32(prefixes.count))
            for prefix in prefixes { body.append(prefix) }
        case .release(let key):
            kind = .release
            body.append(key)
        case .read(let interval):
            kind = .read
            let milliseconds = interval / .milliseconds(1)
            body.append(UInt32(clamping: Int64(max(0, min(milliseconds, Double(UInt32.max))))))
        case .taken: kind = .taken
        case .left: kind = .left
        }
        return FramePackets.packets(kind.rawValue, body)
    }

    private static func append(_ change: PeerChange, to body: inout [UInt8]) {
        let settings: PeerSettings
        switch change {
        case .remove(let key):
            body.append(ChangeKind.remove.rawValue)
            body.append(key)
            return
        case .add(let all):
            body.append(ChangeKind.add.rawValue)
            settings = all
        case .update(let all):
            body.append(ChangeKind.update.rawValue)
            settings = all
        }
        body.append(settings.publicKey)
        body.append(settings.replacesAllowedIPs)
        body.append(settings.endpoint)
        body.append(settings.persistentKeepalive != nil)
        body.append(settings.persistentKeepalive ?? 0)
        body.append(UInt32(settings.allowedIPs.count))
        for prefix in settings.allowedIPs { body.append(prefix) }
    }

    /// Reads a frame that was put together.
    package init(_ frame: AssembledFrame) throws(MalformedFrame) {
        var reader = FrameReader(frame.body[...])
        switch Kind(rawValue: frame.kind) {
        case .changes:
            var changes: [PeerChange] = []
            for _ in 0..<(try reader.count(of: 1 + PublicKey.length)) { changes.append(try reader.change()) }
            self = .changes(changes)
        case .secretWanted: self = .secretWanted(try reader.key())
        case .hold: self = .hold(try reader.key(), try reader.prefixes())
        case .release: self = .release(try reader.key())
        case .read: self = .read(every: .milliseconds(Int64(try reader.number(UInt32.self))))
        case .taken: self = .taken
        case .left: self = .left
        case nil: throw MalformedFrame("of the unknown kind \(frame.kind)")
        }
        guard reader.isAtEnd else { throw MalformedFrame("that goes on after its end") }
    }
}

extension FrameReader {
    fileprivate mutating func change() throws(MalformedFrame) -> PeerChange {
        let kind = try number(UInt8.self)
        let key = try key()
        if kind == 3 { return .remove(key) }
        guard kind == 1 || kind == 2 else { throw MalformedFrame("with a change of the unknown kind \(kind)") }
        var settings = PeerSettings(publicKey: key, allowedIPs: [])
        settings.replacesAllowedIPs = try flag()
        settings.endpoint = try endpoint()
        let hasKeepalive = try flag()
        let keepalive = try number(UInt16.self)
        settings.persistentKeepalive = hasKeepalive ? keepalive : nil
        settings.allowedIPs = try prefixes()
        return kind == 1 ? .add(settings) : .update(settings)
    }
}
