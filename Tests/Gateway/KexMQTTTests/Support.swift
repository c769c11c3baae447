import BusMessages
import HandlerChannel
import KexProtocol
import Keys
import NetworkAddresses
import Time
import WireGuardTypes

@testable import KexMQTT

let domain = DomainName("ffww01")!

/// A key that differs from all others by its number.
func key(_ number: Int) -> PublicKey {
    var bytes = [UInt8](repeating: 0x40, count: 32)
    for index in 0..<4 { bytes[index] = UInt8(number >> (8 * index) & 0xff) }
    return PublicKey(bytes: bytes.span)!
}

func registration(_ number: Int) -> Registration { Registration(domain: domain, key: key(number)) }

/// A gateway with a clock, and all that it wants.
struct Member {
    var member: BusMember
    var now = Moment(milliseconds: 1_800_000_000_000, sinceStart: .seconds(10_000))
    private var lastID: Int32 = 0
    var acknowledges = true
    /// The broker's reason code.
    var reason: UInt8 = 0

    init(
        _ name: String = "gw01",
        staleAfter: Duration = .seconds(3600),
        weights: [String: Int] = [:],
        formerDomains: Set<DomainName> = [],
        signingKey: SigningKey? = nil,
        trusted: TrustedKeys? = nil,
        hasGateway: Bool = true
    ) {
        let link = IPv6Address("fe80::1")!
        member = BusMember(
            MemberSettings(
                name: GatewayName(name)!,
                externalAddress: "\(name).example.net",
                domains: [
                    MemberSettings.Domain(
                        name: domain,
                        linkAddress: hasGateway ? link : nil,
                        staleAfter: staleAfter,
                        hasGateway: hasGateway
                    )
                ],
                weights: weights,
                signingKey: signingKey,
                trusted: trusted
            ),
            formerDomains: formerDomains
        )
    }

    var seconds: Int64 { now.seconds }

    mutating func pass(_ duration: Duration) {
        now.sinceStart += duration
        now.milliseconds += Int64(duration / .milliseconds(1))
        member.advance(to: now)
    }

    /// The broker lets it in, and answers its subscriptions.
    mutating func connect() {
        member.connect(at: now)
        subscribe()
        member.advance(to: now)
    }

    @discardableResult
    mutating func subscribe() -> [String] {
        var filters: [String] = []
        while let subscription = member.nextSubscription(at: now) {
            let (kept, acknowledged) = (subscription.withKept, subscription.isAcknowledged)
            filters.append(
                subscription.filter + (acknowledged ? "" : " unacknowledged") + (kept ? "" : " without kept")
            )
            lastID += 1
            member.note(subscription, sentAs: lastID)
            member.subscribed(lastID, at: now)
        }
        return filters
    }

    /// What it publishes now; the broker takes all of it.
    mutating func publications() -> [Publication] {
        var all: [Publication] = []
        while let next = member.nextPublication(at: now) {
            lastID += 1
            member.note(next, sentAs: lastID, at: now)
            if acknowledges { member.acknowledged(lastID, reason: reason, at: now) }
            all.append(next)
        }
        return all
    }

    mutating func receive(_ message: BusMessage, isRetained: Bool = false, signedWith key: SigningKey? = nil) {
        receive("\(message.topic)", message.payload(signedWith: key), isRetained: isRetained)
    }

    mutating func receive(_ topic: String, _ payload: [UInt8], isRetained: Bool = false) {
        member.receive(topic: Array(topic.utf8), payload: payload, isRetained: isRetained, at: now)
    }

    /// A note of another gateway.
    mutating func hear(
        _ number: Int,
        _ state: RouterNote.State,
        from gateway: String = "gw02",
        saidAt time: Int64? = nil,
        isRetained: Bool = false
    ) {
        let note = RouterNote(gateway: GatewayName(gateway)!, time: time ?? now.milliseconds, state: state)
        receive(.router(registration(number), note), isRetained: isRetained)
    }

    mutating func deliver(_ publication: Publication, isRetained: Bool = false) {
        receive(publication.topic, publication.payload, isRetained: isRetained)
    }

    /// The handler's routers, when it is asked for them.
    ///
    /// - Parameter removed: who was removed on purpose since the list before.
    mutating func list(_ routers: [(Int, Int64?)], removed: [Int] = [], isWhole: Bool = true) {
        let request = member.nextList(at: now)
        guard let request, request.domain == domain else { preconditionFailure("nobody asks for a list") }
        let lastRemoval = request.lastRemoval + UInt64(removed.count)
        let records = routers.map { RouterRecord(key: key($0.0), lastHandshake: $0.1) }
        for start in stride(from: 0, to: records.count, by: 64) {
            member.take(.routers(Array(records[start...].prefix(64))), at: now)
        }
        if !removed.isEmpty { member.take(.removals(removed.map { RouterRemoval(key: key($0)) }), at: now) }
        member.take(.routerListEnd(RouterListEnd(domain: domain, isWhole: isWhole, lastRemoval: lastRemoval)), at: now)
    }

    /// The handler says that the domain is well.
    mutating func tellStatus(isInService: Bool = true, connected: UInt32 = 3) {
        let status = DomainStatus(
            domain: domain,
            isInService: isInService,
            publicKey: isInService ? key(9999) : nil,
            listenPort: isInService ? 10010 : nil,
            connected: connected
        )
        member.take(.statuses([status]), at: now)
        member.advance(to: now)
    }

    /// All that the handler is asked to let in.
    mutating func newcomers(answer refusal: Refusal? = nil) -> [PublicKey] {
        var keys: [PublicKey] = []
        while true {
            let requests = member.nextRegistrations(at: now)
            guard !requests.isEmpty else { return keys }
            keys += requests.map(\.registration.key)
            member.take(.registrations(requests.map { RegistrationAnswer(id: $0.id, refusal: refusal) }), at: now)
        }
    }

    /// All news that the handler is told.
    mutating func news(answer refusal: Refusal? = nil) -> [RouterNews] {
        var all: [RouterNews] = []
        while true {
            let news = member.nextNews(at: now)
            guard !news.isEmpty else { return all }
            all += news
            member.take(.news(news.map { RegistrationAnswer(id: $0.id, refusal: refusal) }), at: now)
        }
    }
}

extension Publication {
    /// What it says.
    var message: BusMessage? {
        let bytes = Array(topic.utf8)
        return try? BusMessage(topic: bytes.span, payload: payload.span)
    }

    var note: RouterNote? { if case .router(_, let note) = message { note } else { nil } }
}
