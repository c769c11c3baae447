internal import HandlerChannel
internal import KexProtocol

/// Registrations of front doors until the broker has them.
struct PendingRegistrations: Sendable {
    private struct Request: Sendable {
        let frontDoor: UInt64
        let id: UInt32
        let router: RouterID
        let deadline: Duration
        /// Publications that the broker has not acknowledged; `nil` if it was not sent yet.
        var missing: Int?
    }

    private var requests: [UInt64: Request] = [:]
    private var lastNumber: UInt64 = 0
    /// Those that are not sent yet, oldest first.
    private var unsent: [UInt64] = []
    private var firstUnsent = 0
    /// All in the order of their deadlines, and some that are answered.
    private var order: [UInt64] = []
    private var first = 0
    private(set) var answers: [(frontDoor: UInt64, answer: RegistrationAnswer)] = []
    /// Routers that the broker may not have, because it was away or did not answer.
    private var unpublished: [RouterID] = []

    mutating func refuse(_ request: RegistrationRequest, _ refusal: Refusal, frontDoor: UInt64) {
        answers.append((frontDoor, RegistrationAnswer(id: request.id, refusal: refusal)))
    }

    /// There is no broker for this one.
    mutating func postpone(_ request: RegistrationRequest, _ router: RouterID, frontDoor: UInt64) {
        unpublished.append(router)
        refuse(request, .unavailable, frontDoor: frontDoor)
    }

    mutating func insert(_ request: RegistrationRequest, _ router: RouterID, frontDoor: UInt64, at now: Duration) {
        guard requests.count < BusLimit.registrations else { return postpone(request, router, frontDoor: frontDoor) }
        lastNumber += 1
        let deadline = now + BusLimit.registrationTime
        requests[lastNumber] = Request(frontDoor: frontDoor, id: request.id, router: router, deadline: deadline)
        if unsent.count >= 2 * BusLimit.registrations {
            unsent = unsent[firstUnsent...].filter { requests[$0] != nil }
            firstUnsent = 0
        }
        unsent.append(lastNumber)
        order.append(lastNumber)
    }

    /// The next one to send; it is on its way from now on.
    mutating func next(publications: Int) -> (number: UInt64, router: RouterID)? {
        while firstUnsent < unsent.count {
            let number = unsent[firstUnsent]
            firstUnsent += 1
            guard let request = requests[number] else { continue }
            requests[number]?.missing = publications
            return (number, request.router)
        }
        unsent.removeAll(keepingCapacity: true)
        firstUnsent = 0
        return nil
    }

    /// - Returns: the router whose registration is complete with this; `nil` if none is.
    mutating func acknowledge(_ number: UInt64, isAccepted: Bool) -> RouterID? {
        guard let request = requests[number], let missing = request.missing else { return nil }
        guard isAccepted else {
            answer(number, .unavailable)
            return nil
        }
        requests[number]?.missing = missing - 1
        guard missing == 1 else { return nil }
        answer(number, nil)
        return request.router
    }

    /// A front door that is gone needs no answer.
    mutating func close(frontDoor: UInt64) {
        for (number, request) in requests where request.frontDoor == frontDoor { requests[number] = nil }
        answers.removeAll { $0.frontDoor == frontDoor }
    }

    /// The broker is gone. Nobody knows what it has taken.
    mutating func lose() {
        for number in requests.keys { postpone(number) }
    }

    /// Those that are to be published later.
    mutating func takeUnpublished() -> [RouterID] {
        defer { unpublished.removeAll() }
        return unpublished
    }

    mutating func expire(at now: Duration) {
        while first < order.count {
            guard let request = requests[order[first]] else {
                first += 1
                continue
            }
            guard request.deadline <= now else { break }
            postpone(order[first])
        }
        if first > BusLimit.registrations || first == order.count {
            order.removeFirst(first)
            first = 0
        }
    }

    /// When the first request has waited for too long.
    var deadline: Duration? {
        order[first...].lazy.compactMap { requests[$0]?.deadline }.first
    }

    mutating func takeAnswers() -> [(frontDoor: UInt64, answer: RegistrationAnswer)] {
        defer { answers.removeAll() }
        return answers
    }

    private mutating func postpone(_ number: UInt64) {
        if let router = requests[number]?.router { unpublished.append(router) }
        answer(number, .unavailable)
    }

    private mutating func answer(_ number: UInt64, _ refusal: Refusal?) {
        guard let request = requests.removeValue(forKey: number) else { return }
        answers.append((request.frontDoor, RegistrationAnswer(id: request.id, refusal: refusal)))
    }
}
