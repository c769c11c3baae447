import BusMessages
import HandlerChannel
import KexProtocol
import Keys
import NetworkAddresses
import Testing
import Time

@testable import KexMQTT

@Suite("A gateway on the bus") struct MemberTests {
    private func request(_ number: Int, id: UInt32 = 7) -> RegistrationRequest {
        RegistrationRequest(id: id, source: IPv6Address("2001:db8::1")!, registration: registration(number))
    }

    // MARK: - Front doors

    @Test("A registration succeeds when the broker has acknowledged it, and fails if the broker refuses")
    func registration_() throws {
        var gateway = Member()
        gateway.connect()
        for (id, reason) in [(1, 0), (2, 16), (3, 128)] as [(UInt32, UInt8)] {
            gateway.member.register(request(Int(id), id: id), frontDoor: 5, at: gateway.now)
            let next = gateway.member.nextPublication(at: gateway.now)
            let publication = try #require(next)
            #expect(publication.message == .registration(registration(Int(id))))
            #expect(!publication.isRetained && publication.expiry == nil)
            gateway.member.note(publication, sentAs: Int32(id), at: gateway.now)
            #expect(gateway.member.takeAnswers().isEmpty)
            gateway.member.acknowledged(Int32(id), reason: reason, at: gateway.now)
            let answers = gateway.member.takeAnswers()
            #expect(answers.map(\.frontDoor) == [5])
            #expect(answers.map(\.answer) == [RegistrationAnswer(id: id, refusal: reason == 128 ? .unavailable : nil)])
        }
        #expect(gateway.member.takeNotices() == [.refused(topic: "wireguard/ffww01/all", reason: 128)])
    }

    @Test("With a key it is published signed as well, and both must be acknowledged")
    func signedRegistration() throws {
        let signing = SigningKey()
        var gateway = Member(signingKey: signing)
        gateway.connect()
        gateway.acknowledges = false
        gateway.member.register(request(1), frontDoor: 5, at: gateway.now)
        let both = gateway.publications()
        #expect(both.map(\.message?.topic) == [.registration(domain), .router(domain, key(1))])
        #expect(both[1].note?.state == .registered)
        #expect(both.allSatisfy { !$0.isRetained })
        gateway.member.acknowledged(1, reason: 0, at: gateway.now)  // a subscription's number, which means nothing here
        // After ten subscriptions.
        let numbers = [11, 12] as [Int32]
        gateway.member.acknowledged(numbers[0], reason: 0, at: gateway.now)
        #expect(gateway.member.takeAnswers().isEmpty)
        gateway.member.acknowledged(numbers[1], reason: 0, at: gateway.now)
        #expect(gateway.member.takeAnswers().map(\.answer.refusal) == [nil])
    }

    @Test(
        "Without a broker the answer is no at once; when it goes, or says nothing for a second, whoever waits is told"
    )
    func unavailable() {
        var gateway = Member()
        func refusals() -> [Refusal?] { gateway.member.takeAnswers().map(\.answer.refusal) }
        gateway.member.register(request(1), frontDoor: 5, at: gateway.now)
        #expect(refusals() == [.unavailable])
        gateway.connect()
        gateway.acknowledges = false
        gateway.member.register(request(1), frontDoor: 5, at: gateway.now)
        _ = gateway.publications()
        gateway.pass(.milliseconds(999))
        #expect(refusals().isEmpty)
        #expect(gateway.member.deadline(at: gateway.now)! <= gateway.now.sinceStart + .milliseconds(1))
        gateway.pass(.milliseconds(1))
        #expect(refusals() == [.unavailable])
        gateway.member.register(request(1), frontDoor: 5, at: gateway.now)
        gateway.member.disconnect(at: gateway.now)
        #expect(refusals() == [.unavailable])
        let other = Registration(domain: DomainName("other")!, key: key(1))
        gateway.connect()
        gateway.member.register(
            RegistrationRequest(id: 1, source: IPv6Address(high: 0, low: 0), registration: other),
            frontDoor: 5,
            at: gateway.now
        )
        #expect(refusals() == [.invalidDomain])
        gateway.member.register(request(1), frontDoor: 5, at: gateway.now)
        gateway.member.close(frontDoor: 5)
        gateway.member.disconnect(at: gateway.now)
        #expect(refusals().isEmpty)
    }

