internal import WireGuardTypes

/// What is known of the keys that were written last: at least ``limit`` of them, at most twice as many.
///
/// Two tables take turns. A key is written to the young one. When that is full it becomes the old one, and who was in
/// the old one and was not written since is forgotten.
struct RecentKeys<Value: Sendable>: Sendable {
    let limit: Int
    private(set) var young: [PublicKey: Value] = [:]
    private(set) var old: [PublicKey: Value] = [:]

    init(limit: Int) { self.limit = limit }

    subscript(key: PublicKey) -> Value? {
        get { young[key] ?? old[key] }
        set {
            guard let newValue else {
                young[key] = nil
                old[key] = nil
                return
            }
            if young.count == limit && young[key] == nil {
                old = young
                young = [:]
            }
            young[key] = newValue
        }
    }
}
