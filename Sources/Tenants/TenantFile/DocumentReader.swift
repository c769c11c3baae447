internal import ConfigurationFiles
internal import NetworkAddresses
internal import TenantModel
internal import WireGuardTypes

/// Reads single values of a document, and collects what is wrong with them on the way.
struct DocumentReader {
    let file: String
    private(set) var mistakes: [ConfigurationMistake] = []
    /// Where everything stands that was read.
    private(set) var lines: [DocumentPath: Int] = [:]

    init(file: String) { self.file = file }

    /// A value and where it is in the document.
    struct Place {
        var value: YAMLValue
        var path: DocumentPath
        /// Of its key, or of itself in a list.
        var line: Int
    }

    /// A table with the keys that are there.
    struct Table {
        var place: Place
        var entries: [String: YAMLEntry]

        /// The value of a key; `nil` if the key is not there.
        subscript(_ key: String) -> Place? {
            entries[key].map { Place(value: $0.value, path: place.path.appending(key), line: $0.line) }
        }
    }

    mutating func fail(_ line: Int?, _ reason: String) {
        mistakes.append(ConfigurationMistake(at: ConfigurationLocation(file: file, line: line), reason))
    }

    mutating func note(_ place: Place) { lines[place.path] = place.line }

    // MARK: Tables and lists

    /// A table whose keys are known.
    mutating func table(_ place: Place?, _ kind: DocumentTable) -> Table? {
        guard let place else { return nil }
        guard let entries = entries(place, "\(kind.name) has \(Self.list(kind.keys))") else { return nil }
        for entry in entries where !kind.keys.contains(entry.key) {
            fail(entry.line, "unknown key \(quoted(entry.key)); \(kind.name) has \(Self.list(kind.keys))")
        }
        return Table(place: place, entries: Dictionary(entries.map { ($0.key, $0) }) { first, _ in first })
    }

    /// The entries of a table whose keys are names; empty, with a mistake, if it is none.
    mutating func named(_ place: Place?, _ expected: String) -> [(name: String, place: Place)] {
        guard let place, let entries = entries(place, expected) else { return [] }
        return entries.map { entry in
            let place = Place(value: entry.value, path: place.path.appending(entry.key), line: entry.line)
            note(place)
            return (entry.key, place)
        }
    }

    private mutating func entries(_ place: Place, _ expected: String) -> [YAMLEntry]? {
        note(place)
        switch place.value.content {
        case .table(let entries): return entries
        case .nothing: fail(place.line, "\(Self.subject(place)) is empty; \(expected)")
        case .text, .list: fail(place.line, "\(Self.subject(place)) is no table; \(expected)")
        case .refused: break
        }
        return nil
    }

    /// The elements of a list of at most `limit`.
    mutating func list(_ place: Place?, _ expected: String, limit: Int) -> [Place] {
        guard let place else { return [] }
        note(place)
        guard case .list(let values) = place.value.content else {
            if place.value.content != .refused {
                fail(place.line, "\(Self.subject(place)) is no list; expected \(expected), each behind a hyphen")
            }
            return []
        }
        guard values.count <= limit else {
            fail(place.line, "\(Self.subject(place)) has \(values.count) entries, and at most \(limit) are taken")
            return []
        }
        return values.enumerated().map { index, value in
            let place = Place(value: value, path: place.path.appending(index), line: value.line)
            note(place)
            return place
        }
    }

    /// The elements of a list, or the one value that stands for a list of it.
    mutating func oneOrMore(_ place: Place?, _ expected: String, limit: Int) -> [Place] {
        guard let place else { return [] }
        if case .text = place.value.content {
            note(place)
            return [place]
        }
        return list(place, expected, limit: limit)
    }

    // MARK: Scalars

    /// The text of a scalar with or without quotes; `nil` and a mistake for everything else.
    mutating func text(_ place: Place?, _ expected: String) -> String? {
        guard let place else { return nil }
        note(place)
        switch place.value.content {
        case .text(let text, _): return text
        case .nothing: fail(place.line, "\(Self.subject(place)) has no value; expected \(expected)")
        case .list, .table: fail(place.line, "\(Self.subject(place)) has too much; expected \(expected)")
        case .refused: break
        }
        return nil
    }

    /// What `parse` makes of a text.
    mutating func value<Value>(_ place: Place?, _ expected: String, _ parse: (String) -> Value?) -> Value? {
        guard let place, let text = text(place, expected) else { return nil }
        let value = parse(text)
        if value == nil { fail(place.line, "\(Self.subject(place)): \(quoted(text)) is not \(expected)") }
        return value
    }

    /// A decimal number without quotes.
    mutating func number<Value: FixedWidthInteger>(_ place: Place?, in range: ClosedRange<Value>) -> Value? {
        let expected = "a number from \(range.lowerBound) to \(range.upperBound)"
        guard let place, let text = text(place, expected) else { return nil }
        let subject = "\(Self.subject(place)): \(quoted(text))"
        guard case .text(_, isPlain: true) = place.value.content else {
            fail(place.line, "\(subject) is a text in quotes; expected \(expected), without quotes")
            return nil
        }
        let isDecimal = !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
        if isDecimal, text.utf8.count > 1, text.utf8.first == UInt8(ascii: "0") {
            fail(
                place.line,
                "\(subject) begins with 0, which some read as octal; expected \(expected), without zeros in front"
            )
            return nil
        }
        guard isDecimal, let number = Value(text), range.contains(number) else {
            fail(place.line, "\(subject) is not \(expected)")
            return nil
        }
        return number
    }

