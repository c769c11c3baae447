internal import LinkFacts
internal import NetworkAddresses
internal import Time
internal import WireGuardTypes

/// What one machine says of one machine.
struct Claim: Hashable, Sendable {
    /// How long it holds.
    enum Hold: Hashable, Sendable {
        case until(MonotonicTime)
        /// Until it is withdrawn. If the source is not alive, nobody can withdraw it, and it is what was known last.
        case lasting(CandidateEndpoint.Origin)
    }

    let source: PublicKey
    var statement: Fact.Statement
    var hold: Hold
    /// When it was said last.
    var saidAt: MonotonicTime

    /// Whether a fact says the same; of two alive facts the later one counts.
    fileprivate func isReplaced(by statement: Fact.Statement) -> Bool {
        if case .alive = statement, case .alive = self.statement { return true }
        return statement == self.statement
    }
}

/// All that was heard from others, by whom it is about. What each source said stands for itself: no source takes away
/// or prolongs what another one said.
struct Claims: Sendable {
    /// What became of a fact.
    enum Outcome: Hashable, Sendable {
        /// It is new, or says something else than before.
        case changed
        /// It was known.
        case known
        /// The source has said as much as it may.
        case tooMuch
    }

    /// Of a source, when it says something new.
    struct Standing {
        /// Most that it may have said: see ``FactLimits/factsOfMember``.
        var limit: Int
        /// Whether the subject has a place without regard to ``FactLimits/subjects``.
        var isPeer: Bool
    }

    private(set) var subjects: [PublicKey: [Claim]] = [:]
    private var sizes: [PublicKey: Int] = [:]
    /// When the next claim expires, or something before that.
    private(set) var nextExpiry: MonotonicTime?

    subscript(subject: PublicKey) -> [Claim] { subjects[subject] ?? [] }

    /// Facts of a source, as ``FactLimits`` counts them.
    func size(of source: PublicKey) -> Int { sizes[source] ?? 0 }

    /// - Parameter rank: how much a source counts where there is not room for all, 0 the most.
    mutating func take(
        _ fact: Fact,
        from source: PublicKey,
        _ hold: Claim.Hold,
        _ standing: Standing,
        at now: MonotonicTime,
        rank: (PublicKey) -> Int
    ) -> Outcome {
        var claims = subjects[fact.subject] ?? []
        if let index = claims.firstIndex(where: { $0.source == source && $0.isReplaced(by: fact.statement) }) {
            let known = claims[index]
            var claim = known
            claim.hold = Self.later(known.hold, hold)
            claim.statement = fact.statement
            claim.saidAt = now
            subjects[fact.subject]?[index] = claim
            note(hold)
            let (before, after) = (Self.size(known, fact.subject), Self.size(claim, fact.subject))
            sizes[source, default: 0] += after - before
            return known.statement == claim.statement && Self.isLike(known.hold, claim.hold) ? .known : .changed
        }
        guard fact.encodedLength <= FactLimits.longestFact,
            !claims.isEmpty || standing.isPeer || subjects.count < FactLimits.subjects
        else { return .tooMuch }
        let claim = Claim(source: source, statement: fact.statement, hold: hold, saidAt: now)
        var place = Place.free
        switch fact.statement {
        case .endpoint: place = Self.placeOfEndpoint(source, in: claims, at: now, rank: rank)
        case .allowedIP:
            let count = claims.count { claim in
                if claim.source == source, case .allowedIP = claim.statement { true } else { false }
            }
            guard count < FactLimits.allowedIPsOfClaimant else { return .tooMuch }
        case .plainMember, .member:
            let count = claims.count { $0.source == source && $0.statement.isMembership }
            guard count < FactLimits.metadataOfClaimant else { return .tooMuch }
        case .alive: break
        }
        let size = Self.size(claim, fact.subject)
        guard place != .none, self.size(of: source) + size <= standing.limit else { return .tooMuch }
        if case .insteadOf(let displaced) = place {
            forget(claims[displaced], of: fact.subject)
            claims.remove(at: displaced)
        }
        claims.append(claim)
        subjects[fact.subject] = claims
        sizes[source, default: 0] += size
        note(hold)
        return .changed
    }

    /// A source says that a fact is no more. Returns whether it had said it.
    mutating func withdraw(_ fact: Fact, from source: PublicKey) -> Bool {
        remove(of: fact.subject) { $0.source == source && $0.isReplaced(by: fact.statement) }
    }

    /// A source begins anew: what it said holds until `end` at most.
    ///
    /// - Returns: whom it has said something about.
    mutating func fade(_ source: PublicKey, until end: MonotonicTime) -> Set<PublicKey> {
        note(.until(end))
        return change(source) { claim in
            switch claim.hold {
            case .until(let expiry): claim.hold = .until(min(expiry, end))
            case .lasting: claim.hold = .until(end)
            }
            return true
        }
    }

    /// A source is gone.
    mutating func forget(_ source: PublicKey) -> Set<PublicKey> { change(source) { _ in false } }

