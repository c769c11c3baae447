import NetworkAddresses
import TenantModel
import TenantPlan
import WireGuardTypes

/// A machine room of namespaces through which packets are carried one by one. It knows plans, and nothing of how the
/// product proves them: sessions come up by datagrams that are sent, and every table is searched from top to bottom.
final class NaiveNet {
    final class Room {
        let node: Node
        let name: String?
        let plan: NamespacePlan
        let isDevice: Bool
        var nics: [Nic]
        var routes: [Route]
        /// Connections that have passed: how they came, and how they left.
        var memory: [(came: Parcel, left: Parcel)] = []

        init(_ node: Node, _ plan: NamespacePlan, isDevice: Bool) {
            self.node = node
            self.plan = plan
            self.isDevice = isDevice
            name = plan.name
            nics = plan.nics
            routes = plan.routes
        }

        func nic(_ name: String) -> Nic? { nics.first { $0.name == name } }
    }

    struct Parcel: Equatable {
        var source: Bits
        var destination: Bits
        var sourcePort: Int
        var port: Int
        var kind: String

        var back: Parcel {
            Parcel(source: destination, destination: source, sourcePort: port, port: sourcePort, kind: kind)
        }
    }

    enum Fate: Equatable {
        case lost(String)
        case home(MemberID)
        /// Of a namespace that is no network's.
        case box(NodeName)
        case outside(NodeName, String)
    }

    struct Tunnel {
        let room: Room
        let nic: Nic
        let setup: WireGuardNic
        let member: MemberID
        /// Keys of those that have been heard, with what they were heard by.
        var heard: Set<PublicKey> = []
    }

    private(set) var rooms: [Room] = []
    private var tunnels: [Tunnel] = []
    private let networks: [ResolvedNetwork]
    /// Who keeps a way open from which relayed member to which.
    private var relayed: Set<[MemberID]> = []
    private var afterKeepalives: ([Tunnel], Set<[MemberID]>) = ([], [])

    init(_ plan: Plan, _ networks: [ResolvedNetwork]) {
        self.networks = networks
        for node in plan.nodes {
            guard let resource = networks.lazy.flatMap(\.resources).first(where: { $0.id.node == node.name })
            else { continue }
            for namespace in node.namespaces {
                let room = Room(resource.node, namespace, isDevice: node.kind == .device)
                rooms.append(room)
                guard case .network(let network) = namespace.role else { continue }
                for nic in namespace.nics {
                    guard case .wireGuard(let setup) = nic.kind else { continue }
                    let member = MemberID(network: network, node: node.name)
                    tunnels.append(Tunnel(room: room, nic: nic, setup: setup, member: member))
                }
            }
        }
        // Twice, for over a relay the first one is not heard.
        for _ in 0..<2 { for index in tunnels.indices { sendKeepalives(index) } }
        afterKeepalives = (tunnels, relayed)
    }

    /// Forgets what questions left behind.
    func forget() {
        rooms.forEach { $0.memory = [] }
        (tunnels, relayed) = afterKeepalives
    }

    // MARK: - Datagrams

    /// Everybody who has an endpoint and sends keepalives is heard, if the datagram arrives.
    private func sendKeepalives(_ index: Int) {
        for peer in tunnels[index].setup.peers where peer.keepalive > 0 {
            guard let endpoint = peer.endpoint else { continue }
            deliver(index, endpoint, to: peer.key)
        }
    }

