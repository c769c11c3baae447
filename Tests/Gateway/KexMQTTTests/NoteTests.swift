import BusMessages
import HandlerChannel
import KexProtocol
import Keys
import NetworkAddresses
import Testing
import Time

@testable import KexMQTT

@Suite("Notes") struct NoteTests {
    /// The filter for all of them.
    private static let notes = "kex/ffww01/router/+"

    @Test("The first handshake is told, each later one not before a quarter of the expiry, and the count behind them")
    func heard() throws {
        var gateway = Member()
        gateway.connect()
        gateway.list([(1, gateway.seconds - 5), (2, nil)])
        let first = gateway.publications()
        #expect(first.map(\.topic) == ["\(BusTopic.router(domain, key(1)))", "kex/ffww01/count/gw01"])
        #expect(first[0].note?.state == .heard(at: gateway.seconds - 5))
        #expect(first[0].expiry == 7200)
        #expect(first.allSatisfy { $0.isRetained })
        #expect(
            first[1].message
                == .count(domain, GatewayName("gw01")!, CountNote(time: gateway.now.milliseconds + 1, count: 1))
        )
        gateway.pass(.seconds(1350 - 1))
        gateway.list([(1, gateway.seconds), (2, nil)])
        #expect(gateway.publications().isEmpty)
        gateway.pass(.seconds(451))
        gateway.list([(1, gateway.seconds), (2, nil)])
        #expect(gateway.publications().count == 1)
        // Whoever is silent is not told of again.
        gateway.pass(.seconds(1801))
        gateway.list([(1, gateway.seconds - 1801), (2, nil)])
        #expect(gateway.publications().isEmpty)
    }

    @Test("Many that came together are not refreshed together")
    func spread() {
        var gateway = Member()
        gateway.connect()
        let numbers = Array(0..<256)
        gateway.list(numbers.map { ($0, gateway.seconds) })
        #expect(gateway.publications().count == 257)
        var refreshed: [Int] = []
        for _ in 0..<100 {
            gateway.pass(.seconds(20))
            gateway.list(numbers.map { ($0, gateway.seconds) })
            refreshed.append(gateway.publications().count)
        }
        #expect(refreshed.max()! <= 20, "\(refreshed)")
        #expect(refreshed.reduce(0, +) == 256)
    }

    @Test("A router that was removed on purpose is told as removed, until the broker has it")
    func removed() {
        var gateway = Member()
        gateway.connect()
        gateway.list([(1, gateway.seconds), (2, gateway.seconds)])
        _ = gateway.publications()
        gateway.pass(.seconds(5))
        gateway.list([(2, gateway.seconds)], removed: [1], isWhole: false)
        #expect(gateway.publications().isEmpty)
        gateway.pass(.seconds(5))
        gateway.list([(2, gateway.seconds)], removed: [1])
        gateway.acknowledges = false
        #expect(gateway.publications().first?.note?.state == .removed)
        gateway.member.disconnect(at: gateway.now)
        gateway.acknowledges = true
        gateway.reason = 151
        gateway.connect()
        #expect(gateway.publications().compactMap(\.note?.state).contains(.removed))
        gateway.member.disconnect(at: gateway.now)
        gateway.reason = 0
        gateway.connect()
        let again = gateway.publications()
        #expect(again.compactMap(\.note?.state).contains(.removed))
        #expect(again.compactMap(\.note).count == 2)
        gateway.member.disconnect(at: gateway.now)
        gateway.connect()
        #expect(gateway.publications().compactMap(\.note?.state) == [.heard(at: gateway.seconds)])
    }

    @Test("Whoever is missing from a list without a word is told to nobody, however many they are")
    func missing() {
        var gateway = Member()
        gateway.connect()
        gateway.list((0..<100).map { ($0, gateway.seconds) })
        _ = gateway.publications()
        gateway.pass(.seconds(5))
        gateway.list([(0, gateway.seconds)])
        // Only the count of what is kept in our name changes.
        #expect(gateway.publications().compactMap(\.note).isEmpty)
        // They come back, as if they had been away.
        gateway.pass(.seconds(5))
        gateway.list((0..<100).map { ($0, gateway.seconds) })
        #expect(gateway.publications().compactMap(\.note?.state).count == 99)
    }

    @Test("Only what was removed here is told, and not who went because another gateway said so")
    func cascade() {
        var gateway = Member()
        gateway.connect()
        gateway.list([(1, gateway.seconds), (2, gateway.seconds), (3, nil)])
        _ = gateway.publications()
        gateway.pass(.seconds(4000))
        gateway.hear(1, .removed)
        gateway.hear(3, .removed)
        #expect(gateway.news().count == 2)
        gateway.pass(.seconds(5))
        gateway.list([(2, gateway.seconds)], removed: [2])
        #expect(!gateway.publications().compactMap(\.note?.state).contains(.removed))
    }

    @Test("A removal is asked for once; a handler that is new has numbers of its own")
    func removalNumbers() {
        var gateway = Member()
        gateway.connect()
        gateway.list([(1, gateway.seconds), (2, gateway.seconds)])
        gateway.pass(.seconds(5))
        gateway.list([(2, gateway.seconds)], removed: [1])
        gateway.pass(.seconds(5))
        #expect(gateway.member.nextList(at: gateway.now)?.lastRemoval == 1)
        gateway.member.loseHandler(at: gateway.now)
        gateway.pass(.seconds(5))
        #expect(gateway.member.nextList(at: gateway.now)?.lastRemoval == 0)
    }

    @Test(
        "Our note has its place back when an older one has it, in another gateway's name or in our own",
        arguments: [true, false]
    )
    func displaced(isOwn: Bool) {
        var gateway = Member()
        gateway.connect()
        let old = gateway.seconds - 100
        gateway.list([(1, old)])
        _ = gateway.publications()
        gateway.pass(.seconds(3000))
        gateway.list([(1, gateway.seconds)])
        let state = RouterNote.State.heard(at: gateway.seconds)
        #expect(gateway.publications().compactMap(\.note?.state) == [state])
        gateway.pass(.seconds(5))
        let name = isOwn ? "gw01" : "gw02"
        for replayed in [RouterNote.State.heard(at: old), .removed, .heard(at: old)] {
            gateway.hear(1, replayed, from: name, saidAt: gateway.now.milliseconds - 3_000_000)
            #expect(gateway.publications().compactMap(\.note?.state) == [state], "\(replayed)")
        }
        // What the broker has is right: an echo of ours, or what another gateway heard since.
        gateway.hear(1, isOwn ? state : .heard(at: gateway.seconds), from: name)
        #expect(gateway.publications().compactMap(\.note).isEmpty)
    }

    @Test("A note of ours that the broker kept although its router was removed since is replaced")
    func keptNote() {
        var gateway = Member()
        gateway.connect()
        gateway.list([(2, gateway.seconds)], removed: [1])
        // It was another process that published it.
        #expect(!gateway.publications().compactMap(\.note?.state).contains(.removed))
        gateway.hear(1, .heard(at: gateway.seconds - 60), from: "gw01", isRetained: true)
        #expect(gateway.news().isEmpty)
        #expect(gateway.publications().compactMap(\.note?.state) == [.removed])
    }

    @Test(
        "Words that wait for the handler are kept by what they say: no sign of life is lost to a removal",
        arguments: [false, true]
    )
    func waitingWords(isTurned: Bool) {
        var gateway = Member()
        gateway.connect()
        let now = gateway.seconds
        let say: [(inout Member) -> Void] = [
            { $0.hear(1, .heard(at: now - 10), from: "gw02") },
            { $0.hear(1, .removed, from: "gw03", saidAt: (now - 20) * 1000) },
            { $0.hear(1, .heard(at: now - 30), from: "gw04") },
        ]
        for word in isTurned ? say.reversed() : say { word(&gateway) }
        #expect(gateway.news(answer: .unavailable).map(\.kind) == [.heard])
        gateway.hear(1, .removed, from: "gw03", saidAt: (now - 5) * 1000)
        gateway.pass(BusLimit.handlerPause)
        let news = gateway.news()
        #expect(news.map(\.kind) == [.heard, .removed])
        #expect(news.map(\.time) == [now - 10, now - 5])
    }

    @Test("A registration that is said again later than anybody would is somebody else's")
    func oldRegistration() {
        var gateway = Member()
        gateway.connect()
        gateway.hear(1, .registered, saidAt: gateway.now.milliseconds - 300_000)
        gateway.hear(2, .registered, saidAt: gateway.now.milliseconds - 300_001)
        #expect(gateway.newcomers() == [key(1)])
    }

    @Test("A new connection begins with all notes: the broker may have lost them")
    func again() {
        var gateway = Member()
        gateway.connect()
        gateway.list((0..<1000).map { ($0, gateway.seconds) })
        #expect(gateway.publications().compactMap(\.note).count == 1000)
        gateway.member.disconnect(at: gateway.now)
        #expect(gateway.publications().isEmpty)
        gateway.connect()
        let all = gateway.publications()
        #expect(all.compactMap(\.note).count == 1000)
        guard case .count(_, _, let note)? = all.last?.message else {
            Issue.record("no count")
            return
        }
        #expect(note.count == 1000)
        // Later than all before, although the clock stood still.
        let times = all.compactMap(\.note?.time)
        #expect(Set(times).count == 1000 && times == times.sorted())
    }

    @Test("Only so many are on their way to the broker at a time, and a registration does not wait behind them")
    func window() {
        var gateway = Member()
        gateway.acknowledges = false
        gateway.connect()
        gateway.list((0..<1000).map { ($0, gateway.seconds) })
        #expect(gateway.publications().count == BusLimit.notesAtBroker)
        let request = RegistrationRequest(id: 7, source: IPv6Address(high: 0, low: 0), registration: registration(5000))
        gateway.member.register(request, frontDoor: 1, at: gateway.now)
        #expect(gateway.publications().map(\.message) == [.registration(registration(5000))])
    }

    @Test("News of others are carried to the handler once, in their order, and again if it could not take them in")
    func news() {
        var gateway = Member()
        gateway.connect()
        gateway.hear(1, .heard(at: gateway.seconds - 7), isRetained: true)
        let note = RouterNote(gateway: GatewayName("gw02")!, time: gateway.now.milliseconds, state: .heard(at: 1))
        gateway.receive(.router(registration(1), note))
        #expect(gateway.news(answer: .unavailable).map(\.time) == [gateway.seconds - 7])
        #expect(gateway.news().isEmpty)
        gateway.pass(BusLimit.handlerPause)
        #expect(gateway.news().count == 1)
        // An older one of the same gateway is for the handler to weigh; only the same one is no news.
        gateway.hear(1, .heard(at: 1), saidAt: gateway.now.milliseconds - 1)
        #expect(gateway.news().map(\.time) == [1])
        gateway.pass(.seconds(1))
        gateway.hear(1, .removed)
        let removed = gateway.news()
        #expect(removed.map(\.kind) == [.removed])
        #expect(removed.map(\.time) == [gateway.seconds])
        gateway.hear(1, .removed)
        #expect(gateway.news().isEmpty)
        // Another gateway's clock may be behind.
        gateway.now.milliseconds -= 2000
        gateway.hear(1, .heard(at: gateway.seconds), from: "gw03")
        #expect(gateway.news().map(\.kind) == [.heard])
    }

    @Test("Notes of our own from before bring back routers that are not here any more")
    func ownNotes() {
        let signing = SigningKey()
        var gateway = Member(signingKey: signing, trusted: TrustedKeys())
        gateway.connect()
        func note(_ number: Int, _ state: RouterNote.State) -> BusMessage {
            let note = RouterNote(gateway: GatewayName("gw01")!, time: gateway.now.milliseconds - 9000, state: state)
            return .router(registration(number), note)
        }
        let heard = RouterNote.State.heard(at: gateway.seconds - 9)
        gateway.receive(note(1, heard), isRetained: true, signedWith: signing)
        gateway.receive(note(2, heard), isRetained: true)
        gateway.receive(note(3, .removed), isRetained: true, signedWith: signing)
        gateway.receive(note(4, heard), signedWith: signing)
        let news = gateway.news()
        #expect(news.map(\.registration.key) == [key(1)], "kept, signed, and not of one that was removed")
        #expect(news.map(\.kind) == [.heard])
        #expect(news.map(\.time) == [gateway.seconds - 9])
        // The handler has let it in, and has not heard of it. The note stays what it is.
        gateway.list([(1, nil), (5, gateway.seconds)])
        #expect(gateway.publications().count { $0.topic.hasPrefix("kex/ffww01/router/") } == 1)
        // One that is here is no news, whatever was kept.
        gateway.receive(note(5, heard), isRetained: true, signedWith: signing)
        #expect(gateway.news().isEmpty)
    }

    @Test(
        "A handler that has lost its routers says nothing of them: they are told to it, and nobody is told that they are gone"
    )
    func lostRouters() {
        var gateway = Member()
        gateway.connect()
        gateway.list([(1, gateway.seconds)])
        let note = gateway.publications().first { $0.topic.hasPrefix("kex/ffww01/router/") }!
        gateway.member.loseHandler(at: gateway.now)
        gateway.pass(BusLimit.handlerPause)
        gateway.member.regainHandler()
        gateway.subscribe()
        gateway.deliver(note, isRetained: true)
        #expect(gateway.news().map(\.registration.key) == [key(1)])
        gateway.list([])
        gateway.pass(.seconds(5))
        gateway.list([(1, nil)])
        #expect(gateway.publications().compactMap(\.note).isEmpty)
    }

    @Test("A router that went while the broker was away, or before it was told again, stays away")
    func lateFarewell() {
        var gateway = Member()
        gateway.connect()
        gateway.list([(1, gateway.seconds), (2, gateway.seconds), (3, gateway.seconds)])
        let notes = gateway.publications().filter { $0.topic.hasPrefix("kex/ffww01/router/") }
        gateway.member.disconnect(at: gateway.now)
        gateway.pass(.seconds(5))
        gateway.list([(2, gateway.seconds), (3, gateway.seconds)], removed: [1])
        gateway.connect()
        for note in notes { gateway.deliver(note, isRetained: true) }
        #expect(gateway.news().isEmpty)
        gateway.pass(.seconds(5))
        gateway.list([(3, gateway.seconds)], removed: [2])
        let states = gateway.publications().compactMap(\.note?.state)
        #expect(states.count { $0 == .removed } == 2)
        #expect(states.count == 3)
    }

    @Test("Notes of our own as they come, from too far in the future, or that should have expired, are nothing new")
    func foreignTimes() {
        var gateway = Member()
        gateway.connect()
        let times: [(Int64, Bool)] = [
            (300_000, true), (300_001, false), (-7_200_000, true), (-7_200_001, false), (Int64.max / 2, false),
        ]
        for (index, (offset, isNews)) in times.enumerated() {
            let note = RouterNote(
                gateway: GatewayName("gw02")!,
                time: max(0, gateway.now.milliseconds &+ offset),
                state: .heard(at: .max)
            )
            gateway.receive(.router(registration(index), note))
            let news = gateway.news()
            #expect(news.count == (isNews ? 1 : 0), "\(offset)")
            // No handshake is in the future.
            #expect(news.allSatisfy { $0.time == gateway.seconds })
        }
        gateway.hear(10, .heard(at: gateway.seconds), from: "gw01")
        gateway.receive(.router(registration(11), nil))
        #expect(gateway.news().isEmpty)
        // Of a domain that is not ours.
        let other = Registration(domain: DomainName("other")!, key: key(1))
        let note = RouterNote(gateway: GatewayName("gw02")!, time: gateway.now.milliseconds, state: .heard(at: 1))
        gateway.receive(.router(other, note))
        #expect(gateway.news().isEmpty)
    }

    @Test("A handler that is gone is told everything when it is back")
    func newHandler() {
        var gateway = Member()
        gateway.connect()
        let time = (note: gateway.now.milliseconds, heard: gateway.seconds)
        let note = RouterNote(gateway: GatewayName("gw02")!, time: time.note, state: .heard(at: time.heard))
        gateway.receive(.router(registration(1), note))
        #expect(gateway.news().count == 1)
        gateway.hear(2, .heard(at: gateway.seconds))
        _ = gateway.member.nextNews(at: gateway.now)
        gateway.member.loseHandler(at: gateway.now)
        gateway.pass(BusLimit.handlerPause)
        gateway.member.regainHandler()
        #expect(gateway.subscribe() == [Self.notes, "\(Self.notes) without kept"])
        gateway.receive(.router(registration(1), note), isRetained: true)
        #expect(Set(gateway.news().map(\.registration.key)) == [key(1), key(2)])
    }

    @Test("A router that went elsewhere is that gateway's to tell of; one that is alive here is told again")
    func moved() {
        var gateway = Member()
        gateway.connect()
        gateway.list([(1, gateway.seconds), (2, gateway.seconds)])
        _ = gateway.publications()
        let start = gateway.seconds
        gateway.pass(.seconds(60))
        gateway.hear(1, .heard(at: gateway.seconds))
        gateway.hear(2, .removed)
        // The second is alive here: the broker is to say so. The first is no longer ours to count.
        let publications = gateway.publications()
        #expect(publications.compactMap(\.note?.state) == [.heard(at: start)])
        guard case .count(_, _, let note)? = publications.last?.message else {
            Issue.record("\(publications)")
            return
        }
        #expect(note.count == 1)
        gateway.list([(2, start)])
        #expect(gateway.publications().isEmpty)
        // Back here, when the session there has ended.
        gateway.pass(.seconds(60))
        gateway.list([(1, gateway.seconds), (2, start)])
        #expect(gateway.publications().compactMap(\.note).count == 1)
    }

    @Test("What is missing of the broker's notes is asked for, and named when it never comes")
    func replay() {
        var gateway = Member()
        gateway.connect()
        /// Whoever says nothing of itself is no gateway, and nothing of it is missed.
        func arrive() {
            for name in ["gw02", "gw03"] {
                gateway.receive(.status(GatewayName(name)!, isOnline: true), isRetained: true)
            }
        }
        gateway.receive(.count(domain, GatewayName("gw02")!, CountNote(time: 1, count: 3)), isRetained: true)
        gateway.pass(.seconds(2))
        #expect(gateway.subscribe().isEmpty)
        arrive()
        func count(_ number: Int64) -> BusMessage {
            .count(domain, GatewayName("gw02")!, CountNote(time: gateway.now.milliseconds, count: number))
        }
        gateway.receive(count(3), isRetained: true)
        for number in 0..<3 { gateway.hear(number, .heard(at: gateway.seconds), isRetained: true) }
        gateway.pass(.seconds(2))
        #expect(gateway.subscribe().isEmpty)
        gateway.member.disconnect(at: gateway.now)
        gateway.connect()
        gateway.receive(count(4), isRetained: true)
        for _ in 0..<BusLimit.replays {
            for number in 0..<3 { gateway.hear(number, .heard(at: gateway.seconds), isRetained: true) }
            gateway.pass(.milliseconds(1999))
            #expect(gateway.subscribe().isEmpty)
            gateway.pass(.milliseconds(1))
            // All of them without a place in the broker's queue, and then what comes later.
            #expect(gateway.subscribe() == ["\(Self.notes) unacknowledged", "\(Self.notes) without kept"])
        }
        for number in 0..<3 { gateway.hear(number, .heard(at: gateway.seconds), isRetained: true) }
        gateway.pass(.seconds(2))
        #expect(gateway.subscribe().isEmpty)
        #expect(
            gateway.member.takeNotices() == [.incomplete(domain: "ffww01", gateway: "gw02", seen: 3, count: 4)]
        )
        gateway.pass(.seconds(100))
        #expect(gateway.subscribe().isEmpty)
        // Of another one it is asked for all the same; and of this one, when it was complete in between.
        gateway.member.regainHandler()
        gateway.subscribe()
        gateway.receive(.count(domain, GatewayName("gw03")!, CountNote(time: 1, count: 1)), isRetained: true)
        gateway.pass(.seconds(2))
        #expect(gateway.subscribe().count == 2)
        for number in 0..<4 { gateway.hear(number, .heard(at: gateway.seconds), isRetained: true) }
        gateway.hear(4, .heard(at: gateway.seconds), from: "gw03", isRetained: true)
        gateway.pass(.seconds(2))
        #expect(gateway.subscribe().isEmpty)
        gateway.member.regainHandler()
        gateway.subscribe()
        gateway.hear(4, .heard(at: gateway.seconds), from: "gw03", isRetained: true)
        // Notes that are published just now are not among those that were kept.
        for number in 0..<4 { gateway.hear(number, .heard(at: gateway.seconds)) }
        gateway.pass(.seconds(2))
        #expect(gateway.subscribe().count == 2)
    }

    @Test("A subscription without an answer is looked at as well")
    func silentBroker() {
        var gateway = Member()
        gateway.member.connect(at: gateway.now)
        while gateway.member.nextSubscription(at: gateway.now) != nil {}
        gateway.receive(.status(GatewayName("gw02")!, isOnline: true), isRetained: true)
        gateway.receive(.count(domain, GatewayName("gw02")!, CountNote(time: 1, count: 1)), isRetained: true)
        gateway.pass(BusLimit.subscriptionTime - .milliseconds(1))
        #expect(gateway.subscribe().isEmpty)
        gateway.pass(.milliseconds(1))
        #expect(gateway.subscribe().count == 2)
    }

    @Test("A broker that owes an answer for half a minute is left")
    func stuck() {
        var gateway = Member()
        gateway.connect()
        gateway.acknowledges = false
        gateway.list([(1, gateway.seconds)])
        #expect(!gateway.publications().isEmpty)
        gateway.pass(BusLimit.acknowledgementTime)
        #expect(!gateway.member.isStuck)
        gateway.pass(BusLimit.acknowledgementCheck)
        #expect(gateway.member.isStuck)
        gateway.member.disconnect(at: gateway.now)
        #expect(!gateway.member.isStuck)
        // One that cannot even be sent keeps nobody waiting.
        gateway.connect()
        while let next = gateway.member.nextPublication(at: gateway.now) { gateway.member.fail(next, at: gateway.now) }
        gateway.pass(.seconds(100))
        #expect(!gateway.member.isStuck)
    }
}
