/// What an event of the loop is about.
enum Token {
    case connection(ConnectionID)
    /// The listener of this index.
    case listener(Int)
    case handler
    case orders

    // The upper half says which case it is, the lower half is its value.

    var rawValue: UInt64 {
        switch self {
        case .connection(let id): UInt64(id.rawValue)
        case .listener(let index): 1 << 32 | UInt64(index)
        case .handler: 2 << 32
        case .orders: 3 << 32
        }
    }

    init(rawValue: UInt64) {
        let value = UInt32(truncatingIfNeeded: rawValue)
        switch rawValue >> 32 {
        case 0: self = .connection(ConnectionID(rawValue: value))
        case 1: self = .listener(Int(value))
        case 2: self = .handler
        case 3: self = .orders
        default: preconditionFailure("token \(rawValue) is none of ours")
        }
    }
}