    /// Carries a datagram; whether the one it is for heard it.
    @discardableResult
    private func deliver(_ index: Int, _ endpoint: Endpoint, to key: PublicKey) -> Bool {
        let sender = tunnels[index]
        let address: Bits
        let speaks: Bool
        let birth = birth(of: sender)
        switch endpoint {
        case .v4(let number, _):
            address = Bits(number)
            speaks = birth.ipv4 != nil
        case .v6(let number, _, _):
            address = Bits(number)
            speaks = birth.ipv6 != nil
        }
        guard speaks else { return false }
        // A port of an exit?
        for room in rooms where !room.plan.relays.isEmpty {
            guard let box = room.node.births.first(where: { $0.namespace == room.name }),
                publicAddresses(box).contains(address), lets(room, address, Int(endpoint.port))
            else { continue }
            for relay in room.plan.relays where relay.port == endpoint.port {
                let target = tunnels.firstIndex { $0.member == relay.member }
                guard let target, tunnels[target].setup.key == key else { return false }
                relayed.insert([sender.member, relay.member])
                guard relayed.contains([relay.member, sender.member]) else { return false }
                return hear(index, target)
            }
        }
        for target in tunnels.indices where tunnels[target].setup.port == endpoint.port && target != index {
            let receiver = tunnels[target]
            guard receiver.setup.key == key else { continue }
            let box = self.birth(of: receiver)
            var isThere = publicAddresses(box).contains(address)
            if let lan = sender.room.node.lan?.lan, lan == receiver.room.node.lan?.lan, birth.leg == nil, box.leg == nil
            {
                let local = [receiver.room.node.ipv4, receiver.room.node.ipv6].compactMap { $0?.addresses }
                isThere = isThere || local.joined().contains { Bits($0) == address }
            }
            guard isThere else { continue }
            if let room = rooms.first(where: { $0.node.name == receiver.member.node && $0.name == receiver.nic.birth }),
                !receiver.room.isDevice, !lets(room, address, Int(endpoint.port))
            {
                return false
            }
            return hear(index, target)
        }
        return false
    }

    private func hear(_ sender: Int, _ receiver: Int) -> Bool {
        guard tunnels[receiver].setup.peers.contains(where: { $0.key == tunnels[sender].setup.key }) else {
            return false
        }
        tunnels[receiver].heard.insert(tunnels[sender].setup.key)
        return true
    }

    private func birth(of tunnel: Tunnel) -> Birth {
        tunnel.room.node.births.first { $0.namespace == tunnel.nic.birth } ?? Birth(leg: nil, ipv4: nil, ipv6: nil)
    }

    private func publicAddresses(_ birth: Birth) -> [Bits] {
        [birth.ipv4, birth.ipv6].compactMap(\.self).filter { $0.kind == .public }.flatMap(\.addresses).map { Bits($0) }
    }

    /// Whether a stranger's datagram gets into a room.
    private func lets(_ room: Room, _ address: Bits, _ port: Int) -> Bool {
        let stranger = Parcel(
            source: Self.somebody(address.isIPv4),
            destination: address,
            sourcePort: 9,
            port: port,
            kind: "udp"
        )
        return judge(room.plan.firewall.input, room.plan.firewall.inputPolicy, stranger, nil, nil, false, false)
    }

    static func somebody(_ isIPv4: Bool) -> Bits {
        isIPv4 ? Bits(isIPv4: true, value: 0x5005_0505 << 96) : Bits(isIPv4: false, value: 0x2a00_1111 << 96 | 7)
    }

    // MARK: - Packets

