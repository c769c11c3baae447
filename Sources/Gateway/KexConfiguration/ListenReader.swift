public import ConfigurationFiles
public import NetworkAddresses

/// Reads where one program listens.
public struct ListenReader {
    /// The addresses so far, by their ports.
    private var addresses: [UInt16: Set<IPv6Address>] = [:]
    private static let all = IPv6Address(high: 0, low: 0)
    private static let allOfIPv4 = IPv6Address(mapping: IPv4Address(value: 0))

    public init() {}

    /// Reads one entry.
    ///
    /// - Returns: `nil` and a mistake if it means nothing.
    public mutating func read(_ entry: INIFile.Entry, defaultPort: UInt16, _ reader: inout EntryReader) -> Endpoint? {
        let expected = "ADDRESS:PORT, IPv6 in brackets"
        guard let endpoint = reader.value(of: entry, expected: expected, { Endpoint($0, defaultPort: defaultPort) })
        else { return nil }
        if !take(endpoint) {
            let reason = "another line has that port of that address already"
            reader.fail(entry.location, "\(entry.key)=\(entry.value): \(reason)")
        }
        return endpoint
    }

    /// - Returns: `false` if the kernel would refuse it beside those before: a wildcard of IPv6 takes IPv4 too.
    private mutating func take(_ endpoint: Endpoint) -> Bool {
        // The system chooses one.
        guard endpoint.port != 0 else { return true }
        let address =
            switch endpoint {
            case .v4(let address, _): IPv6Address(mapping: address)
            case .v6(let address, _, _): address
            }
        let others = addresses[endpoint.port, default: []]
        addresses[endpoint.port, default: []].insert(address)
        if address == Self.all { return others.isEmpty }
        if others.contains(Self.all) || others.contains(address) { return false }
        guard address.mappedIPv4 != nil else { return true }
        return address == Self.allOfIPv4
            ? !others.contains { $0.mappedIPv4 != nil } : !others.contains(Self.allOfIPv4)
    }
}
