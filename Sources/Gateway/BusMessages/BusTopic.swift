public import KexProtocol
public import WireGuardTypes

/// The topics of the bus between gateways. The first five are the field's (measured with the deployed broker and
/// worker), the others are ours.
public enum BusTopic: Hashable, Sendable {
    /// `wireguard/DOMAIN/all`: a router asks to be let in. The last level says for which worker, but it has never been
    /// anything else, and workers do not look at it: every name is read.
    case registration(DomainName)
    /// `wireguard-metrics/DOMAIN/WORKER/connected_peers`
    case connectedPeers(DomainName, GatewayName)
    /// `wireguard-worker/WORKER/status`
    case status(GatewayName)
    /// `wireguard-worker/WORKER/DOMAIN/data`
    case data(GatewayName, DomainName)
    /// `wireguard-broker/BROKER/status`, of newer programs of the field: a front door
    case frontDoor(GatewayName)
    /// `kex/DOMAIN/router/KEY`, the key as 64 hexadecimal digits in lower case: base64 has `+` and `/`, which mean
    /// something in topics.
    case router(DomainName, PublicKey)
    /// `kex/DOMAIN/count/GATEWAY`
    case count(DomainName, GatewayName)

    /// Longest topic in bytes.
    public static let maximumLength = 160

    /// Reads a topic; `nil` if it is none of these, or a level of it is not what it should be.
    public init?(_ bytes: Span<UInt8>) {
        guard bytes.count <= Self.maximumLength else { return nil }
        var levels: [Range<Int>] = []
        var start = 0
        for index in 0...bytes.count where index == bytes.count || bytes[index] == UInt8(ascii: "/") {
            levels.append(start..<index)
            start = index + 1
        }
        func isLevel(_ number: Int, _ word: String) -> Bool {
            let level = levels[number]
            return level.count == word.utf8.count && zip(level, word.utf8).allSatisfy { bytes[$0] == $1 }
        }
        func domain(_ number: Int) -> DomainName? { DomainName(bytes: bytes.extracting(levels[number])) }
        func gateway(_ number: Int) -> GatewayName? { GatewayName(bytes: bytes.extracting(levels[number])) }
        switch levels.count {
        case 3 where isLevel(0, "wireguard"):
            guard let domain = domain(1), gateway(2) != nil else { return nil }
            self = .registration(domain)
        case 3 where isLevel(0, "wireguard-worker") && isLevel(2, "status"):
            guard let gateway = gateway(1) else { return nil }
            self = .status(gateway)
        case 3 where isLevel(0, "wireguard-broker") && isLevel(2, "status"):
            guard let gateway = gateway(1) else { return nil }
            self = .frontDoor(gateway)
        case 4 where isLevel(0, "wireguard-metrics") && isLevel(3, "connected_peers"):
            guard let domain = domain(1), let gateway = gateway(2) else { return nil }
            self = .connectedPeers(domain, gateway)
        case 4 where isLevel(0, "wireguard-worker") && isLevel(3, "data"):
            guard let gateway = gateway(1), let domain = domain(2) else { return nil }
            self = .data(gateway, domain)
        case 4 where isLevel(0, "kex") && isLevel(2, "router"):
            guard let domain = domain(1), let key = PublicKey(hexadecimal: bytes.extracting(levels[3])) else {
                return nil
            }
            self = .router(domain, key)
        case 4 where isLevel(0, "kex") && isLevel(2, "count"):
            guard let domain = domain(1), let gateway = gateway(3) else { return nil }
            self = .count(domain, gateway)
        default: return nil
        }
    }
}

extension BusTopic: CustomStringConvertible {
    /// The topic as it is published.
    public var description: String {
        switch self {
        case .registration(let domain): "wireguard/\(domain)/all"
        case .connectedPeers(let domain, let gateway): "wireguard-metrics/\(domain)/\(gateway)/connected_peers"
        case .status(let gateway): "wireguard-worker/\(gateway)/status"
        case .data(let gateway, let domain): "wireguard-worker/\(gateway)/\(domain)/data"
        case .frontDoor(let gateway): "wireguard-broker/\(gateway)/status"
        case .router(let domain, let key): "kex/\(domain)/router/\(key.hexadecimal)"
        case .count(let domain, let gateway): "kex/\(domain)/count/\(gateway)"
        }
    }
}

extension BusTopic {
    /// What workers subscribe to for the registrations of a domain.
    public static func allRegistrations(in domain: DomainName) -> String { "wireguard/\(domain)/+" }
    /// What the field's brokers subscribe to.
    public static let allConnectedPeers = "wireguard-metrics/#"
    public static let allStatus = "wireguard-worker/+/status"
    public static let allData = "wireguard-worker/+/+/data"
    /// Ours of a domain: its routers and their counts.
    public static func allRouters(of domain: DomainName) -> String { "kex/\(domain)/router/+" }
    public static func allCounts(of domain: DomainName) -> String { "kex/\(domain)/count/+" }
}

extension PublicKey {
    /// Two digits for each byte, in lower case.
    var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    init?(hexadecimal text: Span<UInt8>) {
        guard text.count == 2 * Self.length else { return nil }
        var bytes: [UInt8] = []
        for index in 0..<Self.length {
            guard let high = Self.digit(text[2 * index]), let low = Self.digit(text[2 * index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        self.init(bytes: bytes.span)
    }

    private static func digit(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
