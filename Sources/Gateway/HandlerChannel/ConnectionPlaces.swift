/// Who is connected at a Unix socket: so many of one user, and so many in all. Whoever is one too many is closed at once,
/// so that nobody waits behind him.
public struct ConnectionPlaces: Sendable {
    /// Most connections of one user. A front door has one; `kex-cleanup` has one for each domain that is swept.
    public static let ofUser = 64
    /// Most connections of all users: there are few users who may connect. Each takes a buffer of
    /// ``ChannelLimit/frameSize`` bytes.
    public static let ofAll = 256

    private var taken: [UInt32: Int] = [:]
    private var count = 0

    public init() {}

    /// Takes a place for this user.
    ///
    /// - Returns: whether there was one.
    public mutating func take(for user: UInt32) -> Bool {
        guard count < Self.ofAll, taken[user, default: 0] < Self.ofUser else { return false }
        taken[user, default: 0] += 1
        count += 1
        return true
    }

    /// Gives back a place that this user had taken.
    public mutating func leave(_ user: UInt32) {
        guard let own = taken[user] else { return }
        taken[user] = own > 1 ? own - 1 : nil
        count -= 1
    }
}
