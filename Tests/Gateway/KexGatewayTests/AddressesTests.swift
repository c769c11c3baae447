import EUI64
import KexProtocol
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import KexGateway

@Suite("Several address profiles") struct AddressesTests {
    private static let both: [AddressProfile] = [.eui64, .ffmuc]
    private var table = DomainTable(rules: rules(profiles: AddressesTests.both))
    private let old = RouterAddresses(of: key(1), profile: .eui64)
    private let new = RouterAddresses(of: key(1), profile: .ffmuc)

    private func at(_ seconds: Int64) -> Moment { Moment(seconds: 1000 + seconds, sinceStart: .seconds(seconds)) }

    /// Router 1 as the kernel shows it.
    private func snapshot(
        _ profiles: [AddressProfile],
        heard: Int64? = 1,
        unicast: Set<RouterAddresses> = [],
        flood: Set<RouterAddresses> = [],
        learned: Set<RouterAddresses> = []
    ) -> DomainTable.Snapshot {
        var peer = Peer(publicKey: key(1))
        peer.allowedIPs = profiles.map { IPPrefix(host: RouterAddresses(of: key(1), profile: $0).linkLocal) }
        peer.lastHandshake = heard
        return DomainTable.Snapshot(
            ownKey: nil,
            peers: [peer],
            unicastEntries: unicast,
            floodList: Set(flood.map(\.linkLocal)),
            learned: Set(learned.map(\.linkLocal))
        )
    }

    /// The addresses to which flood entries are missing.
    private var floodRepairs: [IPv6Address] {
        table.repairs().filter { $0.missingEntries == [.flood] }.map(\.addresses.linkLocal)
    }

    @Test("A newcomer gets the addresses of all profiles, and no unicast entry; none of them may be another's")
    mutating func newcomer() {
        let admission = DomainTable.Admission(
            key: key(1),
            addresses: old,
            furtherLinkLocals: [new.linkLocal],
            isNewPeer: true,
            missingEntries: []
        )
        #expect(table.decide(key(1)) == .admit(admission))
        #expect(table.allAddresses(of: key(1), at: old) == [old, new])
        table.remove(key(1))
        for address in [old, new] {
            let stranger = Peer(publicKey: key(9), allowedIPs: [IPPrefix(host: address.linkLocal)])
            table.reset(to: DomainTable.Snapshot(ownKey: nil, peers: [stranger]))
            #expect(refusal(table.decide(key(1))) == .addressInUse)
            table.reset(to: DomainTable.Snapshot(ownKey: nil, peers: []))
            #expect(table.decide(key(1)) == .admit(admission))
            table.remove(key(1))
        }
    }

    @Test(
        "Where a router is not known to be, its broadcasts go to the preferred address; then to where a frame came from"
    )
    mutating func firstFrame() {
        table.reset(to: snapshot(Self.both, heard: nil))
        #expect(table.repairs().isEmpty)
        table.reset(to: snapshot(Self.both))
        #expect(floodRepairs == [old.linkLocal])
        let sighting = DomainTable.Sighting(key: key(1), isFirst: false, place: new.linkLocal)
        #expect(table.hear(from: new.linkLocal, at: at(0)) == sighting)
        #expect(floodRepairs == [new.linkLocal])
        #expect(table.takeStrays().isEmpty)
        #expect(table.hear(from: new.linkLocal, at: at(1)) == nil)
    }

    @Test("A router that moves takes its flood entry along, once in ten seconds")
    mutating func moves() {
        table.reset(to: snapshot(Self.both, flood: [old]))
        #expect(floodRepairs == [])
        #expect(table.hear(from: new.linkLocal, at: at(20))?.place == new.linkLocal)
        #expect(floodRepairs == [new.linkLocal])
        #expect(table.takeStrays() == [DomainTable.Stray(addresses: old, entries: [.flood])])
        #expect(table.takeStrays().isEmpty)
        for admission in table.repairs() { table.confirm(admission) }
        #expect(table.hear(from: old.linkLocal, at: at(29)) == nil)
        #expect(floodRepairs == [])
        #expect(table.hear(from: old.linkLocal, at: at(30))?.place == old.linkLocal)
        #expect(table.takeStrays() == [DomainTable.Stray(addresses: new, entries: [.flood])])
        table.remove(key(1))
        #expect(table.hear(from: new.linkLocal, at: at(60)) == nil)
        #expect(table.hear(from: old.linkLocal, at: at(60)) == nil)
    }

