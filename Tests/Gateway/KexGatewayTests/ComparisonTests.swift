import EUI64
import KexProtocol
import NetworkAddresses
import Testing
import WireGuardTypes

@testable import KexGateway

/// What is done with a table while a copy of it is compared with the kernel.
@Suite("A comparison beside the loop") struct ComparisonTests {
    private let now = Duration.seconds(100)

    /// Routers 1 to 9, heard of, with all their entries.
    private func table() -> DomainTable {
        var table = DomainTable(rules: rules())
        table.reset(to: snapshot((1...9).map { router($0, heard: 50) }, entries: [.mac, .flood]))
        return table
    }

    /// Begins a comparison, does something with the table meanwhile, and ends the comparison with a snapshot.
    private func compare(
        _ table: inout DomainTable,
        _ snapshot: DomainTable.Snapshot,
        meanwhile: (inout DomainTable) -> Void
    ) -> Set<PublicKey> {
        var comparison = table.beginComparison()
        meanwhile(&table)
        comparison.take(snapshot, begunAt: now, isNewDevice: false, sinceStart: now)
        return table.adopt(comparison)
    }

    @Test("finds what the kernel has lost and got, and what was heard, as one on the table itself")
    func plain() {
        var table = table()
        let peers =
            [router(1, heard: 50), router(2, heard: 80, received: 5), router(20, heard: 90)]
            + (3...8).map { router($0, heard: 50) }
        let touched = compare(&table, snapshot(peers, entries: [.mac, .flood])) { _ in }
        var direct = self.table()
        _ = direct.reset(to: snapshot(peers, entries: [.mac, .flood]), isNewDevice: false, sinceStart: now)
        #expect(touched.isEmpty)
        #expect(Set(table.knownRouters) == Set(direct.knownRouters))
        #expect(
            Set(table.knownRouters.map(\.key)) == Set((1...8).map(key) + [key(20)]),
            "the ninth was removed by hand"
        )
        #expect(table.forgottenInSnapshot == [key(9)])
        #expect(table.removals.keys(after: 0).count == direct.removals.keys(after: 0).count)
        #expect(table.changeCount == direct.changeCount)
        #expect(table.routers[key(2)]?.receivedBytes == 5)
        #expect(table.owners == direct.owners)
    }

    @Test("leaves out who was let in meanwhile: the snapshot is from before, and does not show the peer")
    func admitted() throws {
        var table = table()
        let all = snapshot((1...9).map { router($0, heard: 50) }, entries: [.mac, .flood])
        let touched = compare(&table, all) { table in
            guard case .admit(let admission) = table.decide(key(30)) else { return }
            table.confirm(admission)
        }
        #expect(touched == [key(30)])
        #expect(table.routerCount == 10)
        #expect(table.pendingCount == 1)
        #expect(table.decide(key(30)) == .present)
        let address = RouterAddresses(of: key(30), profile: .eui64).linkLocal
        #expect(table.owner(of: address) == key(30))
        // The next snapshot without it is newer.
        #expect(compare(&table, all) { _ in }.isEmpty)
        #expect(table.routerCount == 9)
        #expect(table.pendingCount == 0)
        #expect(table.owner(of: address) == nil)
    }

    @Test("leaves out who was removed meanwhile: the snapshot still shows the peer")
    func removed() {
        var table = table()
        let touched = compare(&table, snapshot((1...9).map { router($0, heard: 60) }, entries: [.mac, .flood])) {
            table in table.remove(key(3))
        }
        #expect(touched == [key(3)])
        #expect(table.routerCount == 8)
        #expect(table.owner(of: RouterAddresses(of: key(3), profile: .eui64).linkLocal) == nil)
        #expect(table.removals.keys(after: 0).isEmpty)
    }

    @Test("leaves out whose session was reset meanwhile, and whose entry was removed")
    func resetAndEntry() {
        var table = table()
        let addresses = RouterAddresses(of: key(5), profile: .eui64)
        _ = compare(&table, snapshot((1...9).map { router($0, heard: 60) }, entries: [.mac, .flood])) { table in
            table.noteReset(key(4), at: now)
            _ = table.noteEntry(mac: .zero, to: addresses.linkLocal, isGone: true)
        }
        #expect(table.routers[key(4)]?.hasSession == false)
        #expect(table.awaitsSomebody)
        #expect(table.repairs().map(\.key) == [key(5)])
        #expect(table.routers[key(6)]?.lastHeard == 60)
    }

    @Test("that comes to nothing leaves the table as it is")
    func dropped() {
        var table = table()
        _ = table.beginComparison()
        table.remove(key(1))
        table.endComparison()
        #expect(table.routerCount == 8)
        #expect(table.routers.touched == nil)
    }

    @Test("takes a registered key for the operator's only when a snapshot that is begun later shows it so")
    func staticPeer() {
        var table = table()
        var fixed = Peer(publicKey: key(40), allowedIPs: [IPPrefix(host: IPv6Address("fe80::5757:bb:2")!)])
        fixed.endpoint = nil
        let shown = snapshot((1...9).map { router($0, heard: 60) } + [fixed], entries: [.mac, .flood])
        _ = compare(&table, shown) { table in _ = table.decide(key(40)) }
        #expect(refusal(table.decide(key(40))) == nil)
        _ = compare(&table, shown) { _ in }
        #expect(refusal(table.decide(key(40))) == .prohibitedKey)
    }

    @Test("of an interrupted list believes who is there, and absence only when it is seen twice")
    func interrupted() {
        let table = table()
        var first = snapshot([router(1, heard: 70)], entries: [.mac, .flood])
        let absent = table.complete(&first, absentBefore: [])
        #expect(absent == Set((2...9).map(key)))
        var copy = table
        _ = copy.reset(to: first, isNewDevice: false, sinceStart: now)
        #expect(copy.routerCount == 9)
        #expect(copy.routers[key(1)]?.lastHeard == 70)
        #expect(copy.routers[key(2)]?.lastHeard == 50)
        #expect(copy.removals.keys(after: 0).isEmpty)
        var second = snapshot((1...8).map { router($0, heard: 70) }, entries: [.mac, .flood])
        #expect(table.complete(&second, absentBefore: absent) == [key(9)])
        #expect(second.peers.count == 8)
        var third = snapshot((1...8).map { router($0, heard: 70) }, entries: [.mac, .flood])
        #expect(table.complete(&third, absentBefore: nil) == [key(9)])
        #expect(third.peers.count == 9, "while peers are removed, absence means nothing")
    }

    @Test("keeps the sets of those who lack something and were not heard of as a table that is counted through")
    func sets() {
        var table = table()
        var random = SystemRandomNumberGenerator()
        for step in 0..<300 {
            let number = Int.random(in: 1...20, using: &random)
            switch step % 4 {
            case 0: _ = table.decide(key(number))
            case 1: table.remove(key(number))
            case 2: _ = table.hear(key(number), at: 100)
            default:
                let addresses = RouterAddresses(of: key(number), profile: .eui64)
                _ = table.noteEntry(mac: .zero, to: addresses.linkLocal, isGone: step % 8 == 3)
            }
            let lacking = table.routers.filter { !table.routers.missingEntries(of: $0.value).isEmpty }.map(\.key)
            #expect(table.routers.lacking == Set(lacking))
            #expect(table.routers.silentCount == table.routers.count { !$0.value.hasSession })
        }
    }
}
