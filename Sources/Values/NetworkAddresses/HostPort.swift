/// A host and a port as people write them. Nothing is looked up.
public struct HostPort: Hashable, Sendable {
    /// A name, or an address without brackets; a link-local one with `%` and its interface.
    public let host: String
    /// 1 to 65535.
    public let port: UInt16

    /// Longest host in bytes. Source: RFC 1035, section 2.3.4, less the length byte and the root.
    public static let maximumHost = 253

    /// Reads `HOST`, `HOST:PORT`, `192.0.2.1:10012`, `2001:db8::1`, `[2001:db8::1]:10012`, `fe80::1%eth0`. An IPv6
    /// address with a port needs its brackets.
    ///
    /// - Parameter defaultPort: the port if the text has none; `nil` where a port must be given.
    public init?(_ text: String, defaultPort: UInt16?) {
        let host: Substring
        let rest: Substring
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            rest = text[text.index(after: end)...]
            guard Self.isIPv6(host) else { return nil }
        } else if Self.isIPv6(text[...]) {
            (host, rest) = (text[...], "")
        } else {
            host = text.prefix { $0 != ":" }
            rest = text[host.endIndex...]
            guard (1...Self.maximumHost).contains(host.utf8.count), host.utf8.allSatisfy(Self.isHostByte),
                host.first != "-"
            else { return nil }
        }
        if rest.isEmpty {
            guard let defaultPort else { return nil }
            port = defaultPort
        } else {
            let digits = rest.dropFirst()
            guard rest.first == ":", digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = UInt16(digits), number > 0
            else { return nil }
            port = number
        }
        self.host = String(host)
    }

    private static func isIPv6(_ text: Substring) -> Bool {
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        return IPv6Address(String(parts[0])) != nil && (parts.count == 1 || InterfaceName(String(parts[1])) != nil)
    }

    /// The underscore is in no host name, and in names that resolvers look up all the same.
    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

extension HostPort: CustomStringConvertible {
    /// The form with a port, that the initializer reads.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
