internal import EUI64
internal import Glibc
internal import KexProtocol
internal import Keys
internal import LinkControl
internal import Netlink
internal import NetworkAddresses
internal import SystemCalls
internal import SystemPackage
internal import Time
internal import VXLANFdb
internal import WireGuardControl
internal import WireGuardTypes

/// A router's two interfaces, made and taken away.
struct Router: ~Copyable {
    private let configuration: RouterConfiguration
    private var links: LinkControl
    /// What this run has made, in order, so that a failure half-way can take it back.
    private var made: [InterfaceName] = []

    /// Seconds between keepalives, so that the path to the router stays open through address translation.
    /// Source: what deployed routers use.
    static let keepalive: UInt16 = 25
    /// Seconds after a handshake for which the session lives. Source: REJECT_AFTER_TIME of the WireGuard paper.
    static let sessionTime: Int64 = 180
    /// Time for the gateway to answer in a session that was there before. It may have lost it.
    static let sessionAnswerTime = Duration.seconds(2)
    /// Pause between two looks at the handshake.
    static let handshakePause = Duration.milliseconds(100)
    /// Time for a process that runs WireGuard to end after its interface has gone.
    static let farewellTime = Duration.seconds(2)

    init(_ configuration: RouterConfiguration) throws(Failure) {
        self.configuration = configuration
        links = try inWords { () throws(NetlinkError) in try LinkControl() }
    }

    // MARK: - Up

    /// Makes what is missing, registers, and connects. Where everything is there already it changes nothing.
    ///
    /// Registering comes before the peer: a handshake that reaches a gateway which does not know the key yet is lost,
    /// and the next one comes five seconds later.
    ///
    /// - Parameter handshakeTime: how long to wait for the gateway's answer; zero for not at all.
    mutating func up(registrationTime: Duration, handshakeTime: Duration) throws(Failure) {
        let connection: Connection
        do throws(Failure) {
            let tunnel = try makeInterfaces()
            connection = try connect(tunnel, to: try register(tunnel, within: registrationTime))
        } catch {
            throw takeBack(after: error)
        }
        // From here on nothing is taken back: the handshake may come a little later.
        try waitForHandshake(connection, within: handshakeTime)
    }

    /// The two interfaces at work.
    private struct Tunnel {
        let wireGuard: any WireGuardInterface
        let wireGuardIndex: InterfaceIndex
        let vxlanIndex: InterfaceIndex
        let key: PublicKey
    }

    /// A peer that has been set, and what is known of it.
    private struct Connection {
        let wireGuard: any WireGuardInterface
        let wireGuardIndex: InterfaceIndex
        let gateway: RouterConfiguration.Gateway
        let endpoint: Endpoint
        /// The peer with a session of before the registration; `nil` if it was made afresh.
        let present: Peer?

        /// The gateway as a peer without a session: its first handshake goes out at once.
        var freshPeer: [PeerChange] {
            let settings = PeerSettings(
                publicKey: gateway.publicKey,
                allowedIPs: [IPPrefix(host: gateway.linkAddress)],
                endpoint: endpoint,
                persistentKeepalive: Router.keepalive
            )
            return [.remove(gateway.publicKey), .add(settings)]
        }
    }

