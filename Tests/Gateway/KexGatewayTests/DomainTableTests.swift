import EUI64
import KexProtocol
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import KexGateway

@Suite("What a registration means") struct DomainTableTests {
    @Test("Entries are known from what the kernel tells, when the fdb is not listed")
    func entriesWithoutList() {
        var table = DomainTable(rules: rules())
        let (first, addresses) = (router(1, heard: 100), RouterAddresses(of: key(1), profile: .eui64))
        table.reset(to: snapshot([first], entries: [.mac, .flood]))
        #expect(table.repairs().isEmpty)
        var unlisted = snapshot([first, router(2, heard: 100)], entries: [])
        unlisted.hasEntries = false
        table.reset(to: unlisted)
        #expect(table.repairs().map(\.key) == [key(2)], "what is known stays, what is not counts as missing")
        for admission in table.repairs() { table.confirm(admission) }
        // Removed by somebody, and added by somebody: told again, it is no news. The MAC of somebody else, and the
        // address of nobody, are none either.
        var news: [Bool] = []
        for isGone in [true, true] {
            news.append(table.noteEntry(mac: addresses.mac, to: addresses.linkLocal, isGone: isGone))
        }
        #expect(table.repairs().map(\.missingEntries) == [[.mac]])
        news.append(table.noteEntry(mac: addresses.mac, to: addresses.linkLocal, isGone: false))
        news.append(table.noteEntry(mac: MACAddress(2, 0, 0, 0, 0, 9), to: addresses.linkLocal, isGone: true))
        news.append(table.noteEntry(mac: .zero, to: IPv6Address("fe80::1")!, isGone: true))
        #expect(news == [true, false, false, false, false])
        #expect(table.repairs().isEmpty)
    }

    @Test(
        "A new key is admitted as a peer with its unicast entry, and with the flood entry where that is the rule",
        arguments: [(false, .mac), (true, [.mac, .flood])] as [(Bool, FdbEntries)]
    )
    func newKey(floodsAtRegistration: Bool, entries: FdbEntries) {
        var table = DomainTable(rules: rules(floodsAtRegistration: floodsAtRegistration))
        let addresses = RouterAddresses(of: key(1), profile: .eui64)
        let admission = DomainTable.Admission(
            key: key(1),
            addresses: addresses,
            isNewPeer: true,
            missingEntries: entries
        )
        #expect(table.decide(key(1)) == .admit(admission))
        table.confirm(admission)
        #expect(table.decide(key(1)) == .present)
        #expect(table.routerCount == 1)
    }

    @Test(
        "A router of the kernel's snapshot needs only what it lacks",
        arguments: [([], [.mac, .flood]), ([.mac], [.flood]), ([.flood], [.mac])] as [(FdbEntries, FdbEntries)]
    )
    func halfDone(present: FdbEntries, missing: FdbEntries) {
        var table = DomainTable(rules: rules())
        table.reset(to: snapshot([router(1, heard: 1)], entries: present))
        guard case .admit(let admission) = table.decide(key(1)) else {
            Issue.record("not admitted")
            return
        }
        #expect(!admission.isNewPeer)
        #expect(admission.missingEntries == missing)
        table.confirm(admission)
        #expect(table.decide(key(1)) == .present)
    }

    @Test("A router with all its entries is left alone")
    func present() {
        var table = DomainTable(rules: rules())
        table.reset(to: snapshot([router(1)], entries: [.mac, .flood]))
        #expect(table.decide(key(1)) == .present)
    }

    @Test("Only the entries of the domain's mode are asked for", arguments: [FdbEntries.mac, .flood])
    func mode(entries: FdbEntries) {
        var table = DomainTable(rules: rules(entries: entries, floodsAtRegistration: true))
        guard case .admit(let admission) = table.decide(key(1)) else {
            Issue.record("not admitted")
            return
        }
        #expect(admission.missingEntries == entries)
    }

    @Test("A key that no router can have is refused")
    func unusable() {
        var table = DomainTable(rules: rules())
        let zero = PublicKey(bytes: [UInt8](repeating: 0, count: 32).span)!
        #expect(refusal(table.decide(zero)) == .invalidKey)
        #expect(table.routerCount == 0)
    }

