/// The domains of a gateway, to be looked up by the bytes of a line without making a string of them.
public struct KnownDomains: Sendable {
    // A list and not a hash table: gateways have a handful of domains, and most differ in length or first bytes.
    private let entries: [(text: [UInt8], name: DomainName)]

    public init(_ names: some Sequence<DomainName>) {
        entries = names.map { (Array($0.text.utf8), $0) }
    }

    /// The domain whose name is exactly `text`.
    func domain(named text: Span<UInt8>) -> DomainName? {
        for (candidate, name) in entries where Self.isEqual(candidate.span, text) { return name }
        return nil
    }

    private static func isEqual(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        for index in 0..<left.count where left[index] != right[index] { return false }
        return true
    }
}