    private mutating func makeInterfaces() throws(Failure) -> Tunnel {
        let (privateKey, isNew) = try RouterKeyFile.load(path: configuration.privateKeyFile)
        if isNew { tell("made private key \(configuration.privateKeyFile)") }
        let key = privateKey.publicKey
        let mac = configuration.addressProfile.mac(of: key)
        let address = configuration.addressProfile.linkLocalAddress(of: key)
        if let gateway = configuration.gateways.first(where: { $0.linkAddress == address || $0.publicKey == key }) {
            throw Failure(
                .configuration,
                """
                this router's own key or address is that of gateway \(gateway.exchange)
                give the router a key of its own: remove \(configuration.privateKeyFile), or name another file
                """
            )
        }
        // Before anything is changed: an interface that was made for another key cannot be turned into one for this.
        if let link = try link(named: configuration.vxlan) { try check(link, isForMAC: mac) }
        try makeWireGuard()
        let (name, mark) = (configuration.wireGuard, configuration.firewallMark)
        let wireGuard = try inWords { () throws(WireGuardError) in
            let wireGuard = try openWireGuardInterface(name)
            try wireGuard.configure(privateKey: privateKey, listenPort: nil, firewallMark: mark)
            return wireGuard
        }
        try setAddress(address, of: name)
        let index = try existing(name).index
        tell("\(name): key \(key), address \(address)")
        let vxlanIndex = try makeVXLAN(mac: mac, local: address, above: index)
        tell("\(configuration.vxlan): mac \(mac), network \(configuration.vxlanIdentifier) through \(name)")
        return Tunnel(wireGuard: wireGuard, wireGuardIndex: index, vxlanIndex: vxlanIndex, key: key)
    }

    private mutating func link(named name: InterfaceName) throws(Failure) -> Link? {
        try inWords { () throws(NetlinkError) in try links.link(named: name) }
    }

    /// An interface that was there a moment ago.
    private mutating func existing(_ name: InterfaceName) throws(Failure) -> Link {
        guard let link = try link(named: name) else {
            throw Failure(.system, "interface \(name) has gone while it was being set up; try again")
        }
        return link
    }

    /// Makes the WireGuard interface in the kernel if it can, else with wireguard-go. Leaves one that is there.
    private mutating func makeWireGuard() throws(Failure) {
        let name = configuration.wireGuard
        if let link = try link(named: name) {
            guard Self.isWireGuard(link) else { throw Failure.stranger(name, isNot: "a WireGuard interface") }
            return
        }
        let isInKernel = try inWords { () throws(NetlinkError) in
            do throws(NetlinkError) {
                try links.createWireGuard(name)
                return true
            } catch {
                guard error.refusal == .notSupportedOnSocket else { throw error }
                return false
            }
        }
        if !isInKernel { try UserspaceTunnel.start(name) }
        made.append(name)
        tell("made WireGuard interface \(name)\(isInKernel ? "" : " with wireguard-go: this kernel has no WireGuard")")
    }

    /// What a userspace WireGuard makes is a tunnel interface to the kernel.
    private static func isWireGuard(_ link: Link) -> Bool { link.kind == "wireguard" || link.kind == "tun" }

    /// Gives the WireGuard interface its one address and sets it up.
    private mutating func setAddress(_ address: IPv6Address, of name: InterfaceName) throws(Failure) {
        guard let prefix = IPPrefix(.v6(address), length: 64) else { preconditionFailure("64 bits fit into 128") }
        let mtu = configuration.wireGuardMTU
        var isOff = false
        try inWords { () throws(NetlinkError) in
            // The derived address must be the only one: the gateway drops packets that come from any other.
            try links.turnOffAddressGeneration(of: name)
            do throws(NetlinkError) {
                try links.addAddress(prefix, to: name)
            } catch {
                if error.refusal == .permissionDenied, isIPv6Off(on: name) { isOff = true }
                guard error.refusal == .fileExists || isOff else { throw error }
            }
            if !isOff { try links.change(name, mtu: mtu, isUp: true) }
        }
        guard isOff else { return }
        // What is made again has what the default says.
        let which = made.contains(name) ? "default" : name.text
        throw Failure(
            .system,
            """
            cannot give \(name) its address \(address): IPv6 is off on it
            turn it on and try again: sysctl -w net.ipv6.conf.\(which).disable_ipv6=0
            """
        )
    }

    private func isIPv6Off(on name: InterfaceName) -> Bool {
        // Not every name has a path: a slash, a dot.
        let path = "/proc/sys/net/ipv6/conf/\(name)/disable_ipv6"
        let value = (try? File.read(path, limit: 16))?.flatMap(\.first)
        return value == UInt8(ascii: "1")
    }

