internal import Keys
internal import LinkFacts
internal import LinkMessages
internal import NetworkAddresses
internal import PathProbe
internal import Time
internal import WireGuardTypes

extension LinkMember.Own {
    /// A probe to a port of the relay: who is to answer it, and where it went.
    struct RelayProbe: Hashable {
        var hub: PublicKey
        var pair: PublicKey
        var destination: Endpoint
    }

    init(_ snapshot: DeviceSnapshot, _ exchange: FactExchange, boot: UInt64, at now: MonotonicTime) {
        self.snapshot = snapshot
        readAt = now
        factsPort = exchange.factsPort ?? 0
        signer = GroupSigner(publicKey: snapshot.publicKey)
        table = ProbeTable(own: snapshot.publicKey, boot: boot)
        self.exchange = exchange
        site = Site(snapshot)
        peers = Dictionary(snapshot.peers.map { ($0.publicKey, $0) }) { first, _ in first }
    }

    /// What the device says of the network around this machine.
    struct Site: Sendable {
        let networks: [IPPrefix]
        let v4: Set<IPv4Address>
        let tunnel: TunnelNetworks

        init(_ snapshot: DeviceSnapshot) {
            networks = snapshot.underlayAddresses.map(\.address)
            v4 = Set(networks.compactMap { if case .v4(let address) = $0.address { address } else { nil } })
            tunnel = TunnelNetworks(snapshot)
        }
    }

    /// What this machine and another have in common.
    mutating func note(_ secret: SharedSecret?, of member: PublicKey, boot: UInt64) {
        awaitedSecrets.remove(member)
        touched.insert(member)
        guard let secret, sealers[member] == nil, table.add(member, secret: secret) else { return }
        signer.add(secret, of: member)
        sealers[member] = MessageSealer(
            secret: secret,
            own: snapshot.publicKey,
            other: member,
            boot: boot,
            after: lastCounter
        )
        addresses[member.memberAddress] = member
    }

    /// Whether a machine is a peer that the operator made, and not this program.
    func isOperators(_ key: PublicKey) -> Bool { peers[key] != nil && !snapshot.madePeers.contains(key) }

    /// Whether a machine forwards, and lends its relay: a peer of the operator, and one of ours.
    func isHub(_ key: PublicKey) -> Bool { isOperators(key) && exchange.member(key)?.ours?.relays ?? false }

    /// Whether a peer of ours is there to be told something.
    func isConnected(_ key: PublicKey) -> Bool {
        exchange.member(key).map { $0.ours != nil && $0.isHealthy } ?? false
    }

    func way(to view: MemberView) -> MemberStatus.Way {
        guard isOperators(view.key) else { return pairs[view.key]?.way ?? .throughHub(nil) }
        let endpoint = peers[view.key]?.endpoint
        return view.isRouter ? .hub(endpoint) : .peer(endpoint)
    }

    /// Whether a hub forwards now, as far as this machine knows.
    func isUsableHub(_ key: PublicKey) -> Bool { isHub(key) && isConnected(key) }

    /// The hub that connects this machine and another.
    func hub(for member: PublicKey) -> Pair.Hub? {
        let hubs = hubs(for: member)
        guard let key = pairs[member]?.choose(of: hubs) ?? hubs.min(), let endpoint = peers[key]?.endpoint
        else { return nil }
        return Pair.Hub(key: key, endpoint: endpoint)
    }

    /// All hubs that connect this machine and another.
    func hubs(for member: PublicKey) -> [PublicKey] {
        exchange.member(member)?.hubs.filter(isUsableHub) ?? []
    }

    /// The facts port of a machine: what it said, or as all have it that say nothing.
    func port(of member: PublicKey) -> UInt16 {
        pairs[member]?.port ?? exchange.member(member)?.ours?.port ?? factsPort
    }

    /// Where others may find this machine, as far as it knows.
    func candidates(at now: MonotonicTime) -> [Call.Candidate] {
        guard snapshot.listenPort != 0 else { return [] }
        let addresses = exchange.ownEndpoints.map { Call.Candidate(.interface, $0) }
        let places = mapping.places(at: now).map { Call.Candidate(.observed, $0) }.filter { place in
            !addresses.contains { $0.endpoint == place.endpoint }
        }
        // What others see is often the only one that works, so many addresses must not crowd it out.
        return Array((addresses.prefix(4) + places + addresses.dropFirst(4)).prefix(Call.maximumCandidates))
    }

    func surroundings(for member: PublicKey, at now: MonotonicTime) -> Pair.Surroundings {
        return Pair.Surroundings(
            hub: hub(for: member),
            candidates: candidates(at: now),
            networks: site.networks,
            tunnel: site.tunnel,
            factsPort: factsPort,
            mapping: mapping.mapping(own: site.v4, port: snapshot.listenPort, at: now),
            idleTime: idleTime,
            mayCall: turns.mayCall(at: now),
            moment: moment(at: now)
        )
    }

    /// Now, with the wall clock as it was when the interface was read, and has gone on since.
    private func moment(at now: MonotonicTime) -> Moment {
        Moment(wallClock: .seconds(snapshot.wallClock) + (now - readAt), sinceStart: now.sinceStart)
    }
}