    @Test(
        "What could not be published when it was asked for is published when the broker is back, each key once",
        arguments: [false, true]
    )
    func publishedLater(isSigned: Bool) {
        var gateway = Member(signingKey: isSigned ? SigningKey() : nil)
        func topics(_ publications: [Publication]) -> [String] {
            publications.filter { $0.topic == "wireguard/ffww01/all" }
                .map { String(decoding: $0.payload, as: UTF8.self) }
        }
        // There is none; it says nothing for a second; it goes with the registration on its way.
        gateway.member.register(request(1), frontDoor: 5, at: gateway.now)
        gateway.member.register(request(1), frontDoor: 6, at: gateway.now)
        gateway.pass(.seconds(1))
        gateway.acknowledges = false
        gateway.connect()
        #expect(topics(gateway.publications()) == ["\(key(1))"])
        gateway.member.register(request(2), frontDoor: 5, at: gateway.now)
        #expect(topics(gateway.publications()) == ["\(key(2))"])
        gateway.pass(.seconds(1))
        gateway.member.register(request(3), frontDoor: 5, at: gateway.now)
        #expect(Set(topics(gateway.publications())) == ["\(key(2))", "\(key(3))"])
        gateway.member.disconnect(at: gateway.now)
        gateway.pass(.seconds(1))
        #expect(gateway.publications().isEmpty)
        gateway.acknowledges = true
        gateway.connect()
        #expect(Set(topics(gateway.publications())) == Set((1...3).map { "\(key($0))" }))
        gateway.pass(.seconds(1))
        #expect(topics(gateway.publications()).isEmpty)
        // A gateway that is back a moment later is told as well.
        gateway.receive("wireguard-worker/gw02/status", [UInt8(ascii: "1")])
        gateway.pass(BusLimit.arrivalTime)
        #expect(Set(topics(gateway.publications())) == Set((1...3).map { "\(key($0))" }))
        #expect(gateway.member.takeAnswers().allSatisfy { $0.answer.refusal == .unavailable })
        // The broker had its say about this one.
        gateway.reason = 135
        gateway.member.register(request(4), frontDoor: 5, at: gateway.now)
        #expect(topics(gateway.publications()) == ["\(key(4))"])
        gateway.pass(.seconds(1))
        #expect(topics(gateway.publications()).isEmpty)
    }

    @Test("Of what could not be published, so many are kept, and none longer than it is of use")
    func manyLate() {
        for (age, count) in [
            (BusLimit.recentTime - .milliseconds(1), BusLimit.lateRegistrations), (BusLimit.recentTime, 0),
        ] {
            var gateway = Member()
            for number in 0...BusLimit.lateRegistrations {
                gateway.member.register(request(number), frontDoor: 5, at: gateway.now)
            }
            _ = gateway.member.takeAnswers()
            gateway.pass(.zero)
            gateway.pass(age)
            gateway.connect()
            var topics = 0
            while true {
                let part = gateway.publications().count { $0.topic == "wireguard/ffww01/all" }
                if part == 0 { break }
                topics += part
            }
            #expect(topics == count)
        }
    }

    @Test("Only so many wait for the broker; one more is told at once")
    func manyRegistrations() {
        var gateway = Member()
        gateway.connect()
        gateway.acknowledges = false
        for number in 0..<BusLimit.registrations {
            gateway.member.register(request(number, id: UInt32(number)), frontDoor: 5, at: gateway.now)
        }
        #expect(gateway.member.takeAnswers().isEmpty)
        gateway.member.register(request(1, id: 99_999), frontDoor: 5, at: gateway.now)
        #expect(gateway.member.takeAnswers().map(\.answer) == [RegistrationAnswer(id: 99_999, refusal: .unavailable)])
        #expect(gateway.publications().count == BusLimit.registrations)
        gateway.pass(.seconds(1))
        #expect(gateway.member.takeAnswers().count == BusLimit.registrations)
    }