    /// Most MAC addresses that the VXLAN interface learns: more than a mesh has, and few enough for the memory of a
    /// router.
    private static let addressLimit: UInt32 = 16384

    /// Makes the VXLAN interface if it is not there, and sets it up.
    private mutating func makeVXLAN(
        mac: MACAddress,
        local: IPv6Address,
        above underlying: InterfaceIndex
    ) throws(Failure) -> InterfaceIndex {
        let name = configuration.vxlan
        let mtu = configuration.mtu
        if try link(named: name) == nil {
            let settings = VXLANSettings(
                identifier: configuration.vxlanIdentifier,
                local: local,
                underlying: underlying,
                port: configuration.vxlanPort,
                learns: true,
                addressLimit: Self.addressLimit
            )
            try inWords { () throws(NetlinkError) in try links.createVXLAN(name, settings) }
            made.append(name)
            try inWords { () throws(NetlinkError) in try links.change(name, mac: mac) }
            tell("made VXLAN interface \(name)")
        }
        try inWords { () throws(NetlinkError) in try links.change(name, mtu: mtu, isUp: true) }
        return try existing(name).index
    }

    private func check(_ vxlan: Link, isForMAC mac: MACAddress) throws(Failure) {
        guard vxlan.kind == "vxlan" else { throw Failure.stranger(vxlan.name, isNot: "a VXLAN interface") }
        guard vxlan.mac == mac else {
            throw Failure(
                .system,
                "interface \(vxlan.name) was made for another key; take it away first: kex-client down FILE"
            )
        }
    }

    private struct Registered {
        let gateway: RouterConfiguration.Gateway
        let endpoint: Endpoint
    }

    /// Registers with one of the gateways: the present one if there is one, else any.
    private func register(_ tunnel: borrowing Tunnel, within time: Duration) throws(Failure) -> Registered {
        let wireGuard = tunnel.wireGuard
        let present = Set(try inWords { () throws(WireGuardError) in try wireGuard.state() }.peers.map(\.publicKey))
        // In random order, so that routers with the same file spread over its gateways; the first of all is the one
        // that the router has already, so that it does not wander at each repair.
        let shuffled = configuration.gateways.shuffled()
        let gateways =
            shuffled.filter { present.contains($0.publicKey) } + shuffled.filter { !present.contains($0.publicKey) }
        let registrar = Registrar(
            registration: Registration(domain: configuration.domain, key: tunnel.key),
            deadline: .now + time,
            maximumRounds: nil
        )
        let (index, endpoint) = try registrar.register(with: gateways.map(\.exchange))
        tell("registered in \(configuration.domain) with \(gateways[index].exchange.place(endpoint))")
        return Registered(gateway: gateways[index], endpoint: endpoint)
    }

    /// Makes the gateway the only peer and the only destination of broadcasts.
    private func connect(_ tunnel: Tunnel, to registered: Registered) throws(Failure) -> Connection {
        let gateway = registered.gateway
        let endpoint = try endpoint(of: gateway, like: registered.endpoint)
        let wireGuard = tunnel.wireGuard
        let others = configuration.gateways.map(\.publicKey).filter { $0 != gateway.publicKey }
        let connection = try inWords { () throws(WireGuardError) in
            let peers = try wireGuard.state().peers
            let present = peers.first { $0.publicKey == gateway.publicKey }
            let connection = Connection(
                wireGuard: wireGuard,
                wireGuardIndex: tunnel.wireGuardIndex,
                gateway: gateway,
                endpoint: endpoint,
                present: present.flatMap { Self.hasSession($0) ? $0 : nil }
            )
            let removals = peers.map(\.publicKey).filter(others.contains).map(PeerChange.remove)
            // A dead session would wait for its next turn before it shakes hands.
            try wireGuard.apply(removals + (connection.present == nil ? connection.freshPeer : []))
            return connection
        }
        let (vxlan, via) = (tunnel.vxlanIndex, tunnel.wireGuardIndex)
        let strangers = configuration.gateways.map(\.linkAddress).filter { $0 != gateway.linkAddress }
        try inWords { () throws(NetlinkError) in
            var fdb = try VXLANFdb(device: vxlan)
            let outcomes =
                try fdb.append([.flood(to: gateway.linkAddress, via: via)])
                + fdb.delete(strangers.map { .flood(to: $0, via: via) })
            for case .failed(let error) in outcomes { throw error }
        }
        tell("peer \(gateway.publicKey) at \(endpoint), address \(gateway.linkAddress)")
        return connection
    }

