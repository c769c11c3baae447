internal import KexConfiguration
internal import GatewayEvents
internal import KexGateway
internal import Logging
internal import Systemd
internal import WireGuardTypes

/// What a refresh found is logged.
extension MeshDomain {
    /// Names the routers that somebody removed from WireGuard.
    func report(_ findings: Findings) {
        if let loss = findings.massLoss {
            let what =
                "\(loss.lost) of \(loss.known) routers disappeared from \(settings.wireGuard) at once; bringing them back"
            let why = "wg syncconf, wg setconf and networkctl reload remove every peer that their files do not name"
            log(.massLoss, .warning, "\(what). \(why)")
        }
        for key in findings.forgotten {
            noteStranger(.removed, .notice, key, "forgot \(key): somebody removed its peer from \(settings.wireGuard)")
        }
    }

    func noteHeard(_ keys: [PublicKey]) {
        for key in keys { log(.confirmed, .info, key: key, "first sign of life of \(key)") }
    }

    /// Names the peers that look like routers' and are the operator's: each once, and again when the reason is another.
    func nameOperatorsPeers() {
        let peers = table.operatorsPeers
        guard peers != namedPeers else { return }
        for (key, peer) in peers where peer != namedPeers[key] {
            log(.operatorsPeer, .notice, key: key, peer.description(of: key, on: settings.wireGuard))
        }
        namedPeers = peers
    }
}
