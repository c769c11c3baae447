/// Who is connected at a local socket: so many of one user, and so many in all.
public struct ConnectionPlaces: Sendable {
    /// Most connections of one user.
    public let ofUser: Int
    /// Most connections of all users.
    public let ofAll: Int
    private var taken: [UInt32: Int] = [:]
    private var count = 0

    public init(ofUser: Int, ofAll: Int) {
        self.ofUser = ofUser
        self.ofAll = ofAll
    }

    /// Takes a place for this user.
    ///
    /// - Returns: whether there was one.
    public mutating func take(for user: UInt32) -> Bool {
        guard count < ofAll, taken[user, default: 0] < ofUser else { return false }
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
