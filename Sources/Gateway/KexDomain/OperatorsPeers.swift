internal import GatewayEvents
internal import GatewayState
public import KexConfiguration
internal import KexGateway
internal import Netlink
internal import NetworkAddresses
internal import WireGuardControl
internal import WireGuardTypes

/// What `--check-config` says about peers that kex takes for the operator's. Interfaces that do not exist or cannot be
/// read are skipped.
public func remarksOnPeers(_ configuration: Configuration, _ keys: KeyLists) -> [String] {
    configuration.domains.flatMap { settings -> [String] in
        guard let state = try? LinuxKernel(settings.wireGuard, buffer: DatagramBuffer()).state() else { return [] }
        var table = DomainTable(rules: DomainRules(settings, keys))
        let known = StateFile(directory: configuration.stateDirectory, domain: settings.name).peek()
        table.recall(
            known?.routers ?? [],
            clocks: nil,
            restoredAt: .zero,
            operatorsPeers: known?.operatorsPeers ?? []
        )
        let snapshot = DomainTable.Snapshot(ownKey: state.publicKey, peers: state.peers)
        var comparison = table.beginComparison()
        comparison.take(snapshot, begunAt: .zero, isNewDevice: false, sinceStart: .zero)
        _ = table.finish(comparison, at: .zero)
        let lines = table.operatorsPeers.map { $1.description(of: $0, on: settings.wireGuard) }
        return lines.sorted().map { "\(settings.name): \($0)" }
    }
}

extension DomainTable.OperatorsPeer {
    /// A line about it for the operator.
    func description(of key: PublicKey, on interface: InterfaceName) -> String {
        let sign =
            switch self.sign {
            case .presharedKey: "it has a preshared key"
            case .keepalive: "it has a persistent keepalive"
            case .furtherPrefixes: "it has further allowed IPs"
            case .listedKey: "it is in the file of ProhibitedKeys=, and kex did not make it"
            case .configuredEndpoint: "it had an endpoint before anything came from it"
            }
        let whose =
            isRouter
            ? "\(key) is a router with settings of the operator's: \(sign). It is served, and never removed"
            : "\(key) is a peer of the operator's and no router: \(sign). It is left alone"
        return "\(whose). If that is wrong, remove it with: wg set \(interface) peer \(key) remove"
    }
}
