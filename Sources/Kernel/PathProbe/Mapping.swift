public import NetworkAddresses
public import Time

/// What others say of where they see this machine, and so what stands between it and them.
public struct MappingObservations: Sendable {
    /// Most of them that are kept; the oldest goes.
    public static let maximumObservations = 32
    /// An older one says nothing: the machine may have moved.
    public static let lifetime = Duration.seconds(180)

    private var observations: [Observation] = []

    private struct Observation: Sendable {
        let destination: Endpoint
        let observed: Endpoint
        let time: MonotonicTime
    }

    public init() {}

    /// Who was asked at `destination` has seen this machine at `observed`. Only for destinations that are not near: in a
    /// network in common nothing is translated.
    public mutating func note(_ observed: Endpoint, by destination: Endpoint, at now: MonotonicTime) {
        observations.removeAll { $0.destination == destination || now - $0.time > Self.lifetime }
        if observations.count >= Self.maximumObservations { observations.removeFirst() }
        observations.append(Observation(destination: destination, observed: observed, time: now))
    }

    /// The machine has other addresses or other routes.
    public mutating func forget() { observations = [] }

    /// Where this machine is seen, the latest of both families first, without repetitions: candidates for others.
    public func places(at now: MonotonicTime) -> [Endpoint] {
        var seen: Set<Endpoint> = []
        return observations.reversed().filter { now - $0.time <= Self.lifetime }.map(\.observed)
            .filter { seen.insert($0).inserted }
    }

    /// What stands between this machine and the others, for IPv4 and so for most of the internet.
    ///
    /// - Parameters:
    ///   - own: addresses of this machine.
    ///   - port: that it sends from.
    public func mapping(own: Set<IPv4Address>, port: UInt16, at now: MonotonicTime) -> Mapping {
        let recent = observations.filter { now - $0.time <= Self.lifetime }
        let places = Set(recent.compactMap { $0.observed.v4 })
        let destinations = Set(recent.filter { $0.observed.v4 != nil }.map(\.destination))
        guard let place = places.first else { return .unknown }
        if places.allSatisfy({ own.contains($0.address) && $0.port == port }) { return .none }
        if places.count > 1 { return .forEachDestination }
        return destinations.count > 1
            ? .one(.v4(place.address, port: place.port)) : .seen(.v4(place.address, port: place.port))
    }
}

/// What becomes of the address and port that this machine sends from.
public enum Mapping: Hashable, Sendable {
    /// Nobody has said anything.
    case unknown
    /// They arrive as they are.
    case none
    /// One has seen this machine there; whether others would, is not known.
    case seen(Endpoint)
    /// All see this machine there: whoever is told can reach it.
    case one(Endpoint)
    /// Each sees it somewhere else, so nobody can be told where. Two such machines have no direct path.
    case forEachDestination
}

extension Mapping: CustomStringConvertible {
    /// For a status line.
    public var description: String {
        switch self {
        case .unknown: "not known"
        case .none: "no NAT"
        case .seen(let endpoint): "NAT, seen at \(endpoint)"
        case .one(let endpoint): "NAT, same port for all (\(endpoint))"
        case .forEachDestination: "NAT, another port for each: direct paths only to machines that can be reached"
        }
    }
}

extension Endpoint {
    fileprivate struct V4: Hashable {
        let address: IPv4Address
        let port: UInt16
    }

    fileprivate var v4: V4? {
        if case .v4(let address, let port) = self { V4(address: address, port: port) } else { nil }
    }
}
