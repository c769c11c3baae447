public import Keys
public import LinkMember
internal import NetworkAddresses
internal import Secrets
public import WireGuardTypes

/// What the keeper tells its member.
public enum KeeperFrame: Hashable, Sendable {
    /// What the operator wants. The first frame, once.
    case orders(MemberOrders)
    case snapshot(DeviceSnapshot)
    /// What this machine has in common with another; `nil` for a key of small order.
    case secret(PublicKey, SharedSecret?)
    /// A socket comes along. It takes the place of one that is for the same.
    case socket(MemberSocket)
    /// All changes of these peers that were asked for together were made.
    case changed([PublicKey])
    /// A change was refused, with those of the same peer behind it.
    case refused(PublicKey, reason: String)
    /// What goes to this peer is held.
    case held(PublicKey)
    case notHeld(PublicKey, reason: String)
    /// The member is to leave the mesh, and to end.
    case leave

    /// Longest file of orders in bytes.
    public static let maximumOrders = 1 << 20
    /// Longest snapshot in bytes: some 100,000 peers.
    public static let maximumSnapshot = 16 << 20
    /// Longest reason in bytes; the rest is cut.
    public static let maximumReason = 256
    /// Longest frame of the other kinds in bytes.
    static let maximumOther = 1 << 17

    private enum Kind: UInt8, CaseIterable {
        case orders = 1
        case snapshot, secret, socket, changed, refused, leave, held, notHeld

        var limit: Int {
            switch self {
            case .orders: maximumOrders
            case .snapshot: maximumSnapshot
            default: maximumOther
            }
        }
    }

    package static let limits = Dictionary(uniqueKeysWithValues: Kind.allCases.map { ($0.rawValue, $0.limit) })

    /// The packets that say this, in their order.
    public var packets: [[UInt8]] {
        var body: [UInt8] = []
        let kind: Kind
        switch self {
        case .orders(let orders):
            kind = .orders
            body.append(orders.interface.text)
            body.append(orders.path)
            body += orders.text
        case .snapshot(let snapshot):
            kind = .snapshot
            body.append(snapshot)
        case .secret(let key, let secret):
            kind = .secret
            // An array that grows leaves a copy behind.
            body.reserveCapacity(PublicKey.length + 1 + SharedSecret.length)
            body.append(key)
            body.append(secret != nil)
            if let secret {
                var bytes = secret.bytes.copy
                body += bytes
                SecretBytes.wipe(&bytes)
            }
            defer { SecretBytes.wipe(&body) }
            return FramePackets.packets(kind.rawValue, body)
        case .socket(let socket):
            kind = .socket
            body.append(socket.purpose.rawValue)
            body.append(socket.port)
        case .changed(let keys):
            kind = .changed
            body.append(UInt32(keys.count))
            for key in keys { body.append(key) }
        case .refused(let key, let reason):
            kind = .refused
            body.append(key)
            body.append(String(decoding: reason.utf8.prefix(Self.maximumReason), as: UTF8.self))
        case .held(let key):
            kind = .held
            body.append(key)
        case .notHeld(let key, let reason):
            kind = .notHeld
            body.append(key)
            body.append(String(decoding: reason.utf8.prefix(Self.maximumReason), as: UTF8.self))
        case .leave: kind = .leave
        }
        return FramePackets.packets(kind.rawValue, body)
    }

    /// Reads a frame that was put together.
    package init(_ frame: AssembledFrame) throws(MalformedFrame) {
        var reader = FrameReader(frame.body[...])
        switch Kind(rawValue: frame.kind) {
        case .orders:
            let (interface, path) = (try reader.interfaceName(), try reader.text())
            self = .orders(MemberOrders(interface: interface, path: path, text: Array(reader.takeRest())))
        case .snapshot: self = .snapshot(try reader.snapshot())
        case .secret:
            let key = try reader.key()
            guard try reader.flag() else {
                self = .secret(key, nil)
                break
            }
            guard let secret = SharedSecret(bytes: try reader.bytes(SharedSecret.length))
            else { throw MalformedFrame("without a secret") }
            self = .secret(key, secret)
        case .socket:
            let number = try reader.number(UInt8.self)
            guard let purpose = MemberSocket.Purpose(rawValue: number)
            else { throw MalformedFrame("with a socket for \(number)") }
            self = .socket(MemberSocket(purpose, port: try reader.number()))
        case .changed:
            var keys: [PublicKey] = []
            for _ in 0..<(try reader.count(of: PublicKey.length)) { keys.append(try reader.key()) }
            self = .changed(keys)
        case .refused: self = .refused(try reader.key(), reason: try reader.text())
        case .held: self = .held(try reader.key())
        case .notHeld: self = .notHeld(try reader.key(), reason: try reader.text())
        case .leave: self = .leave
        case nil: throw MalformedFrame("of the unknown kind \(frame.kind)")
        }
        guard reader.isAtEnd else { throw MalformedFrame("that goes on after its end") }
    }
}
