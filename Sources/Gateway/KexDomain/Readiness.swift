internal import KexConfiguration
internal import LinkControl
internal import NetworkAddresses

/// Whether the two interfaces of a domain can carry traffic, as far as that can be seen. If they cannot, the domain is
/// out of service, because routers would come here and reach nobody.
struct Readiness {
    var wireGuard: InterfaceName
    var vxlan: InterfaceName
    /// Of the WireGuard interface, in bytes.
    var mtu: UInt32
    /// Whether the operator has switched IPv6 off on the WireGuard interface.
    var isIPv6Off = false
    /// IPv6 addresses of the WireGuard interface.
    var addresses: [IPPrefix]
    /// Whether a router's address is reached over the WireGuard interface.
    var hasRoute: Bool
    /// What the configuration tells routers; `nil` if it tells none.
    var linkAddress: IPv6Address?
    /// What the VXLAN interface sends from; `nil` if it has none of its own.
    var vxlanLocal: IPPrefix.Address?
    /// Network identifier and port of the VXLAN interface.
    var vxlanNumbers: (identifier: UInt32, port: UInt16)

    /// Smallest MTU of an interface that has IPv6. Source: RFC 8200, section 5; the kernel takes IPv6 away below it.
    static let smallestMTU: UInt32 = 1280
    /// What ip-link(8) gives a WireGuard interface.
    private static let usualMTU = 1420
    /// The address that the route is looked up for. No key gives it: derived addresses have ff:fe in the middle.
    static let probe = IPv6Address(high: 0xfe80 << 48, low: 0x0200_0000_0000_0001)

    /// What is wrong, and the commands that correct it; `nil` if nothing is wrong.
    var failure: String? {
        if mtu < Self.smallestMTU {
            let command = "ip link set \(wireGuard) mtu \(Self.usualMTU)"
            return "\(wireGuard) has an MTU of \(mtu), and IPv6 takes \(Self.smallestMTU): \(command) && \(addAddress)"
        }
        if isIPv6Off {
            let command = "echo 0 > /proc/sys/net/ipv6/conf/\(wireGuard)/disable_ipv6"
            return "IPv6 is switched off on \(wireGuard): \(command) && \(addAddress)"
        }
        if case .v4(let local) = vxlanLocal {
            let (identifier, port) = vxlanNumbers
            let numbers = "id \(identifier) dstport \(port)"
            let new = "ip link add \(vxlan) type vxlan \(numbers) local \(ownAddress) dev \(wireGuard)"
            let commands = "ip link delete \(vxlan) && \(new) && ip link set \(vxlan) mtu 1280 up"
            return "\(vxlan) sends from \(local), and routers have IPv6 addresses: \(commands)"
        }
        if let linkAddress, !has(linkAddress) {
            return "\(wireGuard) does not have the address \(linkAddress) of LinkAddress=: \(addAddress)"
        }
        if case .v6(let local) = vxlanLocal, !has(local) {
            return "\(vxlan) sends from \(local), which \(wireGuard) does not have: \(command(adding: local))"
        }
        guard addresses.contains(where: { isLinkLocal($0) }) else {
            return "\(wireGuard) has no link-local address: \(addAddress)"
        }
        guard !hasRoute else { return nil }
        if !addresses.contains(where: { isLinkLocal($0) && $0.length <= 64 }) {
            let command = "ip address delete \(ownAddress)/\(length(of: ownAddress)) dev \(wireGuard)"
            return "\(wireGuard) has no link-local address with a /64: \(command) && \(addAddress)"
        }
        let command = "ip -6 route add fe80::/64 dev \(wireGuard)"
        return "there is no route to fe80::/64 over \(wireGuard): \(command)"
    }

    /// The commands that set a WireGuard interface up. It lost its addresses when it was set down.
    static func remedy(down wireGuard: InterfaceName, address: IPv6Address?) -> String {
        let address = address.map { "\($0)" } ?? "ADDRESS"
        return "ip link set \(wireGuard) up && ip address replace \(address)/64 dev \(wireGuard) nodad"
    }

    /// The address that the interface should have: what is configured, what VXLAN uses, what is there.
    private var ownAddress: String {
        if let linkAddress { return "\(linkAddress)" }
        if case .v6(let local) = vxlanLocal { return "\(local)" }
        for case .v6(let address) in addresses.filter({ isLinkLocal($0) }).map(\.address) { return "\(address)" }
        return "fe80::1"
    }

    private func length(of text: String) -> UInt8 {
        addresses.first { IPv6Address(text).map(IPPrefix.Address.v6) == $0.address }?.length ?? 128
    }

    private var addAddress: String { "ip address replace \(ownAddress)/64 dev \(wireGuard) nodad" }

    private func command(adding address: IPv6Address) -> String {
        "ip address replace \(address)/64 dev \(wireGuard) nodad"
    }

    private func has(_ address: IPv6Address) -> Bool { addresses.contains { $0.address == .v6(address) } }

    private func isLinkLocal(_ prefix: IPPrefix) -> Bool {
        if case .v6(let address) = prefix.address { address.isLinkLocal } else { false }
    }
}

extension RefreshRequest {
    /// Checks whether the interfaces can carry traffic. Both are up.
    ///
    /// - Throws: what keeps them from it.
    func checkReadiness(_ wireGuard: Link, _ vxlan: Link, _ kernel: any DomainKernel) throws(DomainFailure) {
        let readiness = Readiness(
            wireGuard: wireGuard.name,
            vxlan: vxlan.name,
            mtu: wireGuard.mtu,
            isIPv6Off: wireGuard.isIPv6Off,
            addresses: try kernel.addresses(of: wireGuard.index),
            hasRoute: try kernel.hasRoute(to: Readiness.probe, over: wireGuard.index),
            linkAddress: settings.linkAddress,
            vxlanLocal: vxlan.local,
            vxlanNumbers: (vxlan.identifier, vxlan.port)
        )
        if let failure = readiness.failure { throw DomainFailure(failure) }
    }

    /// How to set an interface of the domain up.
    func remedy(forDown link: Link, vxlan: Link) -> String {
        guard link.name == settings.wireGuard else { return "ip link set \(link.name) up" }
        var local: IPv6Address?
        if case .v6(let address) = vxlan.local { local = address }
        return Readiness.remedy(down: link.name, address: settings.linkAddress ?? local)
    }
}
