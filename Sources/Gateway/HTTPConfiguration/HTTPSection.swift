internal import ConfigurationFiles
internal import KexConfiguration
public import KexProtocol
public import NetworkAddresses

/// The section `[HTTP]`: the HTTP front door.
public struct HTTPSection: Hashable, Sendable {
    /// Where `kex-http` listens when nobody hands it a listener.
    public var listen: [Endpoint] = [Self.defaultListen]
    /// The same for HTTPS; then both files must be there.
    public var tlsListen: [Endpoint] = []
    /// PEM files: the certificate with its chain, and its private key.
    public var certificate: String?
    public var privateKey: String?
    /// The domain of routers that name themselves and no domain; `nil` if there are none.
    public var nodeNameDomain: DomainName?
    /// What those routers post to.
    public var nodeNamePath = "/api/add_key"

    /// All addresses of both families, at the unprivileged port for HTTP.
    public static let defaultListen = Endpoint.v6(IPv6Address(high: 0, low: 0), port: defaultPort)
    public static let defaultPort: UInt16 = 8080
    public static let defaultTLSPort: UInt16 = 8443

    /// The defaults.
    public init() {}

    /// Ranges of what can be configured.
    public enum Limit {
        /// Longest path of a URL in bytes. A line of a file has no room for many more.
        public static let path = 128
    }

    /// Whether `text` is the path of a URL, without anything that would have to be escaped, and not one that is taken.
    private static func isNodeNamePath(_ text: String) -> Bool {
        let bytes = text.utf8
        return bytes.count <= Limit.path && text.hasPrefix("/") && text != "/"
            && !text.hasPrefix("/api/v1/wg/") && !text.hasPrefix("/api/v2/wg/")
            && bytes.allSatisfy { (0x21...0x7e).contains($0) && !"%?#\"<>\\^`{|}".utf8.contains($0) }
    }
}

extension HTTPSection {
    /// Reads the section.
    init(_ text: inout ConfigurationText) {
        self.init()
        var (plain, secure): ([Endpoint], [Endpoint]) = ([], [])
        var listenReader = ListenReader()
        var nodeNamePathLocation: ConfigurationLocation?
        for entry in text[.http]?.entries ?? [] {
            switch entry.key {
            case "Listen":
                if let endpoint = listenReader.read(entry, defaultPort: Self.defaultPort, &text.reader) {
                    plain.append(endpoint)
                }
            case "TLSListen":
                if let endpoint = listenReader.read(entry, defaultPort: Self.defaultTLSPort, &text.reader) {
                    secure.append(endpoint)
                }
            case "Certificate": certificate = text.reader.absolutePath(of: entry) ?? certificate
            case "PrivateKey": privateKey = text.reader.absolutePath(of: entry) ?? privateKey
            case "NodeNameDomain":
                nodeNameDomain =
                    text.reader.value(of: entry, expected: "the name of a domain") { DomainName($0) } ?? nodeNameDomain
            case "NodeNamePath":
                let expected =
                    "the path of a URL of at most \(Limit.path) bytes, such as /api/add_key, and none of those of other "
                    + "exchanges"
                nodeNamePathLocation = entry.location
                nodeNamePath =
                    text.reader.value(of: entry, expected: expected) { Self.isNodeNamePath($0) ? $0 : nil }
                    ?? nodeNamePath
            default: text.reader.failUnknownKey(entry, in: OtherSection.http.rawValue, known: OtherSection.http.keys)
            }
        }
        if !plain.isEmpty { listen = plain }
        tlsListen = secure
        if let location = nodeNamePathLocation, nodeNameDomain == nil {
            text.reader.fail(location, "NodeNamePath= needs NodeNameDomain=, the domain of those who post there")
        }
        if (certificate == nil) != (privateKey == nil) {
            text.failAsWhole("[HTTP] has one of Certificate and PrivateKey, and needs both or none")
        } else if !tlsListen.isEmpty, certificate == nil {
            text.failAsWhole("[HTTP] has TLSListen, which needs Certificate and PrivateKey")
        }
        if let name = nodeNameDomain, text.isFaultless, !text.names(name) {
            text.failAsWhole("NodeNameDomain of [HTTP] is \(name), and there is no [Domain \(name)]")
        }
    }

    /// The section as it would be read to the same.
    var lines: [String] {
        var lines = listen.map { "Listen=\($0)" } + tlsListen.map { "TLSListen=\($0)" }
        if let certificate { lines.append("Certificate=\(certificate)") }
        if let privateKey { lines.append("PrivateKey=\(privateKey)") }
        if let nodeNameDomain { lines += ["NodeNameDomain=\(nodeNameDomain)", "NodeNamePath=\(nodeNamePath)"] }
        return lines
    }
}