    func send(_ parcel: Parcel, from room: Room, by nic: String?) -> (fate: Fate, parcel: Parcel, nodes: [NodeName]) {
        var parcel = parcel
        var room = room
        var entry = nic
        var nodes = [room.node.name]
        for _ in 0..<40 {
            let came = parcel
            var isKnown = false
            var isLed = false
            if let old = room.memory.first(where: { $0.left.back == parcel }) {
                parcel = old.came.back
                isKnown = true
                isLed = true
            } else if let entry {
                for rule in room.plan.firewall.forwards where rule.from == nil || rule.from == entry {
                    guard Bits(rule.address) == parcel.destination, Int(rule.port) == parcel.port,
                        "\(rule.transport)" == parcel.kind
                    else { continue }
                    parcel.destination = Bits(rule.target)
                    parcel.port = Int(rule.targetPort)
                    isLed = true
                    break
                }
            }
            if room.nics.contains(where: { $0.addresses.contains { Bits($0.address) == parcel.destination } }) {
                let firewall = room.plan.firewall
                guard judge(firewall.input, firewall.inputPolicy, parcel, entry, nil, isKnown, isLed)
                else { return (.lost("input"), parcel, nodes) }
                room.memory.append((came, parcel))
                return (home(room), parcel, nodes)
            }
            guard let (exit, hop) = route(room, parcel.destination) else { return (.lost("route"), parcel, nodes) }
            if let entry {
                let firewall = room.plan.firewall
                guard room.plan.forwards else { return (.lost("forwarding"), parcel, nodes) }
                guard judge(firewall.forward, firewall.forwardPolicy, parcel, entry, exit, isKnown, isLed)
                else { return (.lost("forward"), parcel, nodes) }
            }
            if !isKnown { masquerade(room, &parcel, exit) }
            room.memory.append((came, parcel))
            guard let out = room.nic(exit) else {
                guard exit == "world" else { return (.lost("nic"), parcel, nodes) }
                return (.outside(room.node.name, exit), parcel, nodes)
            }
            switch out.kind {
            case .inside: return (home(room), parcel, nodes)
            case .outside: return (.outside(room.node.name, exit), parcel, nodes)
            case .bridge: return (.lost("bridge"), parcel, nodes)
            case .transit(let namespace):
                let here = room
                guard let next = rooms.first(where: { $0.node.name == here.node.name && $0.name == namespace })
                else { return (.lost("transit"), parcel, nodes) }
                room = next
                entry = exit
            case .vxlan(let segment):
                guard let next = neighbour(room, segment, hop ?? parcel.destination)
                else { return (.lost("vxlan"), parcel, nodes) }
                (room, entry) = next
            case .wireGuard:
                guard let next = encrypt(room, out, parcel) else { return (.lost("wireguard"), parcel, nodes) }
                (room, entry) = next
            }
            if nodes.last != room.node.name { nodes.append(room.node.name) }
        }
        return (.lost("loop"), parcel, nodes)
    }

    private func home(_ room: Room) -> Fate {
        guard case .network(let network) = room.plan.role else { return .box(room.node.name) }
        return .home(MemberID(network: network, node: room.node.name))
    }

    /// The nic and the next hop of the longest route, and of the lowest metric among equals.
    private func route(_ room: Room, _ destination: Bits) -> (String, Bits?)? {
        var best: (length: Int, metric: Int, nic: String?, hop: Bits?)?
        func offer(_ prefix: IPPrefix, _ metric: Int, _ nic: String?, _ hop: Bits?) {
            guard destination.isIn(prefix) else { return }
            if let old = best, (old.length, -old.metric) >= (Int(prefix.length), -metric) { return }
            best = (Int(prefix.length), metric, nic, hop)
        }
        for nic in room.nics {
            for address in nic.addresses { offer(address, -1, nic.name, nil) }
        }
        for route in room.routes {
            switch route.target {
            case .unreachable: offer(route.destination, Int(route.metric), nil, nil)
            case .nic(let name, let hop): offer(route.destination, Int(route.metric), name, hop.map { Bits($0) })
            }
        }
        if room.plan.role == .host, room.node.legs.isEmpty, best == nil {
            let reachability = destination.isIPv4 ? room.node.ipv4 : room.node.ipv6
            return reachability == nil ? nil : ("world", nil)
        }
        guard let best, let nic = best.nic else { return nil }
        if let hop = best.hop, hop.isIPv4 {
            let isNear =
                room.nic(nic)?.addresses.contains { hop.isIn($0) } ?? false
                || room.routes.contains { $0.target == .nic(nic, hop: nil) && hop.isIn($0.destination) }
            guard isNear else { return nil }
        }
        return (nic, best.hop)
    }

