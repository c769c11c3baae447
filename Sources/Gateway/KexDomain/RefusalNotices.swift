internal import KexProtocol
internal import SystemCalls
internal import Time
internal import WireGuardTypes

/// Which refusals are in the log already. Each gets one line for a key and an hour. The table has a fixed size: when
/// two share a place, the older one may be logged again.
struct RefusalNotices {
    private struct Place {
        var subject = 0
        var until = MonotonicTime.start
    }

    /// 16 bytes each.
    static let places = 4096
    static let interval = Duration.seconds(3600)

    private var table = [Place](repeating: Place(), count: Self.places)

    /// Whether this should be written now.
    mutating func permits(_ refusal: Refusal, _ key: PublicKey, _ domain: DomainName, at now: MonotonicTime = .now)
        -> Bool
    {
        var hasher = Hasher()
        hasher.combine(refusal)
        hasher.combine(key)
        hasher.combine(domain)
        let subject = hasher.finalize()
        let place = Int(UInt(bitPattern: subject) % UInt(Self.places))
        guard table[place].subject != subject || table[place].until <= now else { return false }
        table[place] = Place(subject: subject, until: now + Self.interval)
        return true
    }
}
