import EUI64
import NetworkAddresses
import Testing
import WireGuardTypes

@testable import KexGateway

@Suite("Routers that are missing") struct LossTests {
    private func table(_ count: Int) -> DomainTable {
        var table = DomainTable(rules: rules())
        table.reset(to: snapshot((0..<count).map { router($0, heard: 1000) }, entries: [.mac, .flood]))
        return table
    }

    /// - Parameter all: all routers, whose entries stay.
    private func left(_ peers: [Peer], entriesOf all: [Peer]) -> DomainTable.Snapshot {
        var snapshot = snapshot(all, entries: [.mac, .flood])
        snapshot.peers = peers
        return snapshot
    }

    @Test(
        "More than half of them, and two at least, are lost; fewer were removed",
        arguments: [
            (1, 1, false), (2, 1, false), (2, 2, true), (3, 1, false), (3, 2, true), (4, 2, false), (4, 3, true),
            (6, 3, false), (6, 4, true), (100, 50, false), (100, 51, true), (100, 100, true),
        ]
    )
    func boundary(count: Int, lost: Int, isMass: Bool) {
        var table = table(count)
        let all = (0..<count).map { router($0, heard: 1000) }
        let snapshot = left(Array(all.dropFirst(lost)), entriesOf: all)
        let missing = table.reset(to: snapshot, isNewDevice: false, sinceStart: .seconds(77))
        #expect(table.massLoss == DomainTable.MassLoss(lost: lost, of: count))
        #expect((table.massLoss != nil) == isMass)
        #expect(Set(missing.map(\.key)) == Set(isMass ? (0..<lost).map(key) : []))
        #expect(table.routerCount == (isMass ? count : count - lost))
        #expect(Set(table.forgottenInSnapshot) == Set(isMass ? [] : (0..<lost).map(key)))
        // Only what somebody meant is told as a removal.
        #expect(Set(table.removals.keys(after: 0)) == Set(isMass ? [] : (0..<lost).map(key)))
        // Broadcasts are for nobody who is not there; unicast entries of those who come back are needed.
        let strays = table.takeStrays()
        #expect(Set(strays.map(\.addresses.linkLocal)).count == lost)
        #expect(strays.allSatisfy { $0.entries == (isMass ? .flood : [.mac, .flood]) })
        #expect(table.repairs().isEmpty)
        // Whoever is back and speaks gets its flood entry again.
        if isMass {
            #expect(table.hear([router(0, heard: 2000)]) == [key(0)])
            #expect(table.repairs().map(\.missingEntries) == [.flood])
        }
    }

    @Test("Pending routers neither make a mass loss nor hide one, and come back with it")
    func pending() {
        var table = table(3)
        for number in 10..<20 { #expect(refusal(table.decide(key(number))) == nil) }
        let stay = (0..<3).map { router($0, heard: 1000) }
        var copy = table
        #expect(copy.reset(to: snapshot(stay, entries: []), isNewDevice: false, sinceStart: .zero).isEmpty)
        #expect(copy.routerCount == 3)
        #expect(copy.removals.keys(after: 0).isEmpty, "nobody's loss")
        #expect(table.reset(to: snapshot([], entries: []), isNewDevice: false, sinceStart: .zero).count == 13)
        #expect(table.pendingCount == 10)
    }

    @Test("Peers that became the operator's are not lost")
    func operators() {
        var table = table(2)
        let peers = (0..<2).map { Peer(publicKey: key($0), allowedIPs: [IPPrefix("10.0.0.\($0)/32")!]) }
        table.reset(to: DomainTable.Snapshot(ownKey: nil, peers: peers))
        #expect(table.massLoss == nil)
        #expect(table.routerCount == 0)
        #expect(table.removals.keys(after: 0).isEmpty)
    }

    @Test("An entry to an address that is another peer's by now stays")
    func takenOver() {
        var table = table(5)
        let all = (0..<5).map { router($0, heard: 1000) }
        var other = Peer(publicKey: key(9), allowedIPs: all[0].allowedIPs)
        other.hasPresharedKey = true
        table.reset(to: left(all.dropFirst() + [other], entriesOf: all))
        #expect(table.forgottenInSnapshot == [key(0)])
        #expect(table.takeStrays().isEmpty)
    }
}