    @Test("An admission that failed leaves no trace")
    func abandoned() {
        var table = DomainTable(rules: rules(maximumPeers: 1))
        guard case .admit(let admission) = table.decide(key(1)) else {
            Issue.record("not admitted")
            return
        }
        table.abandon(admission)
        #expect(table.routerCount == 0)
        #expect(table.decide(key(1)) == .admit(admission))
    }

    @Test("A failed repair leaves the router that was there")
    func abandonedRepair() {
        var table = DomainTable(rules: rules())
        table.reset(to: snapshot([router(1, heard: 1)], entries: [.mac]))
        guard case .admit(let admission) = table.decide(key(1)) else {
            Issue.record("not admitted")
            return
        }
        table.abandon(admission)
        #expect(table.routerCount == 1)
        #expect(table.decide(key(1)) == .admit(admission))
    }

    @Test("The device's own key and prohibited keys are refused")
    func prohibited() {
        var table = DomainTable(rules: rules(prohibited: [key(7)]))
        table.reset(to: DomainTable.Snapshot(ownKey: key(8), peers: []))
        #expect(refusal(table.decide(key(7))) == .prohibitedKey)
        #expect(refusal(table.decide(key(8))) == .prohibitedKey)
    }

    @Test("A closed domain takes the keys of its list only; who is no longer allowed is to go")
    func closed() {
        var table = DomainTable(rules: rules(allowed: [key(1): "Anna"]))
        #expect(refusal(table.decide(key(1))) == nil)
        #expect(refusal(table.decide(key(2))) == .prohibitedKey)
        func banned() -> [PublicKey] {
            table.reset(to: snapshot([router(1)], entries: []))
            return table.takeProhibited().map(\.key)
        }
        #expect(banned().isEmpty)
        table.change(rules: rules(prohibited: [key(1)]))
        #expect(banned() == [key(1)])
        #expect(table.takeProhibited().isEmpty, "once a snapshot")
        #expect(refusal(table.decide(key(1))) == .prohibitedKey)
        table.change(rules: rules(allowed: [:]))
        #expect(banned() == [key(1)])
        table.change(rules: rules())
        #expect(banned().isEmpty)
    }

    @Test("Peers that no registration made are refused and not counted", arguments: staticPeers)
    func staticPeer(peer: Peer) {
        var table = DomainTable(rules: rules())
        table.reset(to: DomainTable.Snapshot(ownKey: nil, peers: [peer]))
        #expect(refusal(table.decide(peer.publicKey)) == .prohibitedKey)
        #expect(table.routerCount == 0)
        #expect(table.sweep(sinceStart: .seconds(10_000), wallClock: 1 << 40, isDryRun: false).isEmpty)
    }

    static let staticPeers: [Peer] = {
        let own = IPPrefix(host: RouterAddresses(of: key(5), profile: .eui64).linkLocal)
        let other = IPPrefix("fe80::5757:bb:2/128")!
        var shared = Peer(publicKey: key(5), allowedIPs: [own])
        shared.hasPresharedKey = true
        return [
            Peer(publicKey: key(5), allowedIPs: []),
            Peer(publicKey: key(5), allowedIPs: [other]),
            Peer(publicKey: key(5), allowedIPs: [own, other]),
            Peer(publicKey: key(5), allowedIPs: [IPPrefix("fe80::/64")!]),
            shared,
        ]
    }()

    @Test("The second key with an address is refused while the first one's peer exists")
    func collision() {
        let same = RouterAddresses(mac: MACAddress(2, 0, 0, 0, 0, 1), linkLocal: IPv6Address("fe80::1")!)
        var table = DomainTable(rules: rules(derive: { _, _ in same }))
        guard case .admit(let admission) = table.decide(key(1)) else {
            Issue.record("not admitted")
            return
        }
        #expect(refusal(table.decide(key(2))) == .addressInUse)
        table.confirm(admission)
        #expect(refusal(table.decide(key(2))) == .addressInUse)
        table.remove(key(1))
        #expect(refusal(table.decide(key(2))) == nil)
    }

