internal import Keys
internal import LinkFacts
internal import LinkMessages
internal import NetworkAddresses
internal import PathProbe
internal import SourceLimits
internal import Time
internal import WireGuardTypes

// What happens to a member, kind by kind.
extension LinkMember {
    mutating func note(_ snapshot: DeviceSnapshot, at now: MonotonicTime) {
        guard var own, own.snapshot.publicKey == snapshot.publicKey else {
            var exchange = FactExchange(settings: settings, relays: true, at: now, using: &random)
            exchange.take(snapshot, at: now)
            own = Own(snapshot, exchange, boot: boot, at: now)
            let idleTime = idleTime
            self.own?.idleTime = idleTime
            return
        }
        self.own = nil
        let old = own.snapshot
        own.snapshot = snapshot
        own.readAt = now
        own.fieldDue = now
        own.site = Own.Site(snapshot)
        let before = own.peers
        own.peers = Dictionary(snapshot.peers.map { ($0.publicKey, $0) }) { first, _ in first }
        own.hasNewcomers = true
        for key in before.keys where own.peers[key] == nil { remove(key, &own) }
        own.exchange.take(snapshot, at: now)
        own.factsPort = own.exchange.factsPort ?? 0
        let hasMoved =
            old.underlayAddresses != snapshot.underlayAddresses || old.listenPort != snapshot.listenPort
            || old.firewallMark != snapshot.firewallMark || old.isUp != snapshot.isUp
        if hasMoved { renewEndpoints(&own) }
        for (key, pair) in own.pairs where hasMoved || pair.isNews(own.peers[key]) {
            own.touched.insert(key)
            var outbox = Pair.Outbox()
            let surroundings = own.surroundings(for: key, at: now)
            own.pairs[key]?.note(own.peers[key], &outbox, at: now)
            if hasMoved { own.pairs[key]?.restart(surroundings, at: now) }
            carryOut(outbox, of: key, surroundings.hub, &own, at: now)
        }
        self.own = own
    }

    /// Where this machine is seen is open again, and so is the way to each peer.
    private mutating func renewEndpoints(_ own: inout Own) {
        own.mapping.forget()
        // Where an address went, a peer stays silent until its endpoint is written again, even the same (measured
        // with wireguard-go; the kernel finds the way itself).
        let current = own.snapshot.peers.compactMap { peer in
            peer.endpoint.map {
                PeerChange.update(PeerSettings(publicKey: peer.publicKey, allowedIPs: [], endpoint: $0))
            }
        }
        guard !current.isEmpty else { return }
        for change in current { own.pairs[change.publicKey]?.pendingChanges += 1 }
        work.append(.change(current))
    }

    /// The machine slept. The kernel has ended its sessions, NATs have forgotten it, and others may have gone back to the
    /// hub without being heard: each pair begins anew, there as well.
    mutating func resume(_ own: inout Own, at now: MonotonicTime) {
        renewEndpoints(&own)
        for key in own.pairs.keys.sorted() {
            let surroundings = own.surroundings(for: key, at: now)
            var outbox = Pair.Outbox()
            own.pairs[key]?.goBack(&outbox, at: now)
            own.pairs[key]?.restart(surroundings, at: now)
            own.touched.insert(key)
            carryOut(outbox, of: key, surroundings.hub, &own, at: now)
        }
        for key in own.peers.keys where own.isOperators(key) { own.exchange.ping(key, at: now) }
        work.append(.readNow)
    }

    /// Packets that go through the hub want a link.
    mutating func noteTraffic(_ addresses: [IPv6Address], _ own: inout Own, at now: MonotonicTime) {
        guard let idleTime else { return }
        for key in Set(addresses.compactMap { own.owners[$0] }) {
            // One that is awake looks at its time itself when that is over.
            if own.pairs[key]?.noteTraffic(idleTime, at: now) == true { own.touched.insert(key) }
        }
    }

