internal import GatewayEvents
internal import KexConfiguration
internal import KexGateway
internal import Logging
internal import Systemd

/// Routers that somebody took out of WireGuard.
extension MeshDomain {
    /// Says what the last snapshot found missing.
    func noteLosses() {
        if let loss = table.massLoss {
            let what =
                "\(loss.lost) of \(loss.known) routers went from \(settings.wireGuard) at once; bringing them back"
            let why = "wg syncconf, wg setconf and networkctl reload take out every peer that their files do not name"
            log(.massLoss, .warning, "\(what). \(why)")
        }
        for key in table.forgottenInSnapshot {
            noteStranger(.removed, .notice, key, "forgot \(key): somebody took its peer out of \(settings.wireGuard)")
        }
    }
}