    @Test("An address of a static peer is taken as well")
    func staticAddress() {
        let address = RouterAddresses(of: key(1), profile: .eui64).linkLocal
        var table = DomainTable(rules: rules())
        let gateway = Peer(publicKey: key(9), allowedIPs: [IPPrefix(host: address), IPPrefix("10.0.0.0/8")!])
        table.reset(to: DomainTable.Snapshot(ownKey: nil, peers: [gateway]))
        #expect(refusal(table.decide(key(1))) == .addressInUse)
    }
}

@Suite("The sweep") struct SweepTests {
    /// A sweep at `minute` with the router in the given state; returns the verdict's action.
    private func sweep(
        _ table: inout DomainTable,
        minute: Int64,
        handshake: Int64?,
        received: UInt64 = 0,
        isDryRun: Bool = false
    ) -> SweepVerdict.Action? {
        var peer = router(1)
        peer.lastHandshake = handshake.map { $0 * 60 }
        peer.receivedBytes = received
        table.reset(to: snapshot([peer], entries: [.mac, .flood]))
        let verdicts = table.sweep(sinceStart: .seconds(minute * 60), wallClock: minute * 60, isDryRun: isDryRun)
        #expect(verdicts.count <= 1)
        return verdicts.first?.action
    }

    @Test("A fresh router gets no verdict")
    func fresh() {
        var table = DomainTable(rules: rules())
        #expect(sweep(&table, minute: 100, handshake: 40) == nil)
    }

    @Test("Two sweeps a quarter of an hour apart take a silent router out", arguments: [nil, 10] as [Int64?])
    func twoSweeps(handshake: Int64?) {
        var table = DomainTable(rules: rules())
        #expect(sweep(&table, minute: 100, handshake: handshake) == .mark)
        #expect(sweep(&table, minute: 114, handshake: handshake) == .wait)
        #expect(sweep(&table, minute: 115, handshake: handshake) == .remove)
    }

    @Test("A removal that failed is tried again by the next sweep")
    func removalFailed() {
        var table = DomainTable(rules: rules())
        #expect(sweep(&table, minute: 100, handshake: nil) == .mark)
        #expect(sweep(&table, minute: 115, handshake: nil) == .remove)
        #expect(sweep(&table, minute: 116, handshake: nil) == .remove)
    }

    @Test("An hour is not yet too long; a second more is")
    func boundary() {
        var table = DomainTable(rules: rules())
        var peer = router(1)
        peer.lastHandshake = 1000
        table.reset(to: snapshot([peer], entries: []))
        #expect(table.sweep(sinceStart: .zero, wallClock: 4600, isDryRun: false).isEmpty)
        #expect(table.sweep(sinceStart: .zero, wallClock: 4601, isDryRun: false).map(\.action) == [.mark])
    }

    @Test("A handshake takes the mark away")
    func handshakeAgain() {
        var table = DomainTable(rules: rules())
        #expect(sweep(&table, minute: 100, handshake: 10) == .mark)
        #expect(sweep(&table, minute: 115, handshake: 110) == .unmark)
        #expect(sweep(&table, minute: 200, handshake: 110) == .mark)
    }

    @Test("Bytes received since the mark take it away, though the handshake is old")
    func bytes() {
        var table = DomainTable(rules: rules())
        #expect(sweep(&table, minute: 100, handshake: 10, received: 500) == .mark)
        #expect(sweep(&table, minute: 115, handshake: 10, received: 532) == .unmark)
        #expect(sweep(&table, minute: 130, handshake: 10, received: 532) == .mark)
    }

    @Test("A registration takes the mark away, so that the router has time for its handshake")
    func registeredAgain() {
        var table = DomainTable(rules: rules())
        #expect(sweep(&table, minute: 100, handshake: nil) == .mark)
        #expect(table.decide(key(1)) == .present)
        #expect(sweep(&table, minute: 115, handshake: nil) == .mark)
    }

