internal import LinkFacts
public import NetworkAddresses
internal import WireGuardTypes

extension FactExchange {
    /// What this machine says of a machine, to all that it tells facts: what it knows at first hand.
    func statements(of subject: PublicKey) -> [Journal.Entry] {
        guard let device else { return [] }
        return subject == device.publicKey ? statementsOfSelf(device) : statementsOfPeer(subject)
    }

    private func statementsOfSelf(_ device: DeviceSnapshot) -> [Journal.Entry] {
        let key = device.publicKey
        var entries: [Journal.Entry] = []
        if let own = configured[key] { entries.append(Journal.Entry(key, own.membership, .own)) }
        for endpoint in ownEndpoints { entries.append(Journal.Entry(key, .endpoint(endpoint), .own)) }
        if let own = configured[key], !own.allowedIPs.isEmpty {
            for prefix in own.allowedIPs { entries.append(Journal.Entry(key, .allowedIP(prefix.masked), .own)) }
        } else if isRouter {
            for prefix in device.tunnelAddresses where prefix.mapped.isGlobal {
                entries.append(Journal.Entry(key, .allowedIP(prefix.masked), .own))
            }
        }
        return entries
    }

    private func statementsOfPeer(_ key: PublicKey) -> [Journal.Entry] {
        // Who is not there is not spoken of, so that others forget it too.
        guard let peer = peers[key], peer.goneAt == nil, peer.isLive else { return [] }
        var entries: [Journal.Entry] = []
        func say(_ statement: Fact.Statement, _ origin: CandidateEndpoint.Origin) {
            entries.append(Journal.Entry(key, statement, origin))
        }
        if let member = configured[key] {
            say(member.membership, .observed)
        } else if isRouter || ownTrust >= .membership {
            say(.member(MemberMetadata()), .observed)
        }
        if isRouter || ownTrust >= .allowedIPs {
            for prefix in peer.peer.allowedIPs where !prefix.isLinkLocal { say(.allowedIP(prefix.masked), .observed) }
        }
        for prefix in configured[key]?.allowedIPs ?? [] { say(.allowedIP(prefix.masked), .observed) }
        // The endpoint of a pair may be a relay's, and one of ours says itself where it is.
        if peer.isHealthy, !peer.isPair, let endpoint = peer.peer.endpoint, networks.allows(endpoint) {
            say(.endpoint(endpoint), .observed)
        }
        guard isRouter || settings.isChatty else { return entries }
        for claim in claims[key] where claim.source == key && accepts(claim, of: key) {
            switch claim.statement {
            case .endpoint(let endpoint) where networks.allows(endpoint): say(claim.statement, .own)
            case .allowedIP: say(claim.statement, .own)
            case .endpoint, .alive, .member, .plainMember: break
            }
        }
        // Only machines of ours are told: so they know each other before they have a session.
        if peer.isAlive, let ours = peer.ours { say(.alive(ours.bootID), .own) }
        return entries
    }

    /// Where this machine may be found, by the addresses of its interfaces: at most
    /// ``FactLimits/endpointsOfClaimant``. Addresses that go away soon come last.
    public var ownEndpoints: [Endpoint] {
        guard let device, device.listenPort != 0 else { return [] }
        let usable = device.underlayAddresses.filter { address in
            settings.reports(address.interface) && !address.isTentative && !address.isDeprecated
        }
        let sorted = usable.filter { !$0.isTemporary } + usable.filter(\.isTemporary)
        var endpoints: [Endpoint] = []
        for address in sorted {
            let endpoint: Endpoint =
                switch address.address.address {
                case .v4(let v4): .v4(v4, port: device.listenPort)
                case .v6(let v6): .v6(v6, port: device.listenPort)
                }
            if networks.allows(endpoint), !endpoints.contains(endpoint) { endpoints.append(endpoint) }
        }
        return Array(endpoints.prefix(FactLimits.endpointsOfClaimant))
    }
}

extension MemberSettings {
    /// That it is a member, and what the operator says of it.
    fileprivate var membership: Fact.Statement {
        // A name can be too long for any fact.
        .member((try? MemberMetadata(name: name, isBasic: isBasic)) ?? MemberMetadata())
    }
}
