public import WireGuardTypes

/// A router that is to leave the kernel, with everything that leads to it. What became of it goes into
/// ``DomainTable/take(_:)``.
public struct Departure: Hashable, Sendable {
    /// Why it leaves.
    public enum Cause: Hashable, Sendable {
        /// It was never heard of, and another router has its address.
        case displaced
        /// The domain is full, and more routers than others come from its network.
        case crowdedOut
        /// The operator's lists do not allow its key.
        case prohibited
        /// It registered, and was not heard of in its time.
        case expired
        /// Two sweeps found it silent.
        case silent
        /// Another gateway took it out, and it is silent here too.
        case removedInFleet
        /// It could not be let in: there was no room for its entries.
        case unfinished
    }

    public var key: PublicKey
    public var addresses: RouterAddresses
    public var cause: Cause

    public init(key: PublicKey, addresses: RouterAddresses, cause: Cause) {
        self.key = key
        self.addresses = addresses
        self.cause = cause
    }

    /// Whether the VXLAN interface can have learned anything of it.
    public var hasSpoken: Bool { cause != .expired && cause != .unfinished }

    /// Whether this gateway takes it out on purpose, which is reported to the other gateways.
    var isOnPurpose: Bool { cause == .silent || cause == .prohibited }
}

extension DomainTable {
    /// Whether the router is still to leave: it may have come back since the departure was decided.
    public func isDue(_ departure: Departure) -> Bool {
        switch departure.cause {
        case .displaced, .crowdedOut, .unfinished: true
        case .prohibited: routers[departure.key] != nil
        case .expired: isPending(departure.key)
        case .silent, .removedInFleet: routers[departure.key] != nil && !isRegistering(departure.key)
        }
    }

    func departure(of key: PublicKey, _ cause: Departure.Cause) -> Departure? {
        routers[key].map { Departure(key: key, addresses: $0.addresses, cause: cause) }
    }
}