    /// A datagram at the facts port. It came through the tunnel, so its source is the address of a peer.
    mutating func receive(_ bytes: [UInt8], from source: IPv6Address, _ own: inout Own, at now: MonotonicTime) {
        guard let sender = own.addresses[source] else { return }
        let limit = own.isHub(sender) ? Self.hubArrivalLimit : Self.arrivalLimit
        guard own.arrivals[sender, default: TokenBucket()].take(limit, at: now.sinceStart) else { return }
        // It has a session that the last reading does not show.
        if own.exchange.member(sender)?.isHealthy != true,
            own.lastReadNow.map({ $0 + Self.newcomerInterval <= now }) ?? true
        {
            own.lastReadNow = now
            work.append(.readNow)
        }
        own.pairs[sender]?.failure?.noteFacts(bytes.count)
        guard bytes.first == MessageSealer.marker else {
            do throws(RefusedDatagram) {
                let group = try own.signer.facts(in: bytes.span, from: source)
                own.exchange.take(group.facts, from: group.signer, at: now)
            } catch {
                refuse("\(error)", sender, &own, at: now)
            }
            return
        }
        open(bytes, from: sender, through: nil, &own, at: now)
    }

    private mutating func open(
        _ bytes: [UInt8],
        from sender: PublicKey,
        through hub: PublicKey?,
        _ own: inout Own,
        at now: MonotonicTime
    ) {
        guard own.sealers[sender] != nil else { return }
        let boot = own.sealers[sender]?.otherBoot
        do throws(RefusedMessage) {
            guard let message = try own.sealers[sender]?.open(bytes) else { return }
            if let boot, boot != own.sealers[sender]?.otherBoot { noteStart(of: sender, &own, at: now) }
            take(message, from: sender, through: hub, &own, at: now)
        } catch {
            refuse("\(error)", sender, &own, at: now)
        }
    }

    /// A member was started anew, and knows nothing of the session and of where allowed IPs are. So the pair begins anew
    /// here as well.
    private mutating func noteStart(of member: PublicKey, _ own: inout Own, at now: MonotonicTime) {
        let hub = own.hub(for: member)
        var outbox = Pair.Outbox()
        own.pairs[member]?.reset(&outbox, isTold: false, at: now)
        own.touched.insert(member)
        carryOut(outbox, of: member, hub, &own, at: now)
    }

    private mutating func refuse(_ reason: String, _ sender: PublicKey, _ own: inout Own, at now: MonotonicTime) {
        if let last = own.lastRefusal, last + Self.refusalInterval > now { return }
        own.lastRefusal = now
        work.append(.log(LinkNotice(.refused, .warning, sender, "datagram refused: \(reason)")))
    }

    private mutating func take(
        _ message: LinkMessage,
        from sender: PublicKey,
        through hub: PublicKey?,
        _ own: inout Own,
        at now: MonotonicTime
    ) {
        switch message {
        case .facts(let delta) where hub == nil: own.exchange.take(delta, from: sender, at: now)
        case .received(let sequence) where hub == nil:
            own.exchange.acknowledge(sequence, from: sender, at: now)
        case .forward(let other, let inner) where hub == nil:
            if own.pairs[other] != nil, own.isHub(sender) {
                open(inner, from: other, through: sender, &own, at: now)
            } else {
                forward(inner, from: sender, to: other, &own, at: now)
            }
        case .undelivered(let other, let reason) where hub == nil && own.hub(for: other)?.key == sender:
            own.pairs[other]?.noteUndelivered(reason, at: now)
            if reason == .notConnected {
                let hubs = own.hubs(for: other)
                var outbox = Pair.Outbox()
                own.pairs[other]?.noteUnreachable(of: hubs, &outbox, at: now)
                carryOut(outbox, of: other, own.hub(for: other), &own, at: now)
            }
            own.touched.insert(other)
        case .relayWanted(let other) where hub == nil: wantRelay(of: other, for: sender, &own, at: now)
        case .relayGranted(let other, let port) where hub == nil && own.hub(for: other)?.key == sender:
            own.pairs[other]?.noteGrant(port, at: own.peers[sender]?.endpoint, now: now)
            own.touched.insert(other)
        case .call, .echo, .switching: takePaired(message, from: sender, through: hub, &own, at: now)
        case .facts, .received, .forward, .undelivered, .relayWanted, .relayGranted: break
        }
    }

    /// What two members say to each other about their pair.
    private mutating func takePaired(
        _ message: LinkMessage,
        from sender: PublicKey,
        through hub: PublicKey?,
        _ own: inout Own,
        at now: MonotonicTime
    ) {
        guard own.pairs[sender] != nil else { return }
        var outbox = Pair.Outbox()
        if let hub, own.hubs(for: sender).contains(hub) { own.pairs[sender]?.heard(through: hub, &outbox, at: now) }
        let surroundings = own.surroundings(for: sender, at: now)
        own.pairs[sender]?.noteOurs()
        own.touched.insert(sender)
        if hub == nil { own.pairs[sender]?.noteArrival(at: now) }
        switch message {
        case .call(let call): own.pairs[sender]?.take(call, surroundings, at: now)
        case .echo(let number, let isAnswer) where hub == nil:
            own.pairs[sender]?.take(echo: number, isAnswer: isAnswer, &outbox, at: now)
        case .switching(let phase):
            own.pairs[sender]?.take(phase, isDirect: hub == nil, &outbox, at: now)
        default: break
        }
        carryOut(outbox, of: sender, surroundings.hub, &own, at: now)
    }

