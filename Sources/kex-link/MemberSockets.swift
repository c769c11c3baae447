internal import EventLoop
internal import LinkChannel
internal import LinkMember
internal import NetworkAddresses
internal import PathProbe
internal import Relay
internal import SystemCalls
internal import SystemPackage
internal import Time
internal import TrafficTap
internal import WireGuardTypes

/// The sockets of a member: what comes is an event, and what cannot be sent is lost, as on the way.
struct MemberSockets: ~Copyable {
    /// The first tokens are the loop's own.
    private static let firstToken: UInt64 = 16
    /// Most datagrams that one socket gives before others have their turn.
    private static let datagramsPerRound = 64
    /// Longest datagram of facts in bytes; longer ones are dropped. Those of the field have at most 1212.
    private static let maximumDatagram = 2048

    private struct FactsSocket {
        let descriptor: SharedDescriptor
        let scope: UInt32
        let token: UInt64
    }

    /// Where a probe came from at a port of the relay.
    private struct RelayPlace: Hashable {
        let member: PublicKey
        let endpoint: Endpoint
    }

    /// The first token of the relay; those of the sockets never get there.
    private static let firstRelayToken: UInt64 = 1 << 31

    private var relay = Relay(firstToken: firstRelayToken)
    /// To which of this machine's addresses the probes of this round came: answers have the same.
    private var relayLocals: [RelayPlace: IPv6Address] = [:]
    private var facts: [MemberSocket.Purpose: FactsSocket] = [:]
    private var routes: OwnedDescriptor?
    private var probesOverIPv4: RawSocket?
    private var probesOverIPv6: RawSocket?
    private var traffic: TrafficSocket?
    private var tokens: [UInt64: MemberSocket.Purpose] = [:]
    private var lastToken = firstToken
    private var buffer = [UInt8](repeating: 0, count: maximumDatagram + 1)

    /// The operator has set ports for the relay. To be said before there are any.
    mutating func setRelayPorts(_ ports: ClosedRange<UInt16>?) {
        relay = Relay(range: ports, firstToken: Self.firstRelayToken)
    }

    /// Takes a socket from the keeper, in place of one that is for the same.
    mutating func take(
        _ descriptor: SharedDescriptor,
        _ socket: MemberSocket,
        on loop: borrowing EventLoop
    ) throws(SystemCallError) {
        tokens = tokens.filter { $0.value != socket.purpose }
        lastToken += 1
        tokens[lastToken] = socket.purpose
        switch socket.purpose {
        case .facts, .otherFacts:
            guard case .v6(_, _, let scope) = try Socket.localAddress(of: descriptor.raw).endpoint else { return }
            try loop.watch(descriptor.raw, for: .readable, token: lastToken)
            facts[socket.purpose] = FactsSocket(descriptor: descriptor, scope: scope, token: lastToken)
        case .routes: routes = descriptor.take()
        case .probesOverIPv4:
            guard let owned = descriptor.take() else { return }
            try loop.watch(descriptor.raw, for: .readable, token: lastToken)
            probesOverIPv4 = RawSocket(owned, .v4, port: socket.port, sources: routes.take())
        case .probesOverIPv6:
            guard let owned = descriptor.take() else { return }
            try loop.watch(descriptor.raw, for: .readable, token: lastToken)
            probesOverIPv6 = RawSocket(owned, .v6, port: socket.port)
        case .traffic: traffic = try TrafficSocket(descriptor, token: lastToken, on: loop)
        case .status: break
        }
    }

    // MARK: - Receiving

    /// What has come to the socket of that token.
    mutating func receive(_ token: UInt64, on loop: borrowing EventLoop, now: MonotonicTime) -> [LinkEvent] {
        if relay.owns(token) { return receiveForRelay(token, now: now) }
        return switch tokens[token] {
        case .facts, .otherFacts: tokens[token].flatMap { facts[$0] }.map { receiveFacts($0.descriptor.raw) } ?? []
        case .probesOverIPv4: Self.receiveProbes(&probesOverIPv4)
        case .probesOverIPv6: Self.receiveProbes(&probesOverIPv6)
        case .traffic: (traffic?.receive(on: loop, now: now)).map { [$0] } ?? []
        case .status, .routes, nil: []
        }
    }

