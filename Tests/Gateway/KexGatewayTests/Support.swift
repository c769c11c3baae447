import EUI64
import KexProtocol
import NetworkAddresses
import SourceLimits
import Time
import WireGuardTypes

@testable import KexGateway

/// A key that differs from all others by its number.
func key(_ number: Int) -> PublicKey {
    var bytes = [UInt8](repeating: 0x40, count: 32)
    bytes[0] = UInt8(number & 0xff)
    bytes[1] = UInt8(number >> 8)
    return PublicKey(bytes: bytes.span)!
}

/// A peer as a registration makes it.
func router(_ number: Int, heard: Int64? = nil, received: UInt64 = 0) -> Peer {
    let address = RouterAddresses(of: key(number), profile: .eui64).linkLocal
    var peer = Peer(publicKey: key(number), allowedIPs: [IPPrefix(host: address)])
    peer.lastHandshake = heard
    peer.receivedBytes = received
    return peer
}

func snapshot(_ peers: [Peer], entries: FdbEntries) -> DomainTable.Snapshot {
    let addresses = peers.map { RouterAddresses(of: $0.publicKey, profile: .eui64) }
    return DomainTable.Snapshot(
        ownKey: nil,
        peers: peers,
        unicastEntries: entries.contains(.mac) ? Set(addresses) : [],
        floodList: entries.contains(.flood) ? Set(addresses.map(\.linkLocal)) : []
    )
}

func rules(
    entries: FdbEntries = [.mac, .flood],
    floodsAtRegistration: Bool = false,
    maximumPeers: Int = 1000,
    prohibited: Set<PublicKey> = [],
    allowed: [PublicKey: String]? = nil,
    profiles: [AddressProfile] = [.eui64],
    derive: @escaping @Sendable (PublicKey, AddressProfile) -> RouterAddresses = {
        RouterAddresses(of: $0, profile: $1)
    }
) -> DomainRules {
    DomainRules(
        profiles: profiles,
        derive: derive,
        fdbEntries: entries,
        floodsAtRegistration: floodsAtRegistration,
        maximumPeers: maximumPeers,
        staleAfter: .seconds(3600),
        sweepInterval: .seconds(900),
        prohibitedKeys: prohibited,
        allowedKeys: allowed
    )
}

extension DomainTable {
    /// A registration at no particular time from a source without limit.
    mutating func decide(_ key: PublicKey) -> Decision {
        var limits = SourceLimits(of: DomainLimit.newKeysOfSource, unlimited: [IPPrefix("::/0")!], slots: 4)
        let now = Moment(seconds: 0, sinceStart: .zero)
        return decide(key, from: .source(IPv6Address(high: 1, low: 0)), at: now, limits: &limits)
    }

    /// The same device, at no particular time; nothing is missing then.
    mutating func reset(to snapshot: Snapshot) {
        let missing = reset(to: snapshot, isNewDevice: false, sinceStart: .zero)
        precondition(missing.isEmpty, "nothing is missing in the same device")
    }

    mutating func sweep(sinceStart: Duration, wallClock: Int64, isDryRun: Bool) -> [SweepVerdict] {
        sweep(Moment(seconds: wallClock, sinceStart: sinceStart), isDryRun: isDryRun)
    }
}

func refusal(_ decision: DomainTable.Decision) -> Refusal? {
    if case .refuse(let refusal, _) = decision { refusal } else { nil }
}

extension DomainTable {
    /// Decides from what WireGuard says just now.
    mutating func deadSessions(_ peers: [Peer], at now: Duration) -> [Admission] {
        for peer in peers { routers[peer.publicKey]?.receivedBytes = peer.receivedBytes }
        return deadSessions(inSnapshotOf: now, at: now)
    }
}
