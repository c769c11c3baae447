import NetworkAddresses
import TenantModel
import Testing

@testable import TenantLedger

/// What the tests of the ledger ask for.
enum Sample {
    static let start = LedgerTime("2026-11-29T06:30:00Z")!
    static let day: Duration = .seconds(86400)

    static func member(_ text: String) -> MemberID {
        let parts = text.split(separator: "/").map(String.init)
        return MemberID(network: NetworkName(parts[0])!, node: NodeName(parts[1])!)
    }

    static func members(_ network: String, _ count: Int, from first: Int = 0) -> [MemberID] {
        (first..<first + count).map { member("\(network)/node\($0)") }
    }

    static func allocation(_ text: String, reserve: UInt32? = nil) -> Allocation {
        Allocation(prefix: IPv6Prefix(text)!, number: 0, reserve: reserve)!
    }

    static func segment(_ text: String) -> Segment { Segment(IPv6Prefix(text + "/64")!)! }

    static func node(_ name: String, legs: Int = 0, limit: UInt16 = Node.usualWireGuardLimit) -> Node {
        var node = Node(name: NodeName(name)!, wireGuardLimit: limit)
        node.legs = (0..<legs).map { PublicLeg(.nic(InterfaceName("eth\($0)")!)) }
        return node
    }

    /// A ledger of a few lines of every kind.
    static func text() throws -> [UInt8] {
        var ledger = Ledger()
        let allocation = allocation("2001:db8:0:10::/60")
        for (index, member) in (members("acme", 2) + members("other", 1)).enumerated() {
            let now = start + .seconds(Int64(index))
            let segment = try ledger.prefix(for: member, from: [allocation], at: now)
            let wanted = allocation.tag(of: segment)!.wantedPort
            _ = try ledger.port(for: member, at: node(member.node.text, legs: 2, limit: 1), wanted: wanted, at: now)
            _ = try ledger.relay(to: member, at: NodeName("exit")!, wanted: wanted, at: now)
        }
        _ = ledger.release(member("acme/node1"), at: start + day)
        return ledger.unwritten
    }

    static func ledger(_ text: [UInt8]) throws -> Ledger {
        var ledger = Ledger()
        #expect(try ledger.readWhole(text) == .nothing)
        return ledger
    }
}

extension Ledger {
    /// Reads a text from its first byte to its last.
    mutating func readWhole(_ text: some Collection<UInt8>) throws(LedgerDamage) -> Tail {
        let bytes = Array(text)
        let end = bytes.lastIndex(of: 0x0a).map { $0 + 1 } ?? 0
        try read(bytes[..<end])
        return try finish(bytes[end...])
    }

    /// What was to be written, which then has been.
    mutating func takeUnwritten() -> [UInt8] {
        defer { didWrite() }
        return unwritten
    }
}

extension String {
    init(_ bytes: [UInt8]) { self.init(decoding: bytes, as: UTF8.self) }
}
