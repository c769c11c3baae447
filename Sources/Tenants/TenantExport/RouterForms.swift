internal import NetworkAddresses
internal import TenantModel
internal import TenantPlan
internal import WireGuardTypes

extension ExportedMember {
    /// Commands for `uci batch` of OpenWrt. Its own WireGuard protocol keeps the way to the endpoints out of the tunnel.
    public func uci(_ key: ExportedKey) -> String {
        let name = String(interface.map { $0 == "-" ? "_" : $0 })
        var lines = ["# \(title)"] + omissions.map { "# Not in here: \($0)" }
        lines += ["set network.\(name)=interface", "set network.\(name).proto='wireguard'"]
        switch key {
        case .file(let path): lines.append("# set network.\(name).private_key='…'  (what is in \(path))")
        case .included(let key): lines.append("set network.\(name).private_key='\(key.text)'")
        }
        lines.append("set network.\(name).listen_port='\(wireGuard.port)'")
        if let mtu { lines.append("set network.\(name).mtu='\(mtu)'") }
        lines += addresses.map { "add_list network.\(name).addresses='\($0)'" }
        for peer in wireGuard.peers {
            let section = "network.@wireguard_\(name)[-1]"
            lines += ["add network wireguard_\(name)", "set \(section).description='\(peer.node)'"]
            lines.append("set \(section).public_key='\(peer.key)'")
            if let endpoint = peer.endpoint {
                lines.append("set \(section).endpoint_host='\(endpoint.host)'")
                lines.append("set \(section).endpoint_port='\(endpoint.port)'")
                lines.append("set \(section).persistent_keepalive='\(peer.keepalive)'")
            }
            lines.append("set \(section).route_allowed_ips='0'")
            lines += peer.allowedIPs.map { "add_list \(section).allowed_ips='\($0)'" }
        }
        for route in routes {
            let kind = route.destination.isV6 ? "route6" : "route"
            lines += ["add network \(kind)", "set network.@\(kind)[-1].interface='\(name)'"]
            lines.append("set network.@\(kind)[-1].target='\(route.destination)'")
            switch route.target {
            case .unreachable: lines.append("set network.@\(kind)[-1].type='unreachable'")
            case .nic(_, let hop?): lines.append("set network.@\(kind)[-1].gateway='\(hop.text)'")
            case .nic: break
            }
        }
        lines.append("commit network")
        return lines.joined(separator: "\n") + "\n"
    }

    /// Static routes for BIRD 2, in the place of those of the file of wg-quick. The way to everybody else stays in that
    /// file, where it is in a table of its own.
    public var bird: String {
        ["6", "4"].map { family in
            let lines = routes.filter { $0.destination.isV6 == (family == "6") && !Self.isDefault($0) }.map {
                route -> String in
                switch route.target {
                case .unreachable: "    route \(route.destination) unreachable;"
                case .nic(_, .v6(let hop)?): "    route \(route.destination) via \(hop)%'\(interface)';"
                case .nic(_, .v4(let hop)?): "    route \(route.destination) via \(hop);"
                case .nic: "    route \(route.destination) via \"\(interface)\";"
                }
            }
            let name = String(interface.map { $0 == "-" ? "_" : $0 })
            return "# \(title)\nprotocol static \(name)_ipv\(family) {\n    ipv\(family);\n"
                + lines.map { "\($0)\n" }.joined() + "}\n"
        }.joined()
    }

    /// The same for FRR.
    public var frr: String {
        "! \(title)\n"
            + routes.filter { !Self.isDefault($0) }.map { route in
                let command = "\(route.destination.isV6 ? "ipv6" : "ip") route \(route.destination)"
                return switch route.target {
                case .unreachable: "\(command) blackhole\n"
                case .nic(_, let hop?): "\(command) \(hop.text) \(interface)\n"
                case .nic: "\(command) \(interface)\n"
                }
            }.joined()
    }
}

extension Endpoint {
    /// The address alone, without brackets.
    fileprivate var host: String {
        switch self {
        case .v4(let address, _): "\(address)"
        case .v6(let address, _, _): "\(address)"
        }
    }
}
