import LinkFacts
import NetworkAddresses
import Testing
import WireGuardTypes

@testable import LinkKeeper

func key(_ number: Int) -> PublicKey {
    let bytes = [UInt8](repeating: 7, count: 29) + [UInt8(number >> 8 & 0xff), UInt8(number & 0xff), 1]
    return PublicKey(bytes: bytes.span)!
}

private let own = key(0)
private let hub = key(1)
private let phone = key(2)
private let made = key(3)
private let fresh = key(4)
private let hubEndpoint = Endpoint("192.0.2.1:51820")!

private func prefixes(_ texts: String...) -> [IPPrefix] { texts.map { IPPrefix($0)! } }

/// A hub with two networks, a phone of the operator within one of them, and a peer that was made.
private func review(
    _ changes: PeerChange...,
    configured: [PublicKey: Set<Endpoint>] = [:],
    handshake: Int64? = 1000 - ChangeReview.sessionLifetime + 1
) -> ChangeReview.Outcome {
    var review = reviewer(configured, handshake)
    return review.review(changes)
}

private func reviewer(
    _ configured: [PublicKey: Set<Endpoint>] = [:],
    _ handshake: Int64? = 1000
) -> ChangeReview {
    ChangeReview(
        ownKey: own,
        peers: [
            Peer(
                publicKey: hub,
                allowedIPs: prefixes("10.0.0.0/24", "fd00::/64"),
                endpoint: hubEndpoint,
                lastHandshake: handshake
            ),
            Peer(publicKey: phone, allowedIPs: prefixes("10.0.0.9/32")),
            Peer(publicKey: made, allowedIPs: prefixes("10.0.0.3/32") + [made.memberAllowedIP]),
        ],
        made: [made, key(99)],
        wallClock: 1000,
        configuredEndpoints: configured
    )
}

private func add(_ key: PublicKey, _ allowedIPs: [IPPrefix], endpoint: Endpoint? = nil) -> PeerChange {
    .add(PeerSettings(publicKey: key, allowedIPs: allowedIPs, endpoint: endpoint))
}

/// The reason of the only refusal.
private func reason(_ outcome: ChangeReview.Outcome) -> String? {
    outcome.refused.count == 1 && outcome.permitted.isEmpty ? outcome.refused[0].reason : nil
}

@Suite("What a member may ask for") struct ChangeReviewTests {
    @Test("that packets to a peer of its own are held, to where that may be")
    func holding() {
        let review = reviewer()
        #expect(review.objection(toHolding: prefixes("10.0.0.3/32", "fd00::3/128"), of: made) == nil)
        for (texts, key) in [
            (["10.0.0.9/32"], made), (["192.0.2.0/24"], made), (["10.0.0.0/24"], made), (["0.0.0.0/0"], made),
            (["10.0.0.3/32", "10.0.0.9/32"], made), (["10.0.0.4/32"], fresh), (["10.0.0.0/24"], hub),
            (["10.0.0.9/32"], phone), ([made.memberAllowedIP.description], made), (["fe80::/64"], made),
        ] {
            #expect(review.objection(toHolding: texts.map { IPPrefix($0)! }, of: key) != nil, "\(texts)")
        }
    }

    @Test("a peer of its own, with its link-local address and what lies in a network of a hub")
    func making() {
        let anywhere = Endpoint("203.0.113.1:1")
        let change = add(fresh, [fresh.memberAllowedIP] + prefixes("10.0.0.4/32", "fd00::4/128"), endpoint: anywhere)
        let outcome = review(change)
        #expect(outcome.permitted == [change] && outcome.refused == [])
        #expect(outcome.made == [fresh] && outcome.removed == [] && outcome.changed == [fresh])
    }

    @Test("other allowed IPs of a peer that it made, its end, and the same again")
    func changes() {
        let replacement = PeerChange.update(
            PeerSettings(publicKey: made, allowedIPs: [made.memberAllowedIP], replacesAllowedIPs: true)
        )
        #expect(review(replacement).permitted == [replacement])
        #expect(review(.remove(made)).removed == [made])
        let again = review(.remove(made), add(made, [made.memberAllowedIP]))
        #expect(again.permitted.count == 2 && again.made == [made] && again.removed == [])
        // What a peer gives up another one may have.
        let moved = review(replacement, add(fresh, prefixes("10.0.0.3/32")))
        #expect(moved.refused == [] && moved.changed == [made, fresh])
        #expect(review(.remove(made), add(fresh, prefixes("10.0.0.3/32"))).refused == [])
        // Somebody else was faster.
        #expect(review(.remove(key(50))).refused == [])
    }