    /// `true` or `false` without quotes.
    mutating func flag(_ place: Place?) -> Bool? {
        guard let place, let text = text(place, "true or false") else { return nil }
        if case .text(_, isPlain: true) = place.value.content {
            if text == "true" { return true }
            if text == "false" { return false }
        }
        fail(place.line, "\(Self.subject(place)): \(quoted(text)) is not true or false")
        return nil
    }

    // MARK: Words of mistakes

    /// What a mistake is about: the last key of its path, with the elements of a list behind it.
    static func subject(_ place: Place) -> String {
        guard let index = place.path.steps.lastIndex(where: { if case .key = $0 { true } else { false } })
        else { return "the document" }
        return quoted(DocumentPath(Array(place.path.steps[index...])).description)
    }

    /// `a, b and c`.
    static func list(_ words: [String]) -> String {
        guard let last = words.last, words.count > 1 else { return words.joined() }
        return "\(words.dropLast().joined(separator: ", ")) and \(last)"
    }
}

// MARK: Addresses and names

extension DocumentReader {
    static let nameRule =
        "1 to \(TenantNameRule.maximumLength) lower-case letters, digits and hyphens (or a UUID in lower case)"

    mutating func placeName(_ place: Place?) -> PlaceName? {
        value(place, "a name: \(Self.nameRule)") { PlaceName($0) }
    }

    mutating func nodeName(_ place: Place?) -> NodeName? { value(place, "a name: \(Self.nameRule)") { NodeName($0) } }

    mutating func interfaceName(_ place: Place?) -> InterfaceName? {
        value(place, "a name of an interface: 1 to \(InterfaceName.maximumLength) bytes, no blank, slash or colon") {
            InterfaceName($0)
        }
    }

    mutating func publicKey(_ place: Place?) -> PublicKey? {
        value(place, "a WireGuard public key: the 44 characters that `wg pubkey` prints") { text in
            PublicKey(text: text).flatMap { $0.isUsable ? $0 : nil }
        }
    }

    mutating func ipv4(_ place: Place?) -> IPv4Address? {
        value(place, "an IPv4 address such as 198.51.100.10") { IPv4Address($0) }
    }

    mutating func ipv6(_ place: Place?) -> IPv6Address? {
        guard !hasThreeColons(place) else { return nil }
        return value(place, "an IPv6 address such as 2001:db8::10") { IPv6Address($0) }
    }

    /// An address as an interface has it.
    mutating func ipv4Interface(_ place: Place?) -> IPv4Prefix? {
        value(place, "an IPv4 address with its length, such as 198.51.100.10/24") {
            $0.contains("/") ? IPv4Prefix($0) : nil
        }
    }

    mutating func ipv6Interface(_ place: Place?) -> IPv6Prefix? {
        guard !hasThreeColons(place) else { return nil }
        return value(place, "an IPv6 address with its length, such as 2001:db8::10/64") {
            $0.contains("/") ? IPv6Prefix($0) : nil
        }
    }

    /// A network: nothing behind its bits.
    mutating func ipv4Network(_ place: Place?) -> IPv4Prefix? {
        guard let place, let prefix = ipv4Interface(place) else { return nil }
        guard prefix.isNetwork else {
            fail(
                place.line,
                "\(Self.subject(place)): \(prefix) has bits behind its length; the network is \(prefix.masked)"
            )
            return nil
        }
        return prefix
    }

    /// A network: nothing behind its bits.
    mutating func ipv6Network(_ place: Place?, isAddressEnough: Bool = false) -> IPv6Prefix? {
        guard let place, !hasThreeColons(place) else { return nil }
        let expected = "an IPv6 prefix with its length, such as 2001:db8:0:100::/64"
        let prefix = value(place, expected) { isAddressEnough || $0.contains("/") ? IPv6Prefix($0) : nil }
        guard let prefix else { return nil }
        guard prefix.isNetwork else {
            fail(
                place.line,
                "\(Self.subject(place)): \(prefix) has bits behind its length; the network is \(prefix.masked)"
            )
            return nil
        }
        return prefix
    }

    /// The design documents have such an address, and it is copied.
    private mutating func hasThreeColons(_ place: Place?) -> Bool {
        guard let place, case .text(let text, _) = place.value.content else { return false }
        guard let range = text.firstRange(of: ":::") else { return false }
        note(place)
        let mended = text.replacing(":::", with: "::", maxReplacements: 1)
        var reason = "\(Self.subject(place)): \(quoted(text)) has three colons"
        if IPv6Prefix(mended) != nil {
            reason += "; did you mean \(mended)"
            let head = text[..<range.lowerBound]
            let tail = text[range.upperBound...].prefix { $0 != "/" }
            // As in the documents, where it is the exit's address of that /64.
            if !head.isEmpty, !tail.isEmpty, !tail.contains(":"), IPv6Prefix("\(head):\(tail)::/64") != nil {
                reason += " (the exit's address of \(head):\(tail)::/64)"
            }
            reason += "?"
        } else {
            reason += "; `::` may stand once"
        }
        fail(place.line, reason)
        return true
    }

    /// An address of either family.
    mutating func address(_ place: Place?, _ family: AddressFamily) -> IPPrefix.Address? {
        switch family {
        case .ipv4: ipv4(place).map { .v4($0) }
        case .ipv6: ipv6(place).map { .v6($0) }
        }
    }
}
