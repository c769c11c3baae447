internal import NetworkAddresses
internal import TenantPlan
public import WireGuardTypes

/// How a file gets the private key.
public enum ExportedKey: Sendable {
    /// It is read on the machine, from this file, when the interface comes up.
    case file(String)
    /// It is in what is exported.
    case included(PrivateKey)
}

extension ExportedMember {
    /// A file for wg-quick(8), with its routes one by one (`Table = off`): what wg-quick would make of the allowed IPs has
    /// no next hops, and no route for those who are reached through the exit.
    ///
    /// The way to everybody else is in a table of its own, so that WireGuard's own packets do not go into the tunnel.
    public func wgQuick(_ key: ExportedKey) -> String {
        // Tables have numbers of 32 bits; the lowest are taken, and no two networks of a machine have the same port.
        let table = 65536 + UInt32(wireGuard.port)
        let hasDefault = routes.contains(where: Self.isDefault)
        var lines = ["# \(title)"] + omissions.map { "# Not in here: \($0)" } + ["[Interface]"]
        switch key {
        case .file(let path): lines.append("PostUp = wg set %i private-key \(path)")
        case .included(let key): lines.append("PrivateKey = \(key.text)")
        }
        lines.append("ListenPort = \(wireGuard.port)")
        lines += addresses.map { "Address = \($0)" }
        if let mtu { lines.append("MTU = \(mtu)") }
        lines.append("Table = off")
        if hasDefault { lines.append("FwMark = \(table)") }
        for route in routes {
            let family = route.destination.isV6 ? "-6" : "-4"
            let table = Self.isDefault(route) ? " table \(table)" : ""
            switch route.target {
            case .unreachable:
                lines.append("PostUp = ip \(family) route add unreachable \(route.destination)")
                lines.append("PostDown = ip \(family) route del unreachable \(route.destination)")
            case .nic:
                let text = "\(route)".replacingName(interface)
                lines.append("PostUp = ip \(family) route add \(text)\(table)")
            }
        }
        for family in ["-4", "-6"] {
            guard routes.contains(where: { Self.isDefault($0) && $0.destination.isV6 == (family == "-6") }) else {
                continue
            }
            for rule in ["not fwmark \(table) table \(table)", "table main suppress_prefixlength 0"] {
                lines.append("PostUp = ip \(family) rule add \(rule)")
                lines.append("PreDown = ip \(family) rule del \(rule)")
            }
        }
        if hasDefault { lines.append("PostUp = sysctl -q net.ipv4.conf.all.src_valid_mark=1") }
        if forwards { lines.append("PostUp = sysctl -q net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1") }
        for peer in wireGuard.peers { lines += ["", "# \(peer.node)"] + stanza(peer, allowedIPs: peer.allowedIPs) }
        return lines.joined(separator: "\n") + "\n"
    }

    /// A file for the apps of phones, which make routes of the allowed IPs themselves and run no commands.
    public func app(_ key: PrivateKey) -> String {
        var lines = ["[Interface]", "PrivateKey = \(key.text)"]
        lines += globalAddresses.map { "Address = \($0)" }
        if let mtu { lines.append("MTU = \(mtu)") }
        for peer in wireGuard.peers {
            lines += [""] + stanza(peer, allowedIPs: peer.allowedIPs.filter { !$0.isOfLink })
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func stanza(_ peer: WireGuardPeer, allowedIPs: [IPPrefix]) -> [String] {
        var lines = ["[Peer]", "PublicKey = \(peer.key)"]
        if let endpoint = peer.endpoint { lines.append("Endpoint = \(endpoint)") }
        if peer.endpoint != nil { lines.append("PersistentKeepalive = \(peer.keepalive)") }
        lines.append("AllowedIPs = " + allowedIPs.map(\.description).joined(separator: ", "))
        return lines
    }
}

extension PrivateKey {
    var text: String {
        // Both kinds of keys have the same text.
        guard let same = PublicKey(bytes: bytes.span) else { preconditionFailure("a key has 32 bytes") }
        return same.description
    }
}

extension String {
    /// wg-quick puts the name of the file in the place of `%i`, so it may be called otherwise.
    fileprivate func replacingName(_ name: String) -> String {
        split(separator: " ", omittingEmptySubsequences: false).map { $0 == name ? "%i" : String($0) }
            .joined(separator: " ")
    }
}
