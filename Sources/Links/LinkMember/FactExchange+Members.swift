internal import LinkFacts
public import NetworkAddresses
internal import Time
internal import WireGuardTypes

extension FactExchange {
    // MARK: - Whom to believe

    /// What a source must be believed for a fact to count. About a machine that is no peer, only who may name members
    /// says anything.
    func threshold(_ statement: Fact.Statement, of subject: PublicKey) -> Trust {
        let kind: Trust =
            switch statement {
            case .endpoint: .endpoint
            case .allowedIP: .allowedIPs
            case .plainMember, .member, .alive: .membership
            }
        let isPeer = peers[subject].map { $0.goneAt == nil } ?? false
        return isPeer ? kind : .membership
    }

    /// Whether a claim counts now.
    func accepts(_ claim: Claim, of subject: PublicKey) -> Bool {
        guard let source = peers[claim.source], source.goneAt == nil else { return false }
        return source.trust >= threshold(claim.statement, of: subject)
    }

    /// Whether the source of a claim is there to withdraw it.
    func isCurrent(_ claim: Claim) -> Bool {
        switch claim.hold {
        case .until: true
        case .lasting: peers[claim.source]?.isLive ?? false
        }
    }

    /// Finds out who is a router, and who is believed what.
    ///
    /// Where the operator says nothing, this machine is a router if none of its peers is one and the operator has made
    /// at least two of them. The field asks for no peers, so that a machine that has lost its only router takes itself
    /// for one. With one peer there is nobody to tell it about.
    ///
    /// Where the operator trusts nobody in particular, the operator's routers may say everything. In the field any router
    /// may, also one that was made a router by what others said.
    mutating func judge() {
        guard let device else { return }
        let present = peers.values.filter { $0.goneAt == nil }
        let router =
            settings.isRouter
            ?? (!present.contains { $0.isRouter } && present.count { !$0.isMade } >= 2)
        let own = configured[device.publicKey]?.trust ?? .untrusted
        let isConfigured = settings.members.contains { $0.trust != nil }
        var hasChanged = router != isRouter || own != ownTrust
        isRouter = router
        ownTrust = own
        for (key, peer) in peers where peer.goneAt == nil {
            let trust = configured[key]?.trust ?? (!isConfigured && peer.isHub ? .membership : .endpoint)
            guard trust != peer.trust else { continue }
            // What it said so far was not kept, so it is to say it again.
            if trust > peer.trust, peer.ours != nil { peers[key]?.inbox.reset() }
            peers[key]?.trust = trust
            hasChanged = true
        }
        if hasChanged {
            stale.formUnion(book.keys)
            stale.formUnion(claims.subjects.keys)
            stale.insert(device.publicKey)
            allowedIPsAreStale = true
        }
    }

    // MARK: - What follows

    /// Brings views and journal up to date with what was noted as stale.
    mutating func refresh(at now: MonotonicTime) {
        guard let device else { return }
        if !isPrepared {
            isPrepared = true
            stale.formUnion(configured.keys)
            stale.insert(device.publicKey)
            _ = book.claim(address(device.publicKey), for: device.publicKey)
        }
        while !stale.isEmpty || allowedIPsAreStale {
            if allowedIPsAreStale {
                allowedIPsAreStale = false
                grantAllowedIPs(at: now)
            }
            let keys = stale
            stale = []
            for key in keys {
                if key != device.publicKey { look(at: key, at: now) }
                journal.say(statements(of: key), of: key)
            }
        }
    }

    /// Whether this machine says itself that another is a member: its operator says so, or made it a peer of a router.
    private func isNamedHere(_ key: PublicKey) -> Bool {
        if configured[key] != nil { return true }
        guard isRouter || ownTrust >= .membership else { return false }
        return peers[key].map { $0.goneAt == nil && !$0.isMade } ?? false
    }

    func isValid(_ key: PublicKey) -> Bool {
        isNamedHere(key)
            || claims[key].contains { $0.statement.isMembership && accepts($0, of: key) }
    }

