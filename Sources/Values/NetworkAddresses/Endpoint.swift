/// An address of either family with a port, as a transport protocol needs it.
public enum Endpoint: Hashable, Sendable {
    case v4(IPv4Address, port: UInt16)
    /// `scope` is the interface index of a link-local address, and 0 for every other.
    case v6(IPv6Address, port: UInt16, scope: UInt32 = 0)

    /// 0 to 65535; 0 stands for one that the kernel chooses.
    public var port: UInt16 {
        switch self {
        case .v4(_, let port), .v6(_, let port, _): port
        }
    }

    /// The address alone as a source of connections: IPv4 as a mapped one, a link-local one scoped to its link.
    public var source: IPv6Address {
        switch self {
        case .v4(let address, _): IPv6Address(mapping: address)
        case .v6(let address, _, let scope): address.scoped(to: scope)
        }
    }

    /// Reads an endpoint, or an address alone (IPv6 in brackets), which gets `defaultPort`.
    public init?(_ text: String, defaultPort: UInt16) {
        guard let endpoint = Endpoint(text) ?? Endpoint("\(text):\(defaultPort)") else { return nil }
        self = endpoint
    }

    /// Reads `192.0.2.1:10012` or `[2001:db8::1]:10012`. Host names are not looked up; the port is 0 to 65535.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits)
        else { return nil }
        let host = text[..<colon]
        if host.first == "[", host.last == "]" {
            guard let address = IPv6Address(String(host.dropFirst().dropLast())) else { return nil }
            self = .v6(address, port: port)
        } else {
            guard let address = IPv4Address(String(host)) else { return nil }
            self = .v4(address, port: port)
        }
    }
}

extension Endpoint: CustomStringConvertible {
    /// The form that ``init(_:)`` reads, with `%` and the interface index behind a scoped address.
    public var description: String {
        switch self {
        case .v4(let address, let port): "\(address):\(port)"
        case .v6(let address, let port, 0): "[\(address)]:\(port)"
        case .v6(let address, let port, let scope): "[\(address)%\(scope)]:\(port)"
        }
    }
}