    mutating func receiveProbe(
        _ bytes: [UInt8],
        from source: Endpoint,
        at port: ProbePort,
        _ own: inout Own,
        at now: MonotonicTime
    ) {
        guard let event = try? own.table.read(bytes.span, from: source, at: now) else { return }
        switch event {
        case .request(let sender, let answer):
            switch port {
            case .wireGuard:
                own.touched.insert(sender)
                let surroundings = own.surroundings(for: sender, at: now)
                own.pairs[sender]?.heardProbe(from: source, surroundings, at: now)
            case .relay(let other):
                // Only who asked for this relay, and may.
                guard own.switchboard.isRelayed(sender, other) else { return }
                let door = RelayEnds.Door(member: sender, other: other)
                if own.relayEnds.isEnd(source, of: door) {
                    work.append(.relayEnd(of: sender, at: source, towards: other))
                } else if answer != nil, let question = own.table.request(to: sender, at: nil, now: now) {
                    own.relayEnds.ask(door, at: source, counter: question.counter)
                    work.append(.probe(question.datagram, to: source, from: port))
                }
            }
            if let answer { work.append(.probe(answer, to: source, from: port)) }
        case .answer(let sender, let counter, let observed):
            if case .relay(let other) = port {
                // It has seen the port of the relay, and not this machine's.
                guard own.relayEnds.takes(counter, from: source, at: RelayEnds.Door(member: sender, other: other))
                else { return }
                work.append(.relayEnd(of: sender, at: source, towards: other))
                return
            }
            // Who is near sees no NAT.
            let isNear = own.snapshot.underlayAddresses.contains { $0.address.contains(source.source) }
            if let observed, !isNear { own.mapping.note(observed, by: source, at: now) }
            if let probe = own.relayProbes[counter], probe.hub == sender {
                guard probe.destination == source else { return }
                own.relayProbes[counter] = nil
                // Perhaps the pair has another hub by now.
                if own.pairs[probe.pair]?.relay.endpoint == source { own.pairs[probe.pair]?.relay.noteAnswer(at: now) }
                own.touched.insert(probe.pair)
            } else {
                own.touched.insert(sender)
                _ = own.pairs[sender]?.prober.answered(counter, from: source, observed: observed, at: now)
            }
        }
    }

    // The hub's part

    private mutating func forward(
        _ inner: [UInt8],
        from sender: PublicKey,
        to other: PublicKey,
        _ own: inout Own,
        at now: MonotonicTime
    ) {
        let reason: LinkMessage.Undelivered
        if !own.switchboard.forwards(for: sender, at: now) {
            reason = .tooMany
        } else if own.exchange.member(other)?.ours == nil {
            reason = .notOurs
        } else if own.isOperators(other), own.isOperators(sender), own.isConnected(other) {
            send(.forward(sender, inner), to: other, &own)
            return
        } else {
            reason = .notConnected
        }
        send(.undelivered(other, reason), to: sender, &own)
    }

    private mutating func wantRelay(
        of other: PublicKey,
        for member: PublicKey,
        _ own: inout Own,
        at now: MonotonicTime
    ) {
        guard own.isOperators(other), own.isOperators(member), own.isConnected(other) else {
            send(.relayGranted(other, port: nil), to: member, &own)
            return
        }
        switch own.switchboard.want(other, by: member, at: now) {
        case .granted(let port): send(.relayGranted(other, port: port), to: member, &own)
        case .refused: send(.relayGranted(other, port: nil), to: member, &own)
        case .opens: work.append(.openRelayPort(other))
        case .waits: break
        }
    }

    mutating func grant(_ port: UInt16?, of member: PublicKey, _ own: inout Own, at now: MonotonicTime) {
        for waiting in own.switchboard.notePort(of: member, port, at: now).sorted() {
            send(.relayGranted(member, port: port), to: waiting, &own)
        }
    }
}
