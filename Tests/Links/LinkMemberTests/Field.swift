import LinkFacts
import NetworkAddresses
import Time
import WireGuardTypes

@testable import LinkMember

/// A machine whose hub is number 1, long after its start.
struct Field {
    var stage: Stage
    var field = FieldPeers()

    init(_ settings: LinkSettings = LinkSettings(), _ peers: [Int: [String]] = [1: ["10.0.0.0/16"]]) {
        stage = Stage(settings, peers)
        stage.start(1)
    }

    /// So long that peers may be removed, if `hub` is there all the time.
    mutating func settle(isHubThere: Bool = true) {
        for _ in 0..<6 {
            stage.wait(50)
            if isHubThere { touch(1) }
            stage.read()
            if isHubThere { stage.start(1) }
        }
    }

    /// There was a handshake now.
    mutating func touch(_ number: Int) {
        guard let place = stage.device.peers.firstIndex(where: { $0.publicKey == key(number) }) else { return }
        stage.device.peers[place].lastHandshake = wallClock + (stage.now - beginning).components.seconds
    }

    /// Asks for changes and makes them.
    @discardableResult
    mutating func work(leaving pairs: Set<PublicKey> = []) -> [PeerChange] {
        stage.read()
        let changes = field.changes(stage.exchange, leaving: pairs, at: stage.now).changes
        for change in changes { stage.device.apply(change) }
        stage.read()
        return changes
    }

    func allowedIPs(_ number: Int) -> [String]? {
        peer(number)?.allowedIPs.map { $0 == key(number).memberAllowedIP ? "own" : "\($0)" }
    }

    func peer(_ number: Int) -> Peer? { stage.device.peers.first { $0.publicKey == key(number) } }
}