    @Test("A gateway that comes is told once more of those who registered lately, and not of older ones")
    func arrival() {
        var gateway = Member()
        gateway.connect()
        gateway.member.register(request(1), frontDoor: 5, at: gateway.now)
        _ = gateway.publications()
        gateway.pass(.seconds(200))
        gateway.member.register(request(2), frontDoor: 5, at: gateway.now)
        _ = gateway.publications()
        func arrive(_ name: String, isRetained: Bool = false) {
            gateway.receive(.status(GatewayName(name)!, isOnline: true), isRetained: isRetained)
        }
        arrive("gw01")
        arrive("gw02", isRetained: true)
        gateway.pass(.seconds(1))
        #expect(gateway.publications().isEmpty)
        gateway.pass(.seconds(98))
        arrive("gw02")
        arrive("gw03")
        gateway.pass(.milliseconds(999))
        #expect(gateway.publications().isEmpty)
        gateway.pass(.milliseconds(1))
        #expect(gateway.publications().map(\.message) == [.registration(registration(2))])
        arrive("gw04")
        gateway.pass(.milliseconds(2999))
        #expect(gateway.publications().isEmpty)
        gateway.pass(.milliseconds(1))
        #expect(gateway.publications().count == 1)
    }

    @Test("Only so many are told once more, the latest ones")
    func manyRecent() {
        var gateway = Member()
        gateway.connect()
        for number in 0..<3 * BusLimit.recentRegistrations {
            gateway.member.register(request(number), frontDoor: 5, at: gateway.now)
            _ = gateway.publications()
        }
        gateway.receive(.status(GatewayName("gw02")!, isOnline: true))
        gateway.pass(.seconds(1))
        let all = gateway.publications()
        #expect(all.count == BusLimit.recentRegistrations)
        #expect(all.last?.message == .registration(registration(3 * BusLimit.recentRegistrations - 1)))
    }

    // MARK: - Registrations from the bus

    @Test("Keys from the bus reach the handler once while they wait, and none that is no key")
    func newcomers() {
        var gateway = Member()
        gateway.connect()
        for number in [1, 2, 1] { gateway.receive(.registration(registration(number))) }
        let text = "\(key(3))"
        for payload in ["\(text)\n", "", " \(text)", String(text.dropLast()), String(repeating: "A", count: 4096)] {
            gateway.receive("wireguard/ffww01/all", Array(payload.utf8))
        }
        gateway.receive("wireguard/other/all", Array(text.utf8))
        gateway.receive("wireguard/ffww01/all", Array(text.utf8), isRetained: true)
        #expect(gateway.newcomers() == [key(1), key(2)])
        gateway.receive(.registration(registration(1)))
        #expect(gateway.newcomers() == [key(1)])
        gateway.pass(.seconds(2))
        #expect(gateway.member.takeNotices() == [.ignored(malformed: 5, untimely: 0, untrusted: 1, dropped: 0)])
        gateway.receive("nonsense", [])
        gateway.pass(.seconds(3597))
        #expect(gateway.member.takeNotices().isEmpty)
        gateway.pass(.seconds(3))
        #expect(gateway.member.takeNotices() == [.ignored(malformed: 1, untimely: 0, untrusted: 0, dropped: 0)])
    }

    @Test("A flood of keys fills the queue and nothing else")
    func flood() {
        var gateway = Member()
        gateway.connect()
        for number in 0..<100_000 { gateway.receive(.registration(registration(number))) }
        #expect(gateway.newcomers().count == BusLimit.newcomers)
        gateway.pass(.seconds(2))
        let dropped = 100_000 - BusLimit.newcomers
        #expect(gateway.member.takeNotices() == [.ignored(malformed: 0, untimely: 0, untrusted: 0, dropped: dropped)])
    }

    @Test("A flood of notes fills the queue and nothing else")
    func noteFlood() {
        var gateway = Member()
        gateway.connect()
        for number in 0..<100_000 { gateway.hear(number, .heard(at: gateway.seconds)) }
        #expect(gateway.news().count == BusLimit.news)
        // What had no room is news still.
        gateway.hear(99_999, .heard(at: gateway.seconds))
        #expect(gateway.news().count == 1)
    }

