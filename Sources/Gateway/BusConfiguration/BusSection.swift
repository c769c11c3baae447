internal import ConfigurationFiles
public import KexConfiguration
public import KexProtocol
public import NetworkAddresses
public import TLSFiles

/// The section `[Bus]`: a broker, and what this gateway is to the others there.
public struct BusSection: Hashable, Sendable {
    public let broker: HostPort
    /// Whom the broker is told that this is; `nil` for nobody.
    public var user: String?
    /// File of the user's password.
    public var passwordFile: String?
    /// `nil` for a connection in clear.
    public var tls: TLSClientFiles?
    /// `nil` for the gateway's external name.
    public var name: GatewayName?
    /// Unix socket of `kex-mqtt` for front doors.
    public var socket = "/run/kex/bus.sock"
    /// File of the key that signs what this gateway says; `nil` if nothing is signed.
    public var signingKey: String?
    /// File of the keys of the only gateways that are believed; `nil` if everybody on the broker is.
    public var trustedKeys: String?
    /// Shares of routers that gateways get. Whoever is not named has ``Limit/defaultWeight``.
    public var weights: [GatewayName: Int] = [:]

    public init(broker: HostPort) { self.broker = broker }

    /// The port of a broker if none is given, in clear and with TLS. Source: IANA, `mqtt` and `secure-mqtt`.
    static let (clearPort, securePort): (UInt16, UInt16) = (1883, 8883)

    /// Ranges of what can be configured.
    public enum Limit {
        /// Longest host of a broker in bytes: what fits into a line with its key and a port.
        public static let brokerHost = 180
        /// 0 empties a gateway without cutting anybody off.
        public static let weight = 0...10_000
        /// What the field gives to a worker that its configuration does not name.
        public static let defaultWeight = 1
        public static let weights = 1024
    }

    /// The section as it would be read to the same.
    public var lines: [String] {
        let single: [(String, String?)] = [
            ("Broker", "\(broker)"), ("User", user), ("PasswordFile", passwordFile), ("CAFile", tls?.authorities),
            ("Certificate", tls?.identity?.certificate), ("PrivateKey", tls?.identity?.privateKey),
            ("Name", name?.text), ("Socket", socket), ("SigningKey", signingKey), ("TrustedKeys", trustedKeys),
        ]
        let weights = weights.sorted { $0.key.text < $1.key.text }.map { "Weight=\($0.key) \($0.value)" }
        return single.compactMap { key, value in value.map { "\(key)=\($0)" } } + weights
    }
}

extension BusSection {
    /// Reads the section.
    ///
    /// - Returns: `nil` if there is none, or if it names no broker, which is a mistake.
    public init?(_ text: inout ConfigurationText, _ gateway: Configuration) {
        guard let part = text[.bus] else { return nil }
        self.init(part, &text.reader)
        for (key, path) in gateway.sockets where path == socket {
            text.failAsWhole("\(key) and Socket of [Bus] are the same path, \(path)")
        }
    }

    private init?(_ part: ConfigurationText.Part, _ reader: inout EntryReader) {
        let (location, entries) = (part.location, part.entries)
        // Whether there is TLS decides on the port, and what belongs together may come in any order.
        var paths: [String: (path: String, location: ConfigurationLocation)] = [:]
        for entry in entries where ["PasswordFile", "CAFile", "Certificate", "PrivateKey"].contains(entry.key) {
            if let path = reader.absolutePath(of: entry) { paths[entry.key] = (path, entry.location) }
        }
        let needs = [("PasswordFile", "User"), ("Certificate", "PrivateKey"), ("PrivateKey", "Certificate")]
        for (key, other) in needs + [("Certificate", "CAFile")] where !entries.contains(where: { $0.key == other }) {
            if let (_, location) = paths[key] { reader.fail(location, "\(key)= needs \(other)=") }
        }
        let port = paths["CAFile"] == nil ? Self.clearPort : Self.securePort
        var broker: HostPort?
        for entry in entries where entry.key == "Broker" {
            let expected = "HOST:PORT, IPv6 in brackets"
            broker = reader.value(of: entry, expected: expected) { Self.broker($0, defaultPort: port) } ?? broker
        }
        if !entries.contains(where: { $0.key == "Broker" }) { reader.fail(location, "[Bus] needs Broker=") }
        // The other mistakes of the section are told all the same.
        guard let stranger = broker ?? HostPort("none", defaultPort: port) else { return nil }
        self.init(broker: stranger)
        passwordFile = paths["PasswordFile"]?.path
        if let authorities = paths["CAFile"]?.path {
            tls = TLSClientFiles(authorities: authorities)
            if let certificate = paths["Certificate"]?.path, let key = paths["PrivateKey"]?.path {
                tls?.identity = TLSIdentityFiles(certificate: certificate, privateKey: key)
            }
        }
        for entry in entries { read(entry, &reader) }
        if broker == nil { return nil }
    }

    private static func broker(_ text: String, defaultPort: UInt16) -> HostPort? {
        guard let broker = HostPort(text, defaultPort: defaultPort),
            broker.host.utf8.count <= Limit.brokerHost
        else { return nil }
        // Without brackets `::1:1883` reads as an address alone, and hardly anybody means that.
        return text.first == "[" || !broker.host.contains(":") ? broker : nil
    }

    private mutating func read(_ entry: INIFile.Entry, _ reader: inout EntryReader) {
        switch entry.key {
        case "Broker", "PasswordFile", "CAFile", "Certificate", "PrivateKey":
            break  // read before
        case "User":
            if let user = reader.value(of: entry, expected: "a name", { $0.isEmpty ? nil : $0 }) { self.user = user }
        case "Name":
            let expected = "1 to \(GatewayName.maximumLength) letters, digits, dots, hyphens and underscores"
            if let name = reader.value(of: entry, expected: expected, { GatewayName($0) }) { self.name = name }
        case "Socket":
            if let path = reader.socketPath(of: entry) { self.socket = path }
        case "SigningKey":
            if let path = reader.absolutePath(of: entry) { self.signingKey = path }
        case "TrustedKeys":
            if let path = reader.absolutePath(of: entry) { self.trustedKeys = path }
        case "Weight":
            let range = Limit.weight
            let expected = "the name of a gateway and a number from \(range.lowerBound) to \(range.upperBound)"
            let weight = reader.value(of: entry, expected: expected) { text -> (GatewayName, Int)? in
                let words = text.split(separator: " ")
                guard words.count == 2, let name = GatewayName(words[0]), let weight = Int(words[1]),
                    range.contains(weight)
                else { return nil }
                return (name, weight)
            }
            guard let (name, number) = weight else { return }
            self.weights[name] = number
            let most = Limit.weights
            if self.weights.count > most { reader.fail(entry.location, "weights of more than \(most) gateways") }
        default:
            reader.failUnknownKey(entry, in: OtherSection.bus.rawValue, known: OtherSection.bus.keys)
        }
    }
}