    private mutating func receiveFacts(_ descriptor: FileDescriptor) -> [LinkEvent] {
        var events: [LinkEvent] = []
        for _ in 0..<Self.datagramsPerRound {
            do throws(SystemCallError) {
                guard let (count, sender) = try Socket.receive(over: descriptor, into: &buffer) else { break }
                guard count <= Self.maximumDatagram, case .v6(let address, let port, _)? = sender.endpoint else {
                    continue
                }
                events.append(.datagram(Array(buffer[..<count]), from: address.unscoped, port: port))
            } catch {
                // What an earlier datagram met on its way. The next call goes on.
                continue
            }
        }
        return events
    }

    private static func receiveProbes(_ socket: inout RawSocket?) -> [LinkEvent] {
        do throws(SystemCallError) {
            // What others say of packets that did not arrive is taken out, or the loop would be told of it again.
            _ = try socket?.failures()
            return (try socket?.receive() ?? []).map { .probe($0.payload, from: $0.source, at: .wireGuard) }
        } catch {
            return []
        }
    }

    // MARK: - Sending

    /// Sends facts, or a message, through the tunnel. Without a session nothing is sent, and nobody is told.
    func send(_ bytes: [UInt8], to address: IPv6Address, port: UInt16) {
        guard let socket = facts[.facts] ?? facts[.otherFacts] else { return }
        let destination = SocketAddress(.v6(address, port: port, scope: socket.scope))
        _ = try? Socket.send(bytes, to: destination, over: socket.descriptor.raw)
    }

    mutating func sendProbe(_ bytes: [UInt8], to endpoint: Endpoint, from port: ProbePort) {
        switch port {
        case .wireGuard:
            switch endpoint {
            case .v4: _ = try? probesOverIPv4?.send(bytes, to: endpoint)
            case .v6: _ = try? probesOverIPv6?.send(bytes, to: endpoint)
            }
        case .relay(let member):
            let local = relayLocals[RelayPlace(member: member, endpoint: endpoint)]
            relay.send(bytes, to: endpoint, from: member, local: local)
        }
    }

    // MARK: - Relay

    /// - Returns: `nil` if there are too many, or the machine has no descriptor left.
    mutating func openRelayPort(of key: PublicKey, on loop: borrowing EventLoop) -> UInt16? {
        (try? relay.open(for: key, on: loop)) ?? nil
    }

    mutating func closeRelayPort(of key: PublicKey) { relay.close(key) }

    mutating func setRelayEnd(
        of key: PublicKey,
        at endpoint: Endpoint,
        towards other: PublicKey,
        now: MonotonicTime
    ) {
        let local = relayLocals[RelayPlace(member: other, endpoint: endpoint)]
        relay.setEnd(of: key, at: endpoint, local: local, towards: other, at: now)
    }

    mutating func forgetRelay(_ one: PublicKey, _ other: PublicKey) { relay.forget(one, other) }

    private mutating func receiveForRelay(_ token: UInt64, now: MonotonicTime) -> [LinkEvent] {
        relay.serve(token, at: now).map { arrival in
            relayLocals[RelayPlace(member: arrival.member, endpoint: arrival.source)] = arrival.local
            return .probe(arrival.bytes, from: arrival.source, at: .relay(arrival.member))
        }
    }

    /// When ``expire(on:now:)`` has something to do.
    var nextDeadline: MonotonicTime? {
        [relay.nextDeadline, traffic?.pausesUntil].compactMap(\.self).min()
    }

    /// Forgets pairs of the relay that are idle, and looks at traffic again.
    mutating func expire(on loop: borrowing EventLoop, now: MonotonicTime) {
        relay.expire(at: now)
        traffic?.goOn(on: loop, now: now)
    }

    /// What came in this round has been answered.
    mutating func endRound() { relayLocals.removeAll(keepingCapacity: true) }
}
