internal import NetworkAddresses
internal import SourceLimits
internal import Time
internal import WireGuardTypes

/// Who is where, at whose port.
struct RelayPairs {
    /// A packet's way in: it is of one side of a pair.
    struct Route {
        let pair: Int
        let isFirst: Bool
    }

    /// Its way out.
    struct Way {
        /// Of the port that it leaves by.
        let slot: Int
        let address: RelayAddress
        let local: IPv6Address?
    }

    private struct Name: Hashable {
        let first: PublicKey
        let second: PublicKey
    }

    private struct Door: Hashable {
        let slot: Int
        let address: RelayAddress
    }

    /// One of the two, as the relay hears it at the port of the other.
    private struct Side {
        var door: Door?
        /// The address of this machine that it sends to, so that answers come from there.
        var local: IPv6Address?
    }

    private struct Pair {
        let name: Name
        var first = Side()
        var second = Side()
        var packets = TokenBucket()
        var bytes = TokenBucket()
        var lastUsed: MonotonicTime
    }

    private var pairs: [Pair?] = []
    private var free: [Int] = []
    private var places: [Name: Int] = [:]
    private var routes: [Door: Route] = [:]

    var count: Int { places.count }

    /// Whose side a packet is of that came from there to the port of a slot.
    func route(from address: RelayAddress, at slot: Int) -> Route? { routes[Door(slot: slot, address: address)] }

    /// Where a packet of one side goes; `nil` if the other was not heard yet, or has lost its port.
    func way(_ route: Route, slots: [PublicKey: Int]) -> Way? {
        guard let pair = pairs[route.pair] else { return nil }
        let (side, sender) = route.isFirst ? (pair.second, pair.name.first) : (pair.first, pair.name.second)
        // The other side is heard at the port of the sender.
        guard let door = side.door, door.slot == slots[sender] else { return nil }
        return Way(slot: door.slot, address: door.address, local: side.local)
    }

    /// Counts a packet of a pair; `false` if it is beyond the limits.
    mutating func take(
        _ pair: Int,
        _ length: Int,
        _ limits: RelayLimits,
        at sinceStart: Duration,
        _ now: MonotonicTime
    ) -> Bool {
        pairs[pair]?.lastUsed = now
        guard pairs[pair]?.packets.take(limits.packets, at: sinceStart) == true else { return false }
        return length == 0 || pairs[pair]?.bytes.take(limits.bytes, count: UInt64(length), at: sinceStart) == true
    }

    /// A probe of `sender` came from there to the port of `owner`, whose slot it is.
    mutating func learn(
        _ sender: PublicKey,
        at address: RelayAddress,
        local: IPv6Address?,
        _ owner: PublicKey,
        _ slot: Int,
        _ limits: RelayLimits,
        _ now: MonotonicTime
    ) {
        let name = Name(first: min(sender, owner), second: max(sender, owner))
        let isFirst = sender == name.first
        guard let place = places[name] ?? makePlace(name, limits, now) else { return }
        pairs[place]?.lastUsed = now
        let door = Door(slot: slot, address: address)
        let old = isFirst ? pairs[place]?.first.door : pairs[place]?.second.door
        if let old, old != door { routes[old] = nil }
        if let other = routes[door], other.pair != place || other.isFirst != isFirst {
            // Somebody else had this place before: a NAT has given it on.
            if other.isFirst { pairs[other.pair]?.first.door = nil } else { pairs[other.pair]?.second.door = nil }
        }
        routes[door] = Route(pair: place, isFirst: isFirst)
        let side = Side(door: door, local: local)
        if isFirst { pairs[place]?.first = side } else { pairs[place]?.second = side }
    }

    private mutating func makePlace(_ name: Name, _ limits: RelayLimits, _ now: MonotonicTime) -> Int? {
        guard places.count < limits.pairs else { return nil }
        let pair = Pair(name: name, lastUsed: now)
        let place: Int
        if let last = free.popLast() {
            place = last
            pairs[place] = pair
        } else {
            place = pairs.count
            pairs.append(pair)
        }
        places[name] = place
        return place
    }

    /// Forgets all pairs of a member that has lost its port.
    mutating func remove(of member: PublicKey, slot: Int) {
        for (name, place) in places where name.first == member || name.second == member { remove(name, place) }
    }

    /// Forgets a pair, if there is one of these.
    mutating func remove(_ one: PublicKey, _ other: PublicKey) {
        let name = Name(first: min(one, other), second: max(one, other))
        if let place = places[name] { remove(name, place) }
    }

    mutating func expire(at now: MonotonicTime) {
        for (name, place) in places {
            guard let pair = pairs[place], now - pair.lastUsed >= Relay.idleLimit else { continue }
            remove(name, place)
        }
    }

    private mutating func remove(_ name: Name, _ place: Int) {
        guard let pair = pairs[place] else { return }
        for door in [pair.first.door, pair.second.door].compactMap(\.self) { routes[door] = nil }
        places[name] = nil
        pairs[place] = nil
        free.append(place)
    }
}