    @Test("for the operator's peers their link-local address, and their endpoint as it is")
    func operators() {
        #expect(review(add(hub, [hub.memberAllowedIP])).refused == [])
        #expect(review(add(hub, [], endpoint: hubEndpoint)).refused == [])
        #expect(review(add(hub, [hub.memberAllowedIP])).made == [])
        // One that is nowhere can lose nothing.
        #expect(review(add(phone, [], endpoint: Endpoint("192.0.2.7:1"))).refused == [])
        let other = Endpoint("192.0.2.2:51820")!
        // Nor can one without a session.
        for handshake in [nil, 1000 - ChangeReview.sessionLifetime] {
            #expect(review(add(hub, [], endpoint: other), handshake: handshake).refused == [])
        }
        #expect(review(add(hub, [], endpoint: other), configured: [hub: [other]]).refused == [])
        #expect(
            reason(review(add(hub, [], endpoint: other)))
                == "it is the operator's peer, and 192.0.2.2:51820 is not where it is"
        )
    }

    @Test("nothing else of the operator's peers")
    func notOperators() {
        #expect(reason(review(.remove(hub))) == "it is the operator's peer, which stays")
        let words = "it is the operator's peer, and only its link-local address and its endpoint are set"
        for settings in [
            PeerSettings(publicKey: hub, allowedIPs: [], replacesAllowedIPs: true),
            PeerSettings(publicKey: hub, allowedIPs: [], persistentKeepalive: 25),
            PeerSettings(publicKey: hub, allowedIPs: [], presharedKey: .zero),
        ] {
            #expect(reason(review(.add(settings))) == words)
            #expect(reason(review(.update(settings))) == words)
        }
        #expect(
            reason(review(add(phone, prefixes("10.0.0.8/32"))))
                == "it is the operator's peer, and 10.0.0.8/32 is not its link-local address"
        )
    }

    @Test(
        "no address that somebody has, or that no hub has",
        arguments: [
            ("10.0.0.9/32", "10.0.0.9/32 is an allowed IP of \(phone)"),
            ("10.0.0.3/32", "10.0.0.3/32 is an allowed IP of \(made)"),
            ("10.0.0.0/24", "10.0.0.0/24 is an allowed IP of \(hub)"),
            // Bits behind the prefix make no other prefix.
            ("10.0.0.77/24", "10.0.0.0/24 is an allowed IP of \(hub)"),
            ("10.0.0.0/23", "10.0.0.0/23 is not within the allowed IPs of a peer of the operator"),
            ("0.0.0.0/0", "0.0.0.0/0 is too much for one peer"),
            ("10.0.0.0/7", "10.0.0.0/7 is too much for one peer"),
            ("10.0.0.0/8", "10.0.0.0/8 is not within the allowed IPs of a peer of the operator"),
            ("8000::/1", "8000::/1 is too much for one peer"),
            ("10.0.1.1/32", "10.0.1.1/32 is not within the allowed IPs of a peer of the operator"),
            ("fd00:0:0:1::1/128", "fd00:0:0:1::1/128 is not within the allowed IPs of a peer of the operator"),
            ("fe80::1/128", "fe80::1/128 is not within the allowed IPs of a peer of the operator"),
        ]
    )
    func addresses(prefix: String, words: String) throws {
        let prefix = try #require(IPPrefix(prefix))
        #expect(reason(review(add(fresh, [prefix]))) == words)
    }

    @Test("not the link-local address of another, not even by a key that was made for that")
    func linkLocal() {
        let change = add(fresh, [made.memberAllowedIP])
        #expect(reason(review(change)) == "\(made.memberAllowedIP) is an allowed IP of \(made)")
        let stranger = key(60)
        #expect(reason(review(add(fresh, [stranger.memberAllowedIP])))?.hasSuffix("of a peer of the operator") == true)
    }

    @Test("not itself, no key that nobody can have, no preshared key, and no peer by an update")
    func keys() throws {
        #expect(reason(review(add(own, []))) == "it is this machine")
        let zero = PublicKey(bytes: [UInt8](repeating: 0, count: 32).span)!
        #expect(reason(review(add(zero, []))) == "nobody can have that key")
        let settings = PeerSettings(publicKey: fresh, allowedIPs: [], presharedKey: .zero)
        #expect(reason(review(.add(settings))) == "preshared keys are the operator's")
        #expect(
            reason(review(.update(PeerSettings(publicKey: fresh, allowedIPs: [])))) == "there is no such peer"
        )
    }

    @Test("nothing behind a refusal of the same peer; others are not concerned")
    func order() {
        let outcome = review(
            add(fresh, [fresh.memberAllowedIP]),
            add(fresh, prefixes("10.0.0.9/32")),
            .remove(fresh),
            add(made, [made.memberAllowedIP])
        )
        #expect(outcome.permitted == [add(fresh, [fresh.memberAllowedIP]), add(made, [made.memberAllowedIP])])
        #expect(outcome.refused.map(\.key) == [fresh] && outcome.changed == [made] && outcome.made == [fresh])
    }

    @Test("parts of a network inside that of another peer of the operator, or of that around it, and not of both")
    func nested() {
        let inner = key(70)
        func outcome(_ changes: PeerChange...) -> ChangeReview.Outcome {
            let peers = [
                Peer(publicKey: hub, allowedIPs: prefixes("10.0.0.0/8", "10.2.0.0/16", "fd00::/64")),
                Peer(publicKey: inner, allowedIPs: prefixes("10.1.0.0/16", "10.1.2.0/24")),
                Peer(publicKey: made, allowedIPs: prefixes("10.0.0.3/32") + [made.memberAllowedIP]),
            ]
            var review = ChangeReview(ownKey: own, peers: peers, made: [made], wallClock: 0)
            return review.review(changes)
        }
        let words = "it would have parts of 10.0.0.0/8, and of 10.1.0.0/16 in it, which is \(inner)'s"
        #expect(reason(outcome(add(fresh, prefixes("10.0.0.4/32", "10.1.0.4/32")))) == words)
        #expect(reason(outcome(add(made, prefixes("10.1.0.4/32")))) == words)
        #expect(outcome(add(fresh, prefixes("10.1.0.4/32", "10.1.2.4/32"))).refused == [])
        #expect(outcome(add(fresh, prefixes("10.0.0.4/32", "10.2.0.4/32", "fd00::4/128"))).refused == [])
        let instead = PeerSettings(
            publicKey: made,
            allowedIPs: [made.memberAllowedIP] + prefixes("10.1.0.4/32"),
            replacesAllowedIPs: true
        )
        #expect(outcome(.update(instead)).refused == [])
    }

    @Test("so many peers, and so many allowed IPs of one, and not one more")
    func limits() {
        let many = (0..<ChangeReview.maximumMade).map { Peer(publicKey: key($0 + 100)) }
        func outcome(_ count: Int) -> ChangeReview.Outcome {
            var review = ChangeReview(
                ownKey: own,
                peers: Array(many.prefix(count)),
                made: Set(many.map(\.publicKey)),
                wallClock: 0
            )
            return review.review([add(fresh, [])])
        }
        #expect(outcome(ChangeReview.maximumMade - 1).refused == [])
        #expect(reason(outcome(ChangeReview.maximumMade)) == "4096 peers have been made")
        func addresses(_ count: Int) -> [IPPrefix] {
            (0..<count).map { IPPrefix(host: IPv6Address(high: 0xfd00 << 48, low: UInt64($0))) }
        }
        #expect(review(add(fresh, addresses(ChangeReview.maximumAllowedIPs))).refused == [])
        let words = "it would have more than 256 allowed IPs"
        #expect(reason(review(add(fresh, addresses(ChangeReview.maximumAllowedIPs + 1)))) == words)
        #expect(reason(review(add(made, addresses(ChangeReview.maximumAllowedIPs)))) == words)
    }
}