    @Test(
        "A snapshot shows where a router is: what was learned counts before the flood list, what was heard before both"
    )
    mutating func snapshots() {
        func place(_ snapshot: DomainTable.Snapshot, heard: RouterAddresses? = nil) -> RouterAddresses? {
            var table = DomainTable(rules: rules(profiles: Self.both))
            table.reset(to: self.snapshot(Self.both))
            if let heard { _ = table.hear(from: heard.linkLocal, at: at(0)) }
            table.reset(to: snapshot)
            return table.routers[key(1)]?.addresses
        }
        #expect(place(snapshot(Self.both)) == old)
        #expect(place(snapshot(Self.both, flood: [new])) == new)
        #expect(place(snapshot(Self.both, flood: [old], learned: [new])) == new)
        #expect(place(snapshot(Self.both, flood: [new], learned: [old, new])) == old, "in the first snapshot")
        #expect(place(snapshot(Self.both, flood: [old], learned: [old, new]), heard: new) == new)
        #expect(place(snapshot(Self.both, flood: [old, new]), heard: new) == new)
        #expect(place(snapshot(Self.both), heard: new) == new)
    }

    @Test(
        "What leads to another place is found in a snapshot, and permanent unicast entries, which would make a moved router mute"
    )
    mutating func strays() {
        table.reset(to: snapshot(Self.both, unicast: [old], flood: [old, new], learned: [new]))
        #expect(
            table.takeStrays() == [
                DomainTable.Stray(addresses: old, entries: [.mac, .flood])
            ]
        )
        #expect(table.repairs().isEmpty)
    }

    @Test(
        "A router with one of the addresses gets the other",
        arguments: [AddressProfile.eui64, .ffmuc]
    )
    mutating func missing(profile: AddressProfile) {
        table.reset(to: snapshot([profile]))
        #expect(table.routerCount == 1)
        let all = [old.linkLocal, new.linkLocal]
        #expect(
            table.takeReaddressings() == [DomainTable.Readdressing(key: key(1), linkLocals: all, surplus: [])]
        )
        #expect(table.takeReaddressings().isEmpty)
        // Both are its own by now.
        #expect(table.owners[old.linkLocal] == key(1) && table.owners[new.linkLocal] == key(1))
    }

    @Test("An address that is another peer's stays there")
    mutating func taken() {
        var snapshot = snapshot([.eui64])
        snapshot.peers.append(Peer(publicKey: key(9), allowedIPs: [IPPrefix(host: new.linkLocal)]))
        table.reset(to: snapshot)
        #expect(table.routerCount == 1)
        #expect(table.takeReaddressings().isEmpty)
        #expect(table.owners[new.linkLocal] == key(9))
        // Nor does it come along when something else changes.
        snapshot.peers[0].allowedIPs.append(
            IPPrefix(host: RouterAddresses(of: key(1), profile: .gluon).linkLocal)
        )
        table.reset(to: snapshot)
        #expect(table.takeReaddressings().map(\.linkLocals) == [[old.linkLocal]])
        #expect(table.owners[new.linkLocal] == key(9))
    }

    @Test("From one profile to two and to the other: the router stays, with its session, and what is surplus goes")
    mutating func migration() {
        table = DomainTable(rules: rules())
        table.reset(to: snapshot([.eui64], heard: 5, unicast: [old], flood: [old]))
        #expect(table.repairs().isEmpty && table.takeReaddressings().isEmpty)

        table.change(rules: rules(profiles: Self.both))
        table.reset(to: snapshot([.eui64], heard: 5, unicast: [old], flood: [old]))
        #expect(table.takeReaddressings().map(\.linkLocals) == [[old.linkLocal, new.linkLocal]])
        #expect(table.takeStrays() == [DomainTable.Stray(addresses: old, entries: [.mac])])

        table.change(rules: rules(profiles: [.ffmuc]))
        table.reset(to: snapshot(Self.both, heard: 5, flood: [old]))
        #expect(
            table.takeReaddressings() == [
                DomainTable.Readdressing(key: key(1), linkLocals: [new.linkLocal], surplus: [old.linkLocal])
            ]
        )
        #expect(table.repairs().map(\.addresses) == [new])
        #expect(table.repairs().map(\.missingEntries) == [[.mac, .flood]])
        table.reset(to: snapshot([.ffmuc], heard: 5, unicast: [new], flood: [new]))
        #expect(table.takeReaddressings().isEmpty && table.takeStrays().isEmpty && table.repairs().isEmpty)
        #expect(table.knownRouters.map(\.lastHeard) == [5])
    }

    @Test(
        "Without a time of both, who is known keeps its place; a stranger with another profile's address is no router"
    )
    mutating func hardChange() {
        table = DomainTable(rules: rules())
        table.reset(to: snapshot([.eui64]))
        table.change(rules: rules(profiles: [.gluon]))
        table.reset(to: snapshot([.eui64]))
        #expect(table.routerCount == 1)
        #expect(table.takeReaddressings().map(\.surplus) == [[old.linkLocal]])

        table = DomainTable(rules: rules(profiles: [.gluon]))
        table.reset(to: snapshot([.eui64]))
        #expect(table.routerCount == 0)
        #expect(refusal(table.decide(key(1))) == .prohibitedKey)
        // After a restart the file says who is known.
        table = DomainTable(rules: rules(profiles: [.gluon]))
        table.recall([KnownRouter(key: key(1), lastHeard: 3)], clocks: nil, restoredAt: .zero)
        table.reset(to: snapshot([.eui64]))
        #expect(table.routerCount == 1)
    }

    @Test("A peer is a router's only if each of its allowed IPs is its own, of one profile or another")
    mutating func routers() {
        func isRouter(_ prefixes: [IPPrefix], _ table: DomainTable) -> Bool {
            table.isRouter(Peer(publicKey: key(1), allowedIPs: prefixes))
        }
        let single = DomainTable(rules: rules())
        let prefixes = [old, new, RouterAddresses(of: key(1), profile: .gluon)].map { IPPrefix(host: $0.linkLocal) }
        let other = IPPrefix(host: RouterAddresses(of: key(2), profile: .eui64).linkLocal)
        for own in [[0], [1], [0, 1], [1, 0], [0, 1, 2]] {
            #expect(isRouter(own.map { prefixes[$0] }, table))
            #expect(!isRouter(own.map { prefixes[$0] } + [other], table))
        }
        #expect(!isRouter([], table))
        #expect(!isRouter([prefixes[2]], table))
        #expect(isRouter([prefixes[0], prefixes[2]], single))
        #expect(!isRouter([prefixes[1]], single))
        var secret = Peer(publicKey: key(1), allowedIPs: [prefixes[0]])
        secret.hasPresharedKey = true
        #expect(!table.isRouter(secret))
    }

    @Test("What a new device lacks comes back with all addresses, unless one of them is taken")
    mutating func restore() {
        table.recall([KnownRouter(key: key(1), lastHeard: 3)], clocks: nil, restoredAt: .zero)
        var copy = table
        let empty = DomainTable.Snapshot(ownKey: nil, peers: [])
        let missing = table.reset(to: empty, isNewDevice: true, sinceStart: .zero)
        #expect(missing.map(\.furtherLinkLocals) == [[new.linkLocal]])
        #expect(table.hear(from: new.linkLocal, at: at(0))?.isFirst == true)
        let stranger = Peer(publicKey: key(9), allowedIPs: [IPPrefix(host: new.linkLocal)])
        let taken = DomainTable.Snapshot(ownKey: nil, peers: [stranger])
        #expect(copy.reset(to: taken, isNewDevice: true, sinceStart: .zero).isEmpty)
    }

    @Test("A router of a domain with one profile takes no more room than before")
    func size() {
        #expect(MemoryLayout<DomainTable.Router>.size <= 56)
    }

    @Test(
        "With several profiles a permanent entry that somebody adds is a stray unless it is the router's flood entry"
    )
    mutating func strayNews() {
        table.reset(to: snapshot(Self.both, flood: [old]))
        let news = [
            table.noteEntry(mac: .zero, to: old.linkLocal, isGone: false),
            table.noteEntry(mac: .zero, to: new.linkLocal, isGone: false),
            table.noteEntry(mac: old.mac, to: old.linkLocal, isGone: false),
        ]
        #expect(news == [false, true, true])
        #expect(
            table.takeStrays() == [
                DomainTable.Stray(addresses: RouterAddresses(mac: .zero, linkLocal: new.linkLocal), entries: .flood),
                DomainTable.Stray(addresses: old, entries: .mac),
            ]
        )
    }

    @Test("Without a list of the fdb a router stays where it is known to be")
    mutating func placeWithoutList() {
        table.reset(to: snapshot(Self.both, flood: [new]))
        #expect(floodRepairs == [])
        var unlisted = snapshot(Self.both)
        unlisted.hasEntries = false
        table.reset(to: unlisted)
        #expect(floodRepairs == [])
        let isNews = table.noteEntry(mac: .zero, to: new.linkLocal, isGone: true)
        #expect(isNews)
        #expect(floodRepairs == [new.linkLocal])
    }
}