    @Test("The mark goes with the peer")
    func vanished() {
        var table = DomainTable(rules: rules())
        #expect(sweep(&table, minute: 100, handshake: nil) == .mark)
        table.reset(to: snapshot([], entries: []))
        #expect(sweep(&table, minute: 115, handshake: nil) == .mark)
    }

    @Test("A dry run says the same and leaves the marks as they are")
    func dryRun() {
        var table = DomainTable(rules: rules())
        #expect(sweep(&table, minute: 100, handshake: nil, isDryRun: true) == .mark)
        #expect(sweep(&table, minute: 115, handshake: nil) == .mark)
        #expect(sweep(&table, minute: 130, handshake: nil, isDryRun: true) == .remove)
        #expect(sweep(&table, minute: 131, handshake: nil, received: 1, isDryRun: true) == .unmark)
        #expect(sweep(&table, minute: 132, handshake: nil) == .remove)
    }

    @Test("A clock that went back makes nobody stale, and one that jumped ahead only marks")
    func clockSteps() {
        var table = DomainTable(rules: rules())
        #expect(sweep(&table, minute: 100, handshake: 1540) == nil)
        var peer = router(1)
        peer.lastHandshake = 6000
        table.reset(to: snapshot([peer], entries: []))
        #expect(table.sweep(sinceStart: .seconds(6000), wallClock: 92_400, isDryRun: false).map(\.action) == [.mark])
        #expect(table.sweep(sinceStart: .seconds(6001), wallClock: 92_401, isDryRun: false).map(\.action) == [.wait])
    }

    @Test("No time that WireGuard may claim ends the program", arguments: [Int64.min, -1, Int64.max])
    func absurdTimes(handshake: Int64) {
        var table = DomainTable(rules: rules())
        var peer = router(1)
        peer.lastHandshake = handshake
        table.reset(to: snapshot([peer], entries: []))
        let verdicts = table.sweep(sinceStart: .zero, wallClock: 1 << 31, isDryRun: false)
        #expect(verdicts.map(\.action) == (handshake < 0 ? [.mark] : []))
    }
}

@Suite("Many who fall silent together") struct MassSilenceTests {
    /// Sweeps at `minute`, when all routers but the first few have been silent for long.
    private func sweep(_ table: inout DomainTable, minute: Int64, silent: Int, of all: Int, isDryRun: Bool = false)
        -> Int
    {
        let peers = (0..<all).map { router($0, heard: $0 < silent ? 60 : minute * 60, received: 5) }
        table.reset(to: snapshot(peers, entries: [.mac, .flood]))
        let verdicts = table.sweep(sinceStart: .seconds(minute * 60), wallClock: minute * 60, isDryRun: isDryRun)
        return verdicts.count { $0.action == .remove }
    }

    @Test(
        "More than half, and ten or more, have one more interval; fewer go at once",
        arguments: [(9, 9, 9), (10, 10, 0), (10, 20, 10), (11, 21, 0), (500, 1000, 500), (501, 1000, 0)]
    )
    func half(silent: Int, all: Int, removed: Int) {
        var table = DomainTable(rules: rules(maximumPeers: 2000))
        #expect(sweep(&table, minute: 100, silent: silent, of: all) == 0)
        #expect(sweep(&table, minute: 115, silent: silent, of: all, isDryRun: true) == removed)
        #expect(!table.isSilenceSuspicious, "a dry run leaves it as it is")
        #expect(sweep(&table, minute: 115, silent: silent, of: all) == removed)
        #expect(table.isSilenceSuspicious == (removed == 0))
        #expect(sweep(&table, minute: 129, silent: silent, of: all) == removed)
        #expect(sweep(&table, minute: 130, silent: silent, of: all) == silent)
        #expect(!table.isSilenceSuspicious)
    }

    @Test("When they come back in that time, nothing was removed, and the suspicion is over")
    func back() {
        var table = DomainTable(rules: rules())
        #expect(sweep(&table, minute: 100, silent: 60, of: 100) == 0)
        #expect(sweep(&table, minute: 115, silent: 60, of: 100) == 0)
        #expect(sweep(&table, minute: 120, silent: 0, of: 100) == 0)
        #expect(!table.isSilenceSuspicious)
        #expect(sweep(&table, minute: 200, silent: 60, of: 100) == 0)
        #expect(sweep(&table, minute: 215, silent: 60, of: 100) == 0)
    }
}

