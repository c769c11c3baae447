internal import KexProtocol
internal import NetworkAddresses
internal import SystemCalls
internal import SystemPackage

/// Names one connection of a table, and never a later one in the same slot: half of it is the slot, the other half
/// counts how often the slot was used. It is the id of a request to the handler, too.
public struct ConnectionID: Hashable, Sendable {
    let rawValue: UInt32

    /// Number of slots. The remaining 20 bits count a million uses of a slot, at least half a minute at the highest
    /// measured rate: by then every question under the old number is long past its time limit.
    public static let slots = 1 << 12

    init(rawValue: UInt32) { self.rawValue = rawValue }

    init(slot: Int, use: UInt32) { rawValue = use << 12 | UInt32(slot) }

    var slot: Int { Int(rawValue) & (Self.slots - 1) }
}

/// One client's exchange.
struct Connection {
    enum Phase: UInt8 {
        /// Nobody is connected in this slot.
        case vacant
        /// The client's two lines are not complete yet.
        case reading
        /// The handler has the question.
        case asking
        /// The client has its answer and may still be sending.
        case draining
    }

    var descriptor = FileDescriptor(rawValue: -1)
    /// How often the slot was used before.
    var use: UInt32 = 0
    var phase = Phase.vacant
    /// Whether the event loop knows the descriptor. Most exchanges are over before it needs to.
    var isWatched = false
    /// Bytes received since the answer.
    var drained = 0
    /// Whether it counts as one of its source.
    var isCounted = false
    /// Where the connection comes from, IPv4 as a mapped address.
    var source = IPv6Address(high: 0, low: 0)
    var parser = ExchangeParser()
}

/// Connections in slots that are used again and again.
///
/// Slots hold plain descriptors, because an array cannot hold owners. This type owns them all.
struct ConnectionTable: ~Copyable {
    private var connections: [Connection] = []
    private var vacant: [Int] = []
    /// Connections that are open.
    private(set) var count = 0

    init() {}

    deinit {
        for connection in connections where connection.phase != .vacant {
            _ = OwnedDescriptor(adopting: connection.descriptor)
        }
    }

    /// Takes a connection in; returns its slot. There must be less than ``ConnectionID/slots``.
    mutating func open(_ descriptor: consuming OwnedDescriptor, from source: IPv6Address) -> Int {
        let slot: Int
        if let last = vacant.popLast() {
            slot = last
        } else {
            slot = connections.count
            precondition(slot < ConnectionID.slots, "more connections than slots")
            connections.append(Connection())
        }
        connections[slot].descriptor = descriptor.release()
        connections[slot].phase = .reading
        connections[slot].isCounted = false
        connections[slot].source = source
        connections[slot].parser = ExchangeParser()
        count += 1
        return slot
    }

    /// Closes the connection in `slot`. The event loop forgets it by itself.
    mutating func close(_ slot: Int) {
        precondition(connections[slot].phase != .vacant, "slot \(slot) is vacant")
        _ = OwnedDescriptor(adopting: connections[slot].descriptor)
        connections[slot].use &+= 1  // a busy slot gets through 2^32 uses in weeks
        connections[slot].phase = .vacant
        connections[slot].isWatched = false
        connections[slot].drained = 0
        vacant.append(slot)
        count -= 1
    }

    /// The name of the connection in `slot`, as long as it is open.
    func id(of slot: Int) -> ConnectionID { ConnectionID(slot: slot, use: connections[slot].use) }

    /// The slot of a connection, `nil` if it is not open any more or never was.
    func slot(of id: ConnectionID) -> Int? {
        let slot = id.slot
        guard slot < connections.count, connections[slot].phase != .vacant, self.id(of: slot) == id else { return nil }
        return slot
    }

    /// The slot of the connection that waits for the answer to a request, `nil` if nobody does.
    func slot(ofRequest id: UInt32) -> Int? {
        guard let slot = slot(of: ConnectionID(rawValue: id)), connections[slot].phase == .asking else { return nil }
        return slot
    }

    subscript(slot: Int) -> Connection {
        _read { yield connections[slot] }
        _modify { yield &connections[slot] }
    }
}