    /// An age below zero means that the clock was set back since: no reason to end a session.
    private static func hasSession(_ peer: Peer) -> Bool {
        peer.lastHandshake.map { wallClockSeconds() - $0 < sessionTime } ?? false
    }

    /// The gateway's WireGuard address: of several, one of the family over which it has just answered.
    private func endpoint(
        of gateway: RouterConfiguration.Gateway,
        like answered: Endpoint
    ) throws(Failure) -> Endpoint {
        let endpoints: [Endpoint]
        do throws(HostLookupError) {
            endpoints = try HostLookup.endpoints(
                ofHost: gateway.endpoint.host,
                port: gateway.endpoint.port,
                until: .now + Registrar.lookupTime
            )
        } catch {
            throw Failure(.unreachable, "\(error)\ncheck Endpoint=\(gateway.endpoint) and the name server")
        }
        func isV4(_ endpoint: Endpoint) -> Bool { if case .v4 = endpoint { true } else { false } }
        guard let endpoint = endpoints.first(where: { isV4($0) == isV4(answered) }) ?? endpoints.first else {
            throw Failure(.unreachable, "\(gateway.endpoint.host) has no address; check Endpoint=\(gateway.endpoint)")
        }
        return endpoint
    }

    private func waitForHandshake(_ connection: Connection, within time: Duration) throws(Failure) {
        let start = MonotonicTime.now
        guard time > .zero else { return tell("not waiting for the handshake") }
        func milliseconds() -> Int { Int((MonotonicTime.now - start) / .milliseconds(1)) }
        if let present = connection.present {
            // Its handshake is older than the registration, so it proves nothing: the gateway may have begun anew
            // since.
            if try isAnswered(connection, since: present, within: min(time, Self.sessionAnswerTime)) {
                return tell("session with the gateway: answered after \(milliseconds()) ms")
            }
            tell("session with the gateway: no answer in it, shaking hands anew")
            try inWords { () throws(WireGuardError) in try connection.wireGuard.apply(connection.freshPeer) }
        }
        while true {
            // A fresh peer has no handshake but those that come now.
            if let peer = try peer(of: connection), Self.hasSession(peer) {
                return tell("handshake with the gateway: there after \(milliseconds()) ms")
            }
            guard MonotonicTime.now - start < time else { break }
            (MonotonicTime.now + Self.handshakePause).sleep()
        }
        throw Failure(
            .unreachable,
            """
            registered, but no handshake with \(connection.endpoint) in \(time.components.seconds) s
            the interfaces stay, and WireGuard goes on trying; see: wg show \(configuration.wireGuard)
            check that UDP to \(connection.endpoint) passes every firewall, and that PublicKey= is the gateway's
            check the clock: a gateway is silent to a router whose time is before that of its last handshake
            """
        )
    }

    private func peer(of connection: Connection) throws(Failure) -> Peer? {
        let state = try inWords { () throws(WireGuardError) in try connection.wireGuard.state() }
        return state.peers.first { $0.publicKey == connection.gateway.publicKey }
    }