    private mutating func look(at key: PublicKey, at now: MonotonicTime) {
        let known = book[key]
        let peer = peers[key].flatMap { $0.goneAt == nil ? $0 : nil }
        let isValid = isValid(key)
        guard isValid || peer != nil else {
            book.remove(key)
            // Somebody else may have its address now.
            stale.formUnion(book.displaced)
            if known?.isMember ?? false { log.add(LinkNotice(.memberGone, .info, key, "no member any more"), at: now) }
            return
        }
        var view = MemberView(key, address: known?.address ?? address(key))
        let isUnique = book.claim(view.address, for: key)
        if !isUnique, known == nil, let owner = book.owner(of: view.address) {
            let text = "two members have one address, address = \(view.address), the other = \(owner)"
            log.add(LinkNotice(.conflict, .warning, key, text), at: now)
        }
        let memberships = claims[key].filter { $0.statement.isMembership && accepts($0, of: key) }
        view.isMember = isValid && isUnique
        if view.isMember != known?.isMember ?? false { allowedIPsAreStale = true }
        view.isCurrent = isNamedHere(key) || memberships.contains { isCurrent($0) }
        view.hubs = Set(memberships.filter { isCurrent($0) }.map(\.source)).sorted()
        view.isPeer = peer != nil
        view.isMade = peer?.isMade ?? false
        let metadata = memberships.sorted { precedes($0, $1) }.compactMap { claim in
            if case .member(let metadata) = claim.statement { metadata } else { nil }
        }
        view.isBasic = configured[key]?.isBasic ?? false || metadata.contains { $0.isBasic ?? false }
        view.name = (configured[key]?.name ?? metadata.lazy.compactMap(\.name).first).flatMap { Self.printable($0) }
        view.ours = ours(of: key)
        view.isAlive = peer?.isAlive ?? false
        view.isHealthy = peer?.isHealthy ?? false
        view.isRouter = peer?.isRouter ?? false
        view.candidates = candidates(of: key)
        if let peer, !peer.isMade {
            view.allowedIPs = peer.peer.allowedIPs.filter { !$0.isLinkLocal }
        } else if view.isMember {
            view.allowedIPs = book.allowedIPs.granted[key] ?? []
        }
        if view.isMember != known?.isMember ?? false {
            let notice =
                view.isMember
                ? LinkNotice(.memberFound, .info, key, "new member, name = \(view.name ?? "none")")
                : LinkNotice(.memberGone, .info, key, "no member any more")
            log.add(notice, at: now)
        }
        if view != known { book.write(view) }
    }

    /// Metadata of those who are believed more, and then by the keys, so that it does not change from time to time.
    private func precedes(_ left: Claim, _ right: Claim) -> Bool {
        func rank(_ claim: Claim) -> (Int, Int, PublicKey) {
            (isCurrent(claim) ? 0 : 1, -(peers[claim.source]?.trust ?? .untrusted).rawValue, claim.source)
        }
        let ranks = (rank(left), rank(right))
        guard ranks.0 == ranks.1 else { return ranks.0 < ranks.1 }
        guard case .member(let first) = left.statement, case .member(let second) = right.statement else { return false }
        return first.name ?? "" < second.name ?? ""
    }

    static func printable(_ name: String) -> String? {
        let text = name.unicodeScalars.prefix(FactLimits.longestName).map { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: "?"
            default: String(scalar)
            }
        }
        return text.isEmpty ? nil : text.joined()
    }

    /// What a machine of ours says of itself, or what a router of ours says that it said.
    private func ours(of key: PublicKey) -> OurBoot? {
        if let peer = peers[key], peer.boot != nil { return peer.ours }
        let said = claims[key].filter { accepts($0, of: key) }.sorted { precedes($0, $1) }
        return said.lazy.compactMap { claim in
            if case .alive(let boot) = claim.statement { OurBoot(boot) } else { nil }
        }.first
    }

    private func candidates(of key: PublicKey) -> [CandidateEndpoint] {
        var origins: [Endpoint: CandidateEndpoint.Origin] = [:]
        var order: [Endpoint] = []
        func add(_ endpoint: Endpoint, _ origin: CandidateEndpoint.Origin) {
            guard networks.allows(endpoint) else { return }
            if let known = origins[endpoint] {
                origins[endpoint] = min(known, origin)
            } else {
                origins[endpoint] = origin
                order.append(endpoint)
            }
        }
        for name in configured[key]?.endpoints ?? [] {
            for endpoint in endpoints(of: name) { add(endpoint, .configured) }
        }
        // What was heard here stays when it is not healthy any more: that is when it is needed. Of a pair it may be a
        // relay's.
        if let peer = peers[key], !peer.isPair {
            for endpoint in peer.heardAt { add(endpoint, .observed) }
        }
        if let peer = peers[key], !peer.isMade, let endpoint = peer.givenEndpoint { add(endpoint, .observed) }
        for claim in claims[key] {
            guard case .endpoint(let endpoint) = claim.statement, accepts(claim, of: key) else { continue }
            switch claim.hold {
            case _ where claim.source == key: add(endpoint, .own)
            case .lasting(let origin) where peers[claim.source].map({ $0.trust >= .membership }) ?? false:
                add(endpoint, max(origin, .own))
            case .lasting, .until: add(endpoint, .hearsay)
            }
        }
        let ranks = order.indices.sorted {
            (origins[order[$0]]?.rawValue ?? 0, $0) < (origins[order[$1]]?.rawValue ?? 0, $1)
        }
        return ranks.map { CandidateEndpoint(order[$0], origins[order[$0]] ?? .hearsay) }
    }

    // MARK: - Names

    private func endpoints(of name: HostPort) -> [Endpoint] {
        if let address = IPv4Address(name.host) { return [.v4(address, port: name.port)] }
        if let address = IPv6Address(name.host) { return [.v6(address, port: name.port)] }
        return resolved[name] ?? []
    }

    /// Names that are worth a look-up now: those of members that are neither alive nor healthy.
    public var lookups: [HostPort] {
        settings.members.filter { $0.publicKey != device?.publicKey && !(peers[$0.publicKey]?.isLive ?? false) }
            .flatMap(\.endpoints)
            .filter { IPv4Address($0.host) == nil && IPv6Address($0.host) == nil }
    }
}
