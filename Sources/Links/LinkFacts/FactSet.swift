public import Time

/// Facts by their keys, each until it expires.
public struct FactSet: Sendable {
    /// A fact that is known, and until when.
    public struct Entry: Hashable, Sendable {
        /// As it was received; its time to live counts from then.
        public let fact: Fact
        public let expiry: MonotonicTime

        /// The fact with what is left of its time.
        public func fact(at now: MonotonicTime) -> Fact {
            Fact(
                subject: fact.subject,
                fact.statement,
                timeToLive: TimeToLive(until: expiry, at: now)
            )
        }
    }

    /// What became of a fact.
    public enum Outcome: Hashable, Sendable {
        /// It was not known.
        case added
        /// It was known, and holds at least as long now.
        case prolonged
        /// It is known, and for longer.
        case known
        /// It had expired when it came.
        case expired
        /// It was not known, and there is no room.
        case full
    }

    /// Most facts that are kept.
    public let capacity: Int
    public private(set) var entries: [Fact.Key: Entry] = [:]

    public init(capacity: Int) { self.capacity = capacity }

    /// Takes a fact that was received at `now`. Of two facts with one key the one that expires later stays.
    public mutating func merge(_ fact: Fact, at now: MonotonicTime) -> Outcome {
        guard fact.timeToLive > .none else { return .expired }
        let entry = Entry(fact: fact, expiry: fact.timeToLive.expiry(receivedAt: now))
        guard let known = entries[fact.key] else {
            guard entries.count < capacity else { return .full }
            entries[fact.key] = entry
            return .added
        }
        guard entry.expiry >= known.expiry else { return .known }
        entries[fact.key] = entry
        return .prolonged
    }

    public mutating func remove(_ key: Fact.Key) { entries[key] = nil }

    /// Removes the facts that have expired.
    public mutating func removeExpired(at now: MonotonicTime) {
        entries = entries.filter { $0.value.expiry > now }
    }

    /// The keys that are here and not there.
    public func keys(notIn other: FactSet) -> Set<Fact.Key> {
        Set(entries.keys.filter { other.entries[$0] == nil })
    }
}