    /// Whether anything comes from the gateway, which is asked for it, that only the holder of a session can send.
    private func isAnswered(
        _ connection: Connection,
        since present: Peer,
        within time: Duration
    ) throws(Failure) -> Bool {
        let echo = try? Echo(to: connection.gateway.linkAddress, through: connection.wireGuardIndex)
        let deadline = MonotonicTime.now + time
        while true {
            echo?.send()
            (MonotonicTime.now + Self.handshakePause).sleep()
            if let peer = try peer(of: connection), peer.receivedBytes > present.receivedBytes { return true }
            guard MonotonicTime.now < deadline else { return false }
        }
    }

    /// Deletes what this run has made, the last first, and adds to the failure what became of it.
    private mutating func takeBack(after failure: Failure) -> Failure {
        var notes: [String] = []
        for name in made.reversed() {
            do throws(Failure) {
                try inWords { () throws(NetlinkError) in _ = try links.delete(name) }
                notes.append("\(name) was taken back")
            } catch {
                notes.append("\(error.text); delete it with: ip link delete \(name)")
            }
        }
        for name in [configuration.wireGuard, configuration.vxlan] where !made.contains(name) {
            if let link = try? link(named: name), link.name == name {
                notes.append("\(name) was there before and stays")
            }
        }
        return Failure(failure.status, ([failure.text] + notes).joined(separator: "\n"))
    }

    // MARK: - Down

    /// Takes away what ``up(registrationTime:handshakeTime:)`` makes, whether this program made it or not. Where there
    /// is nothing it does nothing.
    mutating func down() throws(Failure) {
        let vxlan = configuration.vxlan
        if let link = try link(named: vxlan) {
            guard link.kind == "vxlan" else { throw Failure.stranger(vxlan, isNot: "a VXLAN interface") }
            try inWords { () throws(NetlinkError) in _ = try links.delete(vxlan) }
            tell("deleted \(vxlan)")
        } else {
            tell("there is no \(vxlan)")
        }
        let name = configuration.wireGuard
        guard let link = try link(named: name) else { return tell("there is no \(name)") }
        guard Self.isWireGuard(link) else { throw Failure.stranger(name, isNot: "a WireGuard interface") }
        try inWords { () throws(WireGuardError) in
            // Peers first: the kernel takes 16 ms for each that it finds when the interface goes.
            let wireGuard = try openWireGuardInterface(name)
            try wireGuard.apply(try wireGuard.state().peers.map { .remove($0.publicKey) })
        }
        try inWords { () throws(NetlinkError) in _ = try links.delete(name) }
        tell("deleted \(name)")
        try UserspaceTunnel.waitForEnd(of: name, within: Self.farewellTime)
    }
}

extension Failure {
    /// An interface that is in the way.
    static func stranger(_ name: InterfaceName, isNot kind: String) -> Failure {
        Failure(
            .system,
            "interface \(name) is there and is not \(kind); it is left alone\nname another one in the file"
        )
    }

    /// What to do if the kernel says that this user may not.
    fileprivate static func advice(for errno: Errno?) -> String {
        (errno == .notPermitted || errno == .permissionDenied) && geteuid() != 0 ? "\nrun kex-client as root" : ""
    }
}

/// Runs `work` and puts an error of the kernel's tables into words.
func inWords<Result: ~Copyable>(_ work: () throws(NetlinkError) -> Result) throws(Failure) -> Result {
    do throws(NetlinkError) {
        return try work()
    } catch {
        throw Failure(.system, "\(error)\(Failure.advice(for: error.refusal))")
    }
}

/// Runs `work` and puts an error of WireGuard into words.
func inWords<Result>(_ work: () throws(WireGuardError) -> Result) throws(Failure) -> Result {
    do throws(WireGuardError) {
        return try work()
    } catch {
        let errno: Errno? =
            switch error {
            case .refused(_, _, let errno, _): errno
            case .unreachable(_, _, let cause): cause.errno
            default: nil
            }
        throw Failure(.system, "\(error)\(Failure.advice(for: errno))")
    }
}
