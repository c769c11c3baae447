import Keys
import NetworkAddresses
import PathProbe
import Time
import WireGuardTypes

func fromHex(_ text: String) -> [UInt8] {
    let digits = text.map { UInt8($0.hexDigitValue!) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

func key(_ first: UInt8) -> PublicKey {
    let bytes = [UInt8](first..<first + 32)
    return PublicKey(bytes: bytes.span)!
}

func after(_ duration: Duration) -> MonotonicTime { MonotonicTime(sinceStart: .seconds(1000) + duration) }

func near(_ text: String) -> PathCandidate { PathCandidate(Endpoint(text)!, isNear: true) }

func far(_ text: String) -> PathCandidate { PathCandidate(Endpoint(text)!, isNear: false) }

/// Two machines with the table of each.
struct Couple {
    static let secret = SharedSecret(bytes: 0...31)!

    var a = ProbeTable(own: key(32), boot: 11)
    var b = ProbeTable(own: key(64), boot: 22)

    init() { _ = (a.add(key(64), secret: Self.secret), b.add(key(32), secret: Self.secret)) }

    mutating func request(at now: MonotonicTime = after(.zero)) -> ProbeTable.Request {
        a.request(to: key(64), at: nil, now: now)!
    }

    /// B's answer.
    mutating func answer(to request: [UInt8], from source: String = "192.0.2.1:7") throws -> [UInt8] {
        guard case .request(key(32), let answer?) = try b.read(request, from: source) else { throw NoAnswer() }
        return answer
    }

    struct NoAnswer: Error {}
}

extension ProbeTable {
    mutating func read(_ datagram: [UInt8], from source: String, at now: MonotonicTime = after(.zero))
        throws(RefusedProbe)
        -> Event
    {
        try read(datagram.span, from: Endpoint(source)!, at: now)
    }
}
