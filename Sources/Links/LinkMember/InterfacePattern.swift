public import NetworkAddresses

/// A pattern for names of interfaces, as in a shell: `*`, `?`, and sets such as `[a-z0]` or `[^a]`; `\` takes the
/// meaning of what follows.
public struct InterfacePattern: Hashable, Sendable {
    /// Longest pattern in bytes.
    public static let maximumLength = 64

    private enum Part: Hashable {
        case any
        case one(UInt8)
        case oneOf([ClosedRange<UInt8>], isInverted: Bool)
        /// Also none.
        case several
    }

    public let text: String
    private let parts: [Part]

    /// Returns `nil` for a pattern that is empty, longer than ``maximumLength``, not ASCII, or that ends within a set
    /// or behind a `\`.
    public init?(_ text: String) {
        guard (1...Self.maximumLength).contains(text.utf8.count), text.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else { return nil }
        var rest = Array(text.utf8)[...]
        var parts: [Part] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "*"): if parts.last != .several { parts.append(.several) }
            case UInt8(ascii: "?"): parts.append(.any)
            case UInt8(ascii: "["):
                guard let set = Self.set(&rest) else { return nil }
                parts.append(set)
            case UInt8(ascii: "\\"):
                guard let next = rest.popFirst() else { return nil }
                parts.append(.one(next))
            default: parts.append(.one(byte))
            }
        }
        self.text = text
        self.parts = parts
    }

    /// Reads a set behind its bracket.
    private static func set(_ rest: inout ArraySlice<UInt8>) -> Part? {
        func member() -> UInt8? {
            guard let byte = rest.popFirst() else { return nil }
            return byte == UInt8(ascii: "\\") ? rest.popFirst() : byte
        }
        let isInverted = rest.first == UInt8(ascii: "^")
        if isInverted { rest = rest.dropFirst() }
        var ranges: [ClosedRange<UInt8>] = []
        while rest.first != UInt8(ascii: "]") {
            guard let first = member() else { return nil }
            guard rest.first == UInt8(ascii: "-") else {
                ranges.append(first...first)
                continue
            }
            rest = rest.dropFirst()
            guard rest.first != UInt8(ascii: "]"), let last = member(), first <= last else { return nil }
            ranges.append(first...last)
        }
        rest = rest.dropFirst()
        return ranges.isEmpty ? nil : .oneOf(ranges, isInverted: isInverted)
    }

    /// Whether the whole name is as the pattern says.
    public func matches(_ name: InterfaceName) -> Bool {
        let bytes = Array(name.text.utf8)
        // Which parts may come next; at most 65, so a name takes less than a thousand steps.
        var places: Set = [0]
        func withSeveral(_ places: Set<Int>) -> Set<Int> {
            places.union(
                places.compactMap { place in place < parts.count && parts[place] == .several ? place + 1 : nil }
            )
        }
        places = withSeveral(places)
        for byte in bytes {
            var next: Set<Int> = []
            for place in places where place < parts.count {
                switch parts[place] {
                case .several: next.insert(place)
                case let part where Self.takes(part, byte): next.insert(place + 1)
                default: break
                }
            }
            places = withSeveral(next)
        }
        return places.contains(parts.count)
    }

    private static func takes(_ part: Part, _ byte: UInt8) -> Bool {
        switch part {
        case .any, .several: true
        case .one(let wanted): byte == wanted
        case .oneOf(let ranges, let isInverted): ranges.contains { $0.contains(byte) } != isInverted
        }
    }
}

extension InterfacePattern: CustomStringConvertible {
    public var description: String { text }
}