@Suite("What outlives the kernel's snapshot") struct MemoryTests {
    private static let heard = router(1, heard: 1000)

    @Test("A new device gets back who was there, with the unicast entry and without the flood entry")
    func newDevice() {
        var table = DomainTable(rules: rules())
        table.reset(to: snapshot([Self.heard, router(2)], entries: [.mac, .flood]))
        let missing = table.reset(to: snapshot([], entries: []), isNewDevice: true, sinceStart: .seconds(50))
        #expect(Set(missing.map(\.key)) == [key(1), key(2)])
        #expect(missing.first?.key == key(1), "who was heard of comes first")
        #expect(missing.allSatisfy { $0.isNewPeer && $0.missingEntries == [] })
        #expect(table.restoredAt == .seconds(50))
        #expect(table.repairs().map(\.missingEntries) == [.mac, .mac])
        #expect(table.knownRouters == [KnownRouter(key: key(1), lastHeard: 1000)])
    }

    @Test("What the kernel lost while the device stayed, somebody removed")
    func sameDevice() {
        var table = DomainTable(rules: rules())
        table.reset(to: snapshot([Self.heard], entries: [.mac, .flood]))
        let changes = table.changeCount
        table.reset(to: snapshot([], entries: []))
        #expect(table.knownRouters.isEmpty)
        #expect(table.changeCount > changes)
    }

    @Test("A failed attempt to fill a new device is made again, and lacks only what is not there yet")
    func again() {
        var table = DomainTable(rules: rules())
        table.recall((1...3).map { KnownRouter(key: key($0), lastHeard: 1) }, clocks: nil, restoredAt: .zero)
        #expect(table.reset(to: snapshot([], entries: []), isNewDevice: true, sinceStart: .zero).count == 3)
        let rest = table.reset(to: snapshot([router(2)], entries: []), isNewDevice: true, sinceStart: .zero)
        #expect(Set(rest.map(\.key)) == [key(1), key(3)])
        #expect(table.knownRouters.count == 3)
    }

    @Test("Who may not register does not come back either")
    func refused() {
        let taken = Peer(publicKey: key(9), allowedIPs: router(4).allowedIPs + [IPPrefix("10.0.0.0/8")!])
        var table = DomainTable(rules: rules(maximumPeers: 1, prohibited: [key(2)]))
        table.recall(
            (1...6).map { KnownRouter(key: key($0), lastHeard: Int64(100 - $0)) },
            clocks: nil,
            restoredAt: .zero
        )
        var now = snapshot([], entries: [])
        now.ownKey = key(1)
        now.peers = [taken, Peer(publicKey: key(3), allowedIPs: [])]
        let missing = table.reset(to: now, isNewDevice: true, sinceStart: .zero)
        // 1 is the device's own, 2 prohibited, 3 static, 4 has its address taken; 6 is one too many.
        #expect(missing.map(\.key) == [key(5)])
    }

    @Test("The flood entry comes with the first sign of life, once")
    func signOfLife() {
        var table = DomainTable(rules: rules())
        table.recall([KnownRouter(key: key(1), lastHeard: 1)], clocks: nil, restoredAt: .zero)
        #expect(table.reset(to: snapshot([], entries: []), isNewDevice: true, sinceStart: .zero).count == 1)
        #expect(table.repairs().map(\.missingEntries) == [.mac])
        for repair in table.repairs() { table.confirm(repair) }
        #expect(table.awaitsSomebody)
        #expect(table.hear([router(1), router(7, heard: 5)]).isEmpty)
        #expect(table.repairs().isEmpty)
        #expect(table.hear([Self.heard]) == [key(1)])
        #expect(table.repairs().map(\.missingEntries) == [.flood])
        table.confirm(table.repairs()[0])
        #expect(table.hear([Self.heard]).isEmpty)
        #expect(table.repairs().isEmpty)
        #expect(!table.awaitsSomebody)
        #expect(table.knownRouters == [KnownRouter(key: key(1), lastHeard: 1000)])
    }

