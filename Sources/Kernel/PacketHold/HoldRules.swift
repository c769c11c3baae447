internal import NetworkAddresses

/// The table that sends the packets of held prefixes to another device: commands for nft(8).
///
/// Each length of prefix has a set of its own, so that prefixes may be inside each other, and no set has intervals. The
/// elements have a timeout, so a hold ends even if the process that made it hangs; if it dies, the table goes with it,
/// for it has an owner. The hook runs before WireGuard sees a packet, also one that is forwarded.
struct HoldRules {
    /// Packets that are sent into the interface by this program, and so are not held again: `kexh`.
    static let mark: UInt32 = 0x6b65_7868

    let table: String
    let interface: InterfaceName
    let device: InterfaceName
    /// Sets that are there.
    private(set) var sets: Set<String> = []

    /// - Returns: `nil` for a name that the language takes for something else.
    init?(interface: InterfaceName, index: InterfaceIndex, device: InterfaceName) {
        let isPlain = interface.text.utf8.allSatisfy { character in
            switch character {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: "-_.".utf8.contains(character)
            }
        }
        guard isPlain else { return nil }
        table = "kex_hold_\(index)"
        self.interface = interface
        self.device = device
    }

    /// The table, which holds nothing yet.
    var creation: [String] {
        [
            "add table netdev \(table) { flags owner; }",
            "add chain netdev \(table) out { type filter hook egress device \"\(interface)\" priority 0; policy accept; }",
            "add rule netdev \(table) out meta mark \(Self.mark) accept",
        ]
    }

    /// Holds prefixes, and says for which sets rules were added: ``note(_:)`` them when it is done.
    func holding(_ prefixes: [IPPrefix]) -> (commands: [String], new: Set<String>) {
        var commands: [String] = []
        var new: Set<String> = []
        for (set, prefix) in prefixes.map({ ($0.setName, $0) }) where !sets.contains(set) && !new.contains(set) {
            new.insert(set)
            commands.append("add set netdev \(table) \(set) { type \(prefix.type); flags timeout; }")
            commands.append("add rule netdev \(table) out \(prefix.match) @\(set) fwd to \"\(device)\"")
        }
        for (set, elements) in Self.grouped(prefixes) {
            let list = elements.map { "\($0) timeout \(HoldLimits.timeout.components.seconds)s" }
            commands.append("add element netdev \(table) \(set) { \(list.joined(separator: ", ")) }")
        }
        return (commands, new)
    }

    mutating func note(_ new: Set<String>) { sets.formUnion(new) }

    /// Holds them no longer.
    func ending(_ prefixes: [IPPrefix]) -> [String] {
        Self.grouped(prefixes).map { set, elements in
            "delete element netdev \(table) \(set) { \(elements.joined(separator: ", ")) }"
        }
    }

    private static func grouped(_ prefixes: [IPPrefix]) -> [(set: String, elements: [String])] {
        Dictionary(grouping: prefixes.map(\.masked), by: \.setName)
            .map { ($0.key, Set($0.value.map(\.text)).sorted()) }
            .sorted { $0.0 < $1.0 }
    }
}

extension IPPrefix {
    fileprivate var isV4: Bool { if case .v4 = address { true } else { false } }
    fileprivate var type: String { isV4 ? "ipv4_addr" : "ipv6_addr" }
    fileprivate var setName: String { "\(isV4 ? "v4" : "v6")_\(length)" }

    /// The address alone. One that maps IPv4 is written in hexadecimal too.
    fileprivate var text: String {
        switch address {
        case .v4(let address): address.description
        case .v6(let address): address.description
        }
    }

    /// The part of a packet's destination that is looked up.
    fileprivate var match: String {
        let field = isV4 ? "ip daddr" : "ip6 daddr"
        guard length < (isV4 ? 32 : 128) else { return field }
        let ones: IPPrefix.Address =
            isV4 ? .v4(IPv4Address(value: .max)) : .v6(IPv6Address(high: .max, low: .max))
        return "\(field) & \(IPPrefix(ones, length: length)?.masked.text ?? "0")"
    }
}