    private func neighbour(_ room: Room, _ segment: VXLANNic, _ hop: Bits) -> (Room, String)? {
        for other in rooms where other !== room && other.node.lan?.lan == room.node.lan?.lan {
            for nic in other.nics {
                guard case .vxlan(let theirs) = nic.kind, theirs.identifier == segment.identifier,
                    nic.addresses.contains(where: { Bits($0.address) == hop })
                else { continue }
                switch (segment.delivery, theirs.delivery) {
                case (.peers(let ours), .peers(let others)):
                    guard ours.contains(theirs.local), others.contains(segment.local) else { continue }
                case (.group(let one, _), .group(let two, _)): guard one == two else { continue }
                default: continue
                }
                return (other, nic.name)
            }
        }
        return nil
    }

    /// The peer with the longest allowed IP; it must have a way to the other, and the other must take the source.
    private func encrypt(_ room: Room, _ nic: Nic, _ parcel: Parcel) -> (Room, String)? {
        guard let index = tunnels.firstIndex(where: { $0.room === room && $0.nic.name == nic.name }),
            let peer = holder(tunnels[index].setup.peers, parcel.destination)
        else { return nil }
        let canSend = peer.endpoint.map { deliver(index, $0, to: peer.key) } ?? false
        guard canSend || tunnels[index].heard.contains(peer.key),
            let other = tunnels.first(where: { $0.setup.key == peer.key }),
            let sender = holder(other.setup.peers, parcel.source), sender.key == tunnels[index].setup.key
        else { return nil }
        return (other.room, other.nic.name)
    }

    private func holder(_ peers: [WireGuardPeer], _ address: Bits) -> WireGuardPeer? {
        var best: (length: Int, peer: WireGuardPeer)?
        for peer in peers {
            for prefix in peer.allowedIPs where address.isIn(prefix) && Int(prefix.length) >= best?.length ?? -1 {
                best = (Int(prefix.length), peer)
            }
        }
        return best?.peer
    }

    private func masquerade(_ room: Room, _ parcel: inout Parcel, _ exit: String) {
        for rule in room.plan.firewall.translations {
            guard rule.to == nil || rule.to == exit, parcel.source.isIn(rule.source) else { continue }
            switch rule.becomes {
            case .address(let address): parcel.source = Bits(address)
            case .prefix: break
            case .masquerade:
                let isIPv4 = parcel.source.isIPv4
                var candidates = room.nic(exit)?.addresses.map { Bits($0.address) } ?? []
                if exit == "world" {
                    candidates = (isIPv4 ? room.node.ipv4 : room.node.ipv6)?.addresses.map { Bits($0) } ?? []
                    if candidates.isEmpty { candidates = [Bits(isIPv4: isIPv4, value: 0x0707_0707 << 96)] }
                }
                if let mine = candidates.first(where: { $0.isIPv4 == isIPv4 && !$0.isLinkLocal }) {
                    parcel.source = mine
                }
            }
            return
        }
    }

    private func judge(
        _ rules: [FilterRule],
        _ policy: Firewall.Verdict,
        _ parcel: Parcel,
        _ entry: String?,
        _ exit: String?,
        _ isKnown: Bool,
        _ isLed: Bool
    ) -> Bool {
        for rule in rules {
            var fits = rule.state != .invalid
            if rule.state == .established { fits = fits && isKnown }
            if rule.state == .forwarded { fits = fits && isLed }
            if let name = rule.from { fits = fits && entry == name }
            if let name = rule.to { fits = fits && exit == name }
            if let prefix = rule.source { fits = fits && parcel.source.isIn(prefix) }
            if let prefix = rule.destination { fits = fits && parcel.destination.isIn(prefix) }
            if let kind = rule.transport { fits = fits && kind.rawValue == parcel.kind }
            if !rule.ports.isEmpty { fits = fits && rule.ports.contains { $0.contains(UInt16(parcel.port)) } }
            if fits { return rule.verdict == .accept }
        }
        return policy == .accept
    }
}