    @Test("The handler is asked for so many at a time; what it cannot do now it is asked again for a minute")
    func handlerWindow() {
        var gateway = Member()
        gateway.connect()
        for number in 0..<300 { gateway.receive(.registration(registration(number))) }
        var asked: [RemoteRegistration] = []
        while true {
            let requests = gateway.member.nextRegistrations(at: gateway.now)
            if requests.isEmpty { break }
            #expect(requests.count == 64)
            asked += requests
        }
        #expect(asked.count == BusLimit.newcomersAtHandler)
        gateway.member.loseHandler(at: gateway.now)
        #expect(gateway.newcomers().isEmpty)
        gateway.pass(BusLimit.handlerPause)
        #expect(Set(gateway.newcomers()).count == 300)
        gateway.receive(.registration(registration(1)))
        #expect(gateway.newcomers(answer: .unavailable) == [key(1)])
        gateway.pass(.seconds(59))
        #expect(gateway.newcomers(answer: .unavailable) == [key(1)])
        gateway.pass(.seconds(1))
        #expect(gateway.newcomers().isEmpty)
        // What the handler refuses is done.
        gateway.receive(.registration(registration(2)))
        #expect(gateway.newcomers(answer: .rateLimited) == [key(2)])
        gateway.pass(.seconds(2))
        #expect(gateway.newcomers().isEmpty)
    }

    @Test("With trusted keys only what is signed by its gateway counts")
    func trust() {
        let (signing, other) = (SigningKey(), SigningKey())
        var trusted = TrustedKeys()
        #expect(trusted.trust(signing.publicKey, of: GatewayName("gw02")!) == true)
        var gateway = Member(trusted: trusted)
        gateway.connect()
        gateway.receive(.registration(registration(1)))
        func note(_ number: Int, _ gatewayName: String = "gw02", _ state: RouterNote.State = .registered) -> BusMessage
        {
            let note = RouterNote(gateway: GatewayName(gatewayName)!, time: gateway.now.milliseconds, state: state)
            return .router(registration(number), note)
        }
        gateway.receive(note(2), signedWith: signing)
        gateway.receive(note(3), signedWith: other)
        gateway.receive(note(4))
        gateway.receive(note(5, "gw03"), signedWith: signing)
        #expect(gateway.newcomers() == [key(2)])
        gateway.receive(note(6, "gw02", .removed), signedWith: other)
        gateway.receive(note(7, "gw02", .removed), signedWith: signing)
        #expect(gateway.news().map(\.registration.key) == [key(7)])
        gateway.pass(.seconds(2))
        #expect(gateway.member.takeNotices() == [.ignored(malformed: 0, untimely: 0, untrusted: 4, dropped: 0)])
    }

    // MARK: - Presence and choice

