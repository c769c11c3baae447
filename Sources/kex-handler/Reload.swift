internal import ConfigurationFiles
internal import KexConfiguration
internal import KexDomain
internal import Logging
internal import ServiceProgram
internal import SourceLimits
internal import Systemd

/// The configuration is read again.
extension HandlerService {
    /// Reads the configuration again. If it has a mistake, everything stays as it was.
    mutating func reload() {
        ServiceState.reloading()
        do {
            let (configuration, keys) = try source.read()
            // A domain that begins anew reads its file.
            writeEverything()
            let old = Dictionary(uniqueKeysWithValues: domains.map { ($0.settings.name, $0) })
            domains = configuration.domains.map { settings in
                if let domain = old[settings.name], domain.change(to: settings, keys: keys) {
                    return domain
                }
                return MeshDomain(settings, keys: keys, context: context)
            }
            timetable = Timetable(of: domains)
            if self.configuration.handlerSocket != configuration.handlerSocket
                || self.configuration.fleetSocket != configuration.fleetSocket
                || self.configuration.controlSocket != configuration.controlSocket
                || self.configuration.stateDirectory != configuration.stateDirectory
            {
                let keys = "HandlerSocket=, FleetSocket=, ControlSocket= and StateDirectory="
                log.log(.restartNeeded, .warning, "\(keys) take effect at the next start")
            }
            self.configuration = configuration
            context.newKeys.unlimited = configuration.unlimitedSources
            context.domainCount = configuration.domains.count
            announcement = announcement ?? .reloaded
        } catch {
            for mistake in error.mistakes {
                log.log(.mistake, .error, "\(mistake)")
            }
            log.log(.reloadFailed, .error, "the configuration stays as it was")
            ServiceState.ready(status: status)
        }
    }
}