    @Test("Only who was heard of is worth remembering")
    func known() {
        var table = DomainTable(rules: rules())
        _ = table.decide(key(1))
        #expect(table.knownRouters.isEmpty)
        let changes = table.changeCount
        _ = table.hear([Self.heard])
        #expect(table.knownRouters == [KnownRouter(key: key(1), lastHeard: 1000)])
        #expect(table.changeCount == changes + 1)
        table.remove(key(1))
        #expect(table.knownRouters.isEmpty)
        #expect(table.changeCount == changes + 2)
    }

    @Test("A snapshot with the same routers is no change")
    func unchanged() {
        var table = DomainTable(rules: rules())
        table.reset(to: snapshot([Self.heard, router(2)], entries: []))
        let changes = table.changeCount
        table.reset(to: snapshot([Self.heard, router(2), router(3)], entries: [.mac]))
        #expect(table.changeCount == changes)
        var other = router(2)
        other.lastHandshake = 7
        table.reset(to: snapshot([Self.heard, other], entries: [.mac]))
        #expect(table.changeCount == changes + 1)
    }

    @Test("Marks live on in the same run of the machine, and end with it", arguments: [true, false])
    func marks(isSameRun: Bool) {
        let mark = StaleMark(since: .seconds(6000), receivedBytes: 0)
        let known = KnownRouter(key: key(1), lastHeard: 1000, mark: mark)
        var table = DomainTable(rules: rules())
        let clocks = isSameRun ? Moment(seconds: 6000, sinceStart: .seconds(6000)) : nil
        table.recall([known], clocks: clocks, restoredAt: .zero)
        table.reset(to: snapshot([Self.heard], entries: [.mac, .flood]))
        let verdicts = table.sweep(sinceStart: .seconds(6900), wallClock: 6900, isDryRun: false)
        #expect(verdicts.map(\.action) == [isSameRun ? .remove : .mark])
    }

    @Test("Who was brought back has the whole time until it is stale, and is then removed in two sweeps")
    func patience() {
        var table = DomainTable(rules: rules())
        table.recall([KnownRouter(key: key(1), lastHeard: 1000)], clocks: nil, restoredAt: .zero)
        _ = table.reset(to: snapshot([], entries: []), isNewDevice: true, sinceStart: .seconds(100))
        func sweep(at second: Int64) -> [SweepVerdict.Action] {
            table.reset(to: snapshot([router(1)], entries: [.mac]))
            return table.sweep(sinceStart: .seconds(second), wallClock: 900_000 + second, isDryRun: false).map(\.action)
        }
        #expect(sweep(at: 3700).isEmpty)
        #expect(sweep(at: 3701) == [.mark])
        #expect(sweep(at: 4601) == [.remove])
    }

    @Test("After a step of the clock nothing is removed in the first sweep", arguments: [86_400, -86_400] as [Int64])
    func clockStep(step: Int64) {
        var table = DomainTable(rules: rules())
        let start: Int64 = 1_000_000
        func sweep(at second: Int64, wallClock: Int64) -> [SweepVerdict.Action] {
            table.reset(to: snapshot([Self.heard], entries: [.mac, .flood]))
            return table.sweep(sinceStart: .seconds(second), wallClock: wallClock, isDryRun: false).map(\.action)
        }
        #expect(sweep(at: 10, wallClock: start + 10) == [.mark])
        #expect(sweep(at: 1000, wallClock: start + 1000 + step) == [.mark], "not removed, although marked long ago")
        #expect(sweep(at: 2000, wallClock: start + 2000 + step) == [.remove])
    }

    @Test("A minute between the clocks is a step, less is not", arguments: [(59, false), (60, true), (-60, true)])
    func stepBoundary(seconds: Int64, isStep: Bool) {
        var table = DomainTable(rules: rules())
        _ = table.sweep(sinceStart: .zero, wallClock: 5000, isDryRun: false)
        let now = Moment(seconds: 5100 + seconds, sinceStart: .seconds(100))
        #expect((table.clockStep(until: now) != nil) == isStep)
    }
}