    @Test("It says where it is, then that it is there, then how many routers it has, and that every minute")
    func presence() {
        var gateway = Member()
        #expect(gateway.member.nextQuestions(at: gateway.now) == [[domain]])
        gateway.connect()
        #expect(gateway.publications().isEmpty)
        gateway.tellStatus()
        // A second later it looks again: a key or a port that changed is told by nobody.
        let later = gateway.now.sinceStart + .seconds(1)
        #expect(gateway.member.deadline(at: gateway.now).map { $0 <= later } == true)
        let texts = gateway.publications().map { "\($0.topic) \(String(decoding: $0.payload, as: UTF8.self))" }
        #expect(
            texts == [
                "wireguard-worker/gw01/ffww01/data {\"ExternalAddress\": \"gw01.example.net\", \"Port\": 10010, "
                    + "\"PublicKey\": \"\(key(9999))\", \"LinkAddress\": \"fe80::1\"}",
                "wireguard-worker/gw01/status 1", "wireguard-metrics/ffww01/gw01/connected_peers 3",
            ]
        )
        gateway.pass(.seconds(59))
        gateway.tellStatus(connected: 4)
        #expect(gateway.publications().isEmpty)
        gateway.pass(.seconds(1))
        #expect(gateway.publications().map(\.payload) == [Array("4".utf8)])
        gateway.member.loseHandler(at: gateway.now)
        gateway.pass(.zero)
        #expect(gateway.publications().map(\.payload) == [Array("-1".utf8)])
        gateway.member.leave()
        #expect(!gateway.member.isSettled)
        #expect(gateway.publications().map(\.payload) == [Array("-1".utf8), Array("0".utf8)])
        #expect(gateway.member.isSettled)
    }

    @Test("A gateway is chosen when it is there and its data are known, and the choice outlives the broker")
    func choice() {
        var gateway = Member()
        gateway.connect()
        let name = GatewayName("gw02")!
        let data = GatewayData(
            externalAddress: "gw02.example.net",
            port: 7,
            publicKey: key(8),
            linkAddress: IPv6Address("fe80::2")!
        )!
        func chosen() -> String? {
            gateway.member.choose(ChoiceRequest(id: 1, domain: domain, key: key(1)), at: gateway.now).gateway?.address
        }
        #expect(chosen() == nil)
        gateway.receive(.status(name, isOnline: true))
        gateway.receive(.connectedPeers(domain, name, 0))
        #expect(chosen() == nil)
        gateway.receive(.data(name, domain, data))
        #expect(chosen() == "gw02.example.net")
        // The table stays as it was while there is no broker.
        gateway.member.disconnect(at: gateway.now)
        gateway.pass(.seconds(1000))
        #expect(chosen() == "gw02.example.net")
        gateway.connect()
        gateway.pass(.seconds(100))
        #expect(chosen() == "gw02.example.net")
        // What the broker had kept makes nobody younger.
        gateway.receive(.status(name, isOnline: true), isRetained: true)
        gateway.pass(.seconds(21))
        #expect(chosen() == nil)
        gateway.receive(.connectedPeers(domain, name, 0))
        #expect(chosen() == "gw02.example.net")
    }

    /// Another gateway that serves the domain.
    private func arrive(_ name: String, at gateway: inout Member) {
        let data = GatewayData(
            externalAddress: name,
            port: 7,
            publicKey: key(8),
            linkAddress: IPv6Address("fe80::2")!
        )!
        gateway.receive(.data(GatewayName(name)!, domain, data))
        gateway.receive(.status(GatewayName(name)!, isOnline: true))
        gateway.receive(.connectedPeers(domain, GatewayName(name)!, 0))
    }

    /// The gateways that 32 routers get.
    private func chosen(by gateway: inout Member) -> Set<String> {
        Set(
            (0..<32).map { number in
                let request = ChoiceRequest(id: 1, domain: domain, key: key(10_000 + number))
                return gateway.member.choose(request, at: gateway.now).gateway?.address ?? ""
            }
        )
    }

    @Test("What nobody has signed cannot exclude everybody: this gateway knows how it is doing, and is left")
    func ownWord() {
        var gateway = Member()
        gateway.connect()
        gateway.tellStatus()
        _ = gateway.publications()
        for name in ["gw02", "gw03"] { arrive(name, at: &gateway) }
        #expect(chosen(by: &gateway) == ["gw01.example.net", "gw02", "gw03"])
        for name in ["gw01", "gw02", "gw03"] {
            gateway.receive(.connectedPeers(domain, GatewayName(name)!, nil))
            gateway.receive(.status(GatewayName(name)!, isOnline: false))
        }
        #expect(chosen(by: &gateway) == ["gw01.example.net"])
        // Nor is it this gateway, if that is not true.
        let data = GatewayData(externalAddress: "x", port: 7, publicKey: key(8), linkAddress: IPv6Address("fe80::2")!)!
        gateway.receive(.data(GatewayName("gw01")!, domain, data))
        #expect(chosen(by: &gateway) == ["gw01.example.net"])
        // Out of service it sends routers to those that were heard of lately, those that are there first.
        gateway.tellStatus(isInService: false)
        #expect(chosen(by: &gateway) == ["gw02", "gw03"])
        gateway.receive(.status(GatewayName("gw02")!, isOnline: true))
        #expect(chosen(by: &gateway) == ["gw02"])
        gateway.pass(.seconds(121))
        #expect(chosen(by: &gateway) == [""])
        gateway.tellStatus()
        #expect(chosen(by: &gateway) == ["gw01.example.net"])
        // It serves the domain while there is no broker as well.
        gateway.member.disconnect(at: gateway.now)
        gateway.pass(.seconds(1000))
        #expect(chosen(by: &gateway) == ["gw01.example.net"])
        gateway.member.loseHandler(at: gateway.now)
        gateway.pass(.zero)
        #expect(chosen(by: &gateway) == [""])
    }

    @Test("Routers that were sent here count until others are told, however often the handler says how it is")
    func ownCount() {
        var gateway = Member()
        gateway.connect()
        gateway.tellStatus(connected: 0)
        _ = gateway.publications()
        arrive("gw02", at: &gateway)
        var own = 0
        for number in 0..<40 {
            let request = ChoiceRequest(id: 1, domain: domain, key: key(number))
            let address = gateway.member.choose(request, at: gateway.now).gateway?.address
            if address == "gw01.example.net" { own += 1 }
            gateway.pass(.seconds(1))
            gateway.tellStatus(connected: 0)
        }
        #expect((18...22).contains(own))
    }

    @Test("What somebody else says of this gateway is corrected, once a second at most, and told to the operator")
    func corrections() {
        var gateway = Member()
        gateway.connect()
        gateway.tellStatus()
        _ = gateway.publications()
        let own = GatewayName("gw01")!
        // What is kept from an earlier life has been written over already.
        gateway.receive(.status(own, isOnline: false), isRetained: true)
        gateway.pass(.zero)
        #expect(gateway.publications().isEmpty)
        for message in [BusMessage.connectedPeers(domain, own, nil), .status(own, isOnline: false)] {
            gateway.receive(message)
        }
        // Twice the same, and what is true.
        gateway.receive(.status(own, isOnline: false))
        gateway.receive(.connectedPeers(domain, own, 3))
        gateway.pass(.zero)
        func texts() -> [String] {
            gateway.publications().map { "\($0.topic) \(String(decoding: $0.payload, as: UTF8.self))" }
        }
        let right = ["wireguard-worker/gw01/status 1", "wireguard-metrics/ffww01/gw01/connected_peers 3"]
        #expect(texts() == right)
        #expect(
            gateway.member.takeNotices()
                == [.contradicted(topic: "wireguard-metrics/ffww01/gw01/connected_peers")]
        )
        gateway.receive(.status(own, isOnline: false))
        gateway.pass(.milliseconds(999))
        #expect(texts().isEmpty)
        #expect(gateway.member.deadline(at: gateway.now)! <= gateway.now.sinceStart + .milliseconds(1))
        gateway.pass(.milliseconds(1))
        #expect(texts() == [right[0]])
        #expect(gateway.member.takeNotices().isEmpty)
    }

    @Test("A domain that is served no more is said to be so, and the broker is asked to take nothing away")
    func formerDomains() {
        let (former, kept) = (DomainName("ffww02")!, DomainName("ffww03")!)
        var gateway = Member(formerDomains: [former, domain])
        let own = GatewayName("gw01")!
        let data = GatewayData(externalAddress: "x", port: 7, publicKey: key(8), linkAddress: IPv6Address("fe80::2")!)!
        for _ in 0..<2 {
            gateway.connect()
            gateway.receive(.data(own, kept, data), isRetained: true)
            gateway.receive(.connectedPeers(kept, own, 4), isRetained: true)
            gateway.receive(.connectedPeers(DomainName("gone")!, own, nil), isRetained: true)
            gateway.receive(.connectedPeers(DomainName("others")!, GatewayName("gw02")!, 4), isRetained: true)
            let publications = gateway.publications()
            #expect(
                Set(publications.compactMap(\.message))
                    == [.connectedPeers(former, own, nil), .connectedPeers(kept, own, nil)]
            )
            #expect(publications.allSatisfy { $0.isRetained })
            gateway.member.disconnect(at: gateway.now)
        }
        // So many names at most, whoever has written them there.
        gateway.connect()
        for number in 0..<1000 { gateway.receive(.data(own, DomainName("d\(number)")!, data), isRetained: true) }
        #expect(gateway.publications().count == BusLimit.formerDomains)
    }

    @Test("Names in notes take no gateway's place, and with trusted keys only their names are gateways")
    func invented() {
        var gateway = Member()
        gateway.connect()
        for number in 0...BusLimit.gateways {
            gateway.hear(number, .heard(at: gateway.seconds), from: "fake\(number)")
            gateway.receive(.connectedPeers(domain, GatewayName("count\(number)")!, 0))
            gateway.receive(.status(GatewayName("gone\(number)")!, isOnline: false))
        }
        arrive("gw02", at: &gateway)
        #expect(chosen(by: &gateway) == ["gw02"])

        var trusted = TrustedKeys()
        #expect(trusted.trust(SigningKey().publicKey, of: GatewayName("gw02")!) == true)
        gateway = Member(trusted: trusted)
        gateway.connect()
        arrive("gw03", at: &gateway)
        #expect(chosen(by: &gateway) == [""])
        arrive("gw02", at: &gateway)
        #expect(chosen(by: &gateway) == ["gw02"])
        gateway.pass(.seconds(2))
        #expect(gateway.member.takeNotices() == [.ignored(malformed: 0, untimely: 0, untrusted: 3, dropped: 0)])
    }

    @Test("Whom the operator gives a share has a place, however many others there are")
    func named() {
        var gateway = Member(weights: ["gw02": 1])
        gateway.connect()
        for number in 0..<BusLimit.gateways { gateway.receive(.status(GatewayName("g\(number)")!, isOnline: true)) }
        arrive("gw03", at: &gateway)
        #expect(chosen(by: &gateway) == [""])
        arrive("gw02", at: &gateway)
        #expect(chosen(by: &gateway) == ["gw02"])
        // This gateway itself as well.
        gateway = Member()
        gateway.connect()
        for number in 0..<BusLimit.gateways { gateway.receive(.status(GatewayName("g\(number)")!, isOnline: true)) }
        gateway.tellStatus()
        #expect(chosen(by: &gateway) == ["gw01.example.net"])
    }

    @Test("A front door is announced while one is connected, and again after the broker was away")
    func frontDoor() {
        var gateway = Member(hasGateway: false)
        func said() -> [String] {
            gateway.member.advance(to: gateway.now)
            return gateway.publications().map {
                "\($0.topic) \(String(decoding: $0.payload, as: UTF8.self)) \($0.isRetained)"
            }
        }
        gateway.connect()
        #expect(said() == [])
        let (on, off) = ("wireguard-broker/gw01/status 1 true", "wireguard-broker/gw01/status 0 true")
        gateway.member.noteFrontDoor(isThere: true)
        #expect(said() == [on])
        #expect(said() == [])
        gateway.member.noteFrontDoor(isThere: false)
        #expect(said() == [off])
        gateway.member.noteFrontDoor(isThere: true)
        gateway.member.disconnect(at: gateway.now)
        gateway.connect()
        #expect(said() == [on])
        gateway.member.leave()
        #expect(said() == [off])
    }

    @Test("Where the data of a gateway cannot be read, what it said before is not handed out in their place")
    func unreadableData() {
        var gateway = Member(hasGateway: false)
        gateway.connect()
        func chosen() -> String? {
            gateway.member.choose(ChoiceRequest(id: 1, domain: domain, key: nil), at: gateway.now).gateway?.address
        }
        for number in 2...3 {
            let name = GatewayName("gw0\(number)")!
            let data = GatewayData(
                externalAddress: "\(name).example.net",
                port: 7,
                publicKey: key(8),
                linkAddress: IPv6Address("fe80::2")!
            )!
            gateway.receive(.data(name, domain, data))
            gateway.receive(.connectedPeers(domain, name, number))
            gateway.receive(.status(name, isOnline: true))
        }
        #expect(chosen() == "gw02.example.net")
        gateway.receive("wireguard-worker/gw02/ffww01/data", Array("{\"Port\": 8}".utf8))
        #expect(chosen() == "gw03.example.net")
        gateway.receive("wireguard-worker/gw03/ffww01/data", Array("nonsense".utf8))
        #expect(chosen() == nil)
    }

    @Test("A front door without a gateway takes registrations and names others, says nothing, and asks nobody")
    func frontDoorAlone() throws {
        var gateway = Member(hasGateway: false)
        #expect(gateway.member.deadline(at: gateway.now) == nil)
        gateway.connect()
        #expect(gateway.publications().isEmpty)
        let name = GatewayName("gw02")!
        let data = GatewayData(
            externalAddress: "gw02.example.net",
            port: 7,
            publicKey: key(8),
            linkAddress: IPv6Address("fe80::2")!
        )!
        gateway.receive(.data(name, domain, data))
        gateway.receive(.connectedPeers(domain, name, 0))
        gateway.receive(.status(name, isOnline: true))
        gateway.member.register(request(1), frontDoor: 5, at: gateway.now)
        #expect(gateway.publications().map(\.topic) == ["wireguard/ffww01/all"])
        #expect(gateway.member.takeAnswers().map(\.answer.refusal) == [nil])
        func chosen() -> String? {
            gateway.member.choose(ChoiceRequest(id: 1, domain: domain, key: key(1)), at: gateway.now).gateway?.address
        }
        #expect(chosen() == "gw02.example.net")
        // What others say is for handlers; there is none.
        gateway.receive(.registration(registration(2)))
        gateway.hear(3, .heard(at: gateway.seconds))
        gateway.pass(.seconds(600))
        #expect(gateway.newcomers().isEmpty)
        #expect(gateway.news().isEmpty)
        #expect(gateway.member.nextQuestions(at: gateway.now).isEmpty)
        #expect(gateway.member.nextList(at: gateway.now) == nil)
        gateway.member.leave()
        #expect(gateway.publications().isEmpty)
    }

    @Test("Gateways have so many places; one more gets that of one that was silent for long")
    func gateways() {
        var gateway = Member()
        gateway.connect()
        func arrive(_ number: Int) {
            let name = GatewayName("g\(number)")!
            let address = number < BusLimit.gateways ? "x" : "late"
            let data = GatewayData(
                externalAddress: address,
                port: 7,
                publicKey: key(8),
                linkAddress: .init(high: 0xfe80 << 48, low: 2)
            )!
            gateway.receive(.data(name, domain, data))
            gateway.receive(.connectedPeers(domain, name, number < BusLimit.gateways ? nil : 0))
            gateway.receive(.status(name, isOnline: true))
        }
        for number in 0..<BusLimit.gateways { arrive(number) }
        arrive(BusLimit.gateways)
        #expect(chosen(by: &gateway).allSatisfy { $0 != "late" })
        gateway.pass(.seconds(121))
        arrive(BusLimit.gateways)
        #expect(chosen(by: &gateway).contains("late"))
    }

    @Test("It subscribes to everything when the broker lets it in")
    func filters() {
        var gateway = Member()
        gateway.member.connect(at: gateway.now)
        #expect(
            gateway.subscribe() == [
                "wireguard-worker/+/status", "wireguard-worker/+/status without kept", "wireguard-worker/+/+/data",
                "wireguard-worker/+/+/data without kept", "wireguard-metrics/#", "wireguard-metrics/# without kept",
                "wireguard/ffww01/+", "kex/ffww01/count/+", "kex/ffww01/router/+", "kex/ffww01/router/+ without kept",
            ]
        )
        // What we told others is for us only if the broker kept it.
        gateway.member.connect(at: gateway.now)
        var own: Set<String> = []
        while let next = gateway.member.nextSubscription(at: gateway.now) {
            if next.withOwn { own.insert(next.filter) } else { own.remove(next.filter) }
        }
        #expect(own.isEmpty)
    }
}