    /// Removes what has expired.
    ///
    /// - Returns: the removed claims with their subjects.
    mutating func expire(at now: MonotonicTime) -> [(subject: PublicKey, claim: Claim)] {
        guard let nextExpiry, nextExpiry <= now else { return [] }
        self.nextExpiry = nil
        var expired: [(PublicKey, Claim)] = []
        for (subject, claims) in subjects {
            var hasExpired = false
            for claim in claims {
                guard case .until(let expiry) = claim.hold else { continue }
                if expiry <= now {
                    expired.append((subject, claim))
                    hasExpired = true
                } else {
                    note(claim.hold)
                }
            }
            if hasExpired {
                _ = remove(of: subject) { claim in
                    if case .until(let expiry) = claim.hold { expiry <= now } else { false }
                }
            }
        }
        return expired
    }
}

extension Claims {
    /// Where a new claim goes.
    private enum Place: Equatable {
        case free
        case insteadOf(Int)
        case none
    }

    /// A later time, or what the source says now if it says it in another way.
    private static func later(_ known: Claim.Hold, _ new: Claim.Hold) -> Claim.Hold {
        if case .until(let first) = known, case .until(let second) = new { return .until(max(first, second)) }
        return new
    }

    private static func isLike(_ known: Claim.Hold, _ new: Claim.Hold) -> Bool {
        if case .until = known, case .until = new { return true }
        return known == new
    }

    private static func size(_ claim: Claim, _ subject: PublicKey) -> Int {
        let fact = Fact(subject: subject, claim.statement, timeToLive: .none)
        return (fact.encodedLength + FactLimits.factUnit - 1) / FactLimits.factUnit
    }

    /// Room for one more endpoint, or a claim that makes room: an older one of the same claimant; one of a claimant
    /// that counts less; or one of a claimant that has named more.
    private static func placeOfEndpoint(
        _ source: PublicKey,
        in claims: [Claim],
        at now: MonotonicTime,
        rank: (PublicKey) -> Int
    ) -> Place {
        let endpoints = claims.indices.filter { claims[$0].statement.isEndpoint }
        func oldest(of source: PublicKey) -> Int? {
            endpoints.filter { claims[$0].source == source }.min { claims[$0].saidAt < claims[$1].saidAt }
        }
        var counts: [PublicKey: Int] = [:]
        for index in endpoints { counts[claims[index].source, default: 0] += 1 }
        let own = counts[source] ?? 0
        if own >= FactLimits.endpointsOfClaimant {
            guard let oldest = oldest(of: source), now - claims[oldest].saidAt >= FactTimes.sameRound else {
                return .none
            }
            return .insteadOf(oldest)
        }
        guard endpoints.count >= FactLimits.endpoints else { return .free }
        let ownRank = rank(source)
        let others = counts.filter { $0.key != source }.map { (source: $0.key, count: $0.value, rank: rank($0.key)) }
        let victim = others.filter { $0.rank > ownRank || $0.rank == ownRank && $0.count > own + 1 }
            .max { ($0.rank, $0.count, $0.source) < ($1.rank, $1.count, $1.source) }
        return victim.flatMap { oldest(of: $0.source) }.map { .insteadOf($0) } ?? .none
    }

    private mutating func note(_ hold: Claim.Hold) {
        guard case .until(let expiry) = hold else { return }
        nextExpiry = nextExpiry.map { min($0, expiry) } ?? expiry
    }

    private mutating func forget(_ claim: Claim, of subject: PublicKey) {
        let left = size(of: claim.source) - Self.size(claim, subject)
        sizes[claim.source] = left > 0 ? left : nil
    }

    private mutating func remove(of subject: PublicKey, where isGone: (Claim) -> Bool) -> Bool {
        guard var claims = subjects[subject] else { return false }
        let gone = claims.filter(isGone)
        guard !gone.isEmpty else { return false }
        claims.removeAll(where: isGone)
        for claim in gone { forget(claim, of: subject) }
        subjects[subject] = claims.isEmpty ? nil : claims
        return true
    }

    /// Changes all claims of a source, and removes those for which `body` returns `false`.
    private mutating func change(_ source: PublicKey, _ body: (inout Claim) -> Bool) -> Set<PublicKey> {
        guard sizes[source] != nil else { return [] }
        var changed: Set<PublicKey> = []
        for (subject, claims) in subjects where claims.contains(where: { $0.source == source }) {
            changed.insert(subject)
            subjects[subject] = claims.compactMap { claim in
                guard claim.source == source else { return claim }
                var claim = claim
                guard body(&claim) else {
                    forget(claim, of: subject)
                    return nil
                }
                return claim
            }
            if subjects[subject]?.isEmpty ?? true { subjects[subject] = nil }
        }
        return changed
    }
}

extension Fact.Statement {
    var isEndpoint: Bool { if case .endpoint = self { true } else { false } }

    var isMembership: Bool {
        switch self {
        case .plainMember, .member: true
        case .alive, .endpoint, .allowedIP: false
        }
    }
}
