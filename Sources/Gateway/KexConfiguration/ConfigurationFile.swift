public import ConfigurationFiles
internal import EUI64
internal import Glibc
internal import KexProtocol
internal import NetworkAddresses
internal import SystemCalls
internal import SystemPackage
internal import TLSFiles

extension Configuration {
    /// Where the configuration is when nobody says otherwise.
    public static let defaultPath = "/etc/kex/kex.conf"

    /// Reads `path`, then every `*.conf` of the folder `path` + `.d` in the order of their names. A key given again
    /// replaces what came before, a section given again goes on; so a file of the folder can change a single line.
    ///
    /// - Throws: all mistakes at once. Unknown sections and keys are mistakes.
    public init(path: String) throws(ConfigurationError) {
        let (sections, mistakes) = INIFile.sectionsWithDropIns(path: path)
        var reader = ConfigurationReader(mistakes: mistakes)
        reader.read(sections)
        self = try reader.finish(path: path)
    }
}

extension Configuration {
    /// Reads `bytes` as the content of `path`, without a folder beside it.
    package init(bytes: [UInt8], path: String) throws(ConfigurationError) {
        var reader = ConfigurationReader(mistakes: [])
        reader.read(try INIFile(bytes: bytes, path: path).sections)
        self = try reader.finish(path: path)
    }
}

/// The addresses at which one program listens, by their ports.
private struct UsedPorts {
    private var addresses: [UInt16: Set<IPv6Address>] = [:]
    private static let all = IPv6Address(high: 0, low: 0)
    private static let allOfIPv4 = IPv6Address(mapping: IPv4Address(value: 0))

    /// - Returns: `false` if the kernel would refuse it beside those before: a wildcard of IPv6 takes IPv4 too.
    mutating func take(_ endpoint: Endpoint) -> Bool {
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

extension IPPrefix {
    /// The same as a prefix of addresses from which somebody can come, IPv4 as IPv4; `nil` if nobody can.
    fileprivate var ofSources: IPPrefix? {
        let (same, isWhole): (IPv6Address, Bool)
        switch address {
        case .v4(let address): (same, isWhole) = (IPv6Address(mapping: address), length == 32)
        case .v6(let address):
            if let mapped = address.mappedIPv4 {
                // A shorter one holds all of IPv4, and more that nobody has.
                return length < 96 ? nil : IPPrefix(.v4(mapped), length: length - 96)?.ofSources
            }
            (same, isWhole) = (address, length == 128)
        }
        return same.isMulticast || same.isUnspecified && isWhole ? nil : self
    }
}

/// Turns sections into a configuration, and collects what is wrong on the way.
private struct ConfigurationReader {
    private var reader: EntryReader
    private var configuration = Configuration()
    /// The path that was given; `nil` if none was.
    private var fleetSocket: String?
    /// Lists that no longer have their default.
    private var givenLists: Set<WritableKeyPath<Configuration, [Endpoint]>> = []
    /// Where `NodeNamePath=` is given.
    private var nodeNamePath: ConfigurationLocation?
    /// Who listens where, `kexd` first.
    private var ports = [UsedPorts(), UsedPorts()]
    /// Who has an interface already.
    private var owners: [InterfaceName: DomainName] = [:]
    /// Sections of one domain taken together, in the order of their first lines.
    private var domains: [(name: DomainName, location: ConfigurationLocation, entries: [INIFile.Entry])] = []
    /// The sections of the bus taken together, the same.
    private var bus: (location: ConfigurationLocation, entries: [INIFile.Entry])?

    init(mistakes: [ConfigurationMistake]) { reader = EntryReader(mistakes: mistakes) }

    mutating func read(_ sections: [INIFile.Section]) {
        for section in sections {
            let words = section.name.split(separator: " ", omittingEmptySubsequences: true)
            if words == ["Gateway"] {
                for entry in section.entries { readGateway(entry) }
            } else if words == ["HTTP"] {
                for entry in section.entries { readHTTP(entry) }
            } else if words == ["Bus"] {
                bus = (bus?.location ?? section.location, (bus?.entries ?? []) + section.entries)
            } else if words.count == 2, words[0] == "Domain" {
                guard let name = DomainName(words[1]) else {
                    let rule = "1 to \(DomainName.maximumLength) letters, digits, dots, hyphens and underscores"
                    fail(section.location, "a domain name has \(rule)")
                    continue
                }
                if let index = domains.firstIndex(where: { $0.name == name }) {
                    domains[index].entries += section.entries
                } else {
                    domains.append((name, section.location, section.entries))
                }
            } else {
                fail(
                    section.location,
                    "unknown section [\(section.name)]; known are [Gateway], [HTTP], [Bus] and [Domain NAME]"
                )
            }
        }
    }

    private mutating func fail(_ location: ConfigurationLocation, _ reason: String) { reader.fail(location, reason) }

    /// One more endpoint of a list; the first one replaces the default.
    private mutating func listen(
        _ entry: INIFile.Entry,
        defaultPort: UInt16,
        _ list: WritableKeyPath<Configuration, [Endpoint]>
    ) {
        let expected = "ADDRESS:PORT, IPv6 in brackets"
        guard let endpoint = reader.value(of: entry, expected: expected, { Endpoint($0, defaultPort: defaultPort) })
        else { return }
        if !ports[list == \.listen ? 0 : 1].take(endpoint) {
            fail(entry.location, "\(entry.key)=\(entry.value): another line has that port of that address already")
        }
        if givenLists.insert(list).inserted { configuration[keyPath: list] = [] }
        configuration[keyPath: list].append(endpoint)
    }

    private mutating func readGateway(_ entry: INIFile.Entry) {
        switch entry.key {
        case "Listen": listen(entry, defaultPort: ProtocolLimit.port, \.listen)
        case "HandlerSocket":
            if let path = reader.socketPath(of: entry) { configuration.handlerSocket = path }
        case "FleetSocket": fleetSocket = reader.socketPath(of: entry) ?? fleetSocket
        case "ControlSocket":
            if let path = reader.socketPath(of: entry) { configuration.controlSocket = path }
        case "StateDirectory":
            if let path = reader.absolutePath(of: entry) {
                configuration.stateDirectory = path
            }
        case "ProhibitedKeys":
            if let path = reader.absolutePath(of: entry) {
                configuration.prohibitedKeys = path
            }
        case "UnlimitedSources":
            let most = Configuration.Limit.unlimitedSources
            let expected = "at most \(most) addresses or prefixes of hosts, such as 192.0.2.1 or 2001:db8::/48"
            let sources = reader.value(of: entry, expected: expected) { text in
                let words = text.split(separator: " ")
                let prefixes = words.compactMap { IPPrefix($0)?.ofSources }
                return prefixes.count == words.count && words.count <= most ? prefixes : nil
            }
            if let sources { configuration.unlimitedSources = sources }
        case "ExternalName":
            let expected =
                "a host name that routers can look up, with a dot in it, of at most "
                + "\(Configuration.Limit.externalName) letters, digits, dots and hyphens, or an address that they can reach"
            if let name = reader.value(of: entry, expected: expected, { Configuration.isExternalName($0) ? $0 : nil }) {
                configuration.externalName = name
            }
        default:
            let known =
                "Listen, HandlerSocket, FleetSocket, ControlSocket, StateDirectory, ProhibitedKeys, UnlimitedSources and "
                + "ExternalName"
            fail(entry.location, "unknown key \(entry.key); [Gateway] has \(known)")
        }
    }

    private mutating func readHTTP(_ entry: INIFile.Entry) {
        switch entry.key {
        case "Listen": listen(entry, defaultPort: Configuration.HTTP.defaultPort, \.http.listen)
        case "TLSListen": listen(entry, defaultPort: Configuration.HTTP.defaultTLSPort, \.http.tlsListen)
        case "Certificate":
            if let path = reader.absolutePath(of: entry) { configuration.http.certificate = path }
        case "PrivateKey":
            if let path = reader.absolutePath(of: entry) { configuration.http.privateKey = path }
        case "NodeNameDomain":
            if let name = reader.value(of: entry, expected: "the name of a domain", { DomainName($0) }) {
                configuration.http.nodeNameDomain = name
            }
        case "NodeNamePath":
            let expected =
                "the path of a URL of at most \(Configuration.Limit.path) bytes, such as /api/add_key, and none of those "
                + "of other exchanges"
            nodeNamePath = entry.location
            if let path = reader.value(of: entry, expected: expected, { Configuration.isNodeNamePath($0) ? $0 : nil }) {
                configuration.http.nodeNamePath = path
            }
        default:
            let known = "Listen, TLSListen, Certificate, PrivateKey, NodeNameDomain and NodeNamePath"
            fail(entry.location, "unknown key \(entry.key); [HTTP] has \(known)")
        }
    }

    /// The bus of these entries, or `nil` if they name no broker.
    private mutating func bus(at location: ConfigurationLocation, _ entries: [INIFile.Entry]) -> Configuration.Bus? {
        // Whether there is TLS decides on the port, and what belongs together may come in any order.
        var paths: [String: (path: String, location: ConfigurationLocation)] = [:]
        for entry in entries where ["PasswordFile", "CAFile", "Certificate", "PrivateKey"].contains(entry.key) {
            if let path = reader.absolutePath(of: entry) { paths[entry.key] = (path, entry.location) }
        }
        let needs = [("PasswordFile", "User"), ("Certificate", "PrivateKey"), ("PrivateKey", "Certificate")]
        for (key, other) in needs + [("Certificate", "CAFile")] where !entries.contains(where: { $0.key == other }) {
            if let (_, location) = paths[key] { fail(location, "\(key)= needs \(other)=") }
        }
        let port = paths["CAFile"] == nil ? Configuration.Bus.clearPort : Configuration.Bus.securePort
        var broker: HostPort?
        for entry in entries where entry.key == "Broker" {
            let expected = "HOST:PORT, IPv6 in brackets"
            broker = reader.value(of: entry, expected: expected) { Self.broker($0, defaultPort: port) } ?? broker
        }
        if !entries.contains(where: { $0.key == "Broker" }) { fail(location, "[Bus] needs Broker=") }
        // The other mistakes of the section are told all the same.
        guard var bus = (broker ?? HostPort("none", defaultPort: port)).map(Configuration.Bus.init) else { return nil }
        bus.passwordFile = paths["PasswordFile"]?.path
        if let authorities = paths["CAFile"]?.path {
            bus.tls = TLSClientFiles(authorities: authorities)
            if let certificate = paths["Certificate"]?.path, let key = paths["PrivateKey"]?.path {
                bus.tls?.identity = TLSIdentityFiles(certificate: certificate, privateKey: key)
            }
        }
        for entry in entries { read(entry, into: &bus) }
        return broker == nil ? nil : bus
    }

    private static func broker(_ text: String, defaultPort: UInt16) -> HostPort? {
        guard let broker = HostPort(text, defaultPort: defaultPort),
            broker.host.utf8.count <= Configuration.Bus.Limit.brokerHost
        else { return nil }
        // Without brackets `::1:1883` reads as an address alone, and hardly anybody means that.
        return text.first == "[" || !broker.host.contains(":") ? broker : nil
    }

    private mutating func read(_ entry: INIFile.Entry, into bus: inout Configuration.Bus) {
        switch entry.key {
        case "Broker", "PasswordFile", "CAFile", "Certificate", "PrivateKey":
            break  // read before
        case "User":
            if let user = reader.value(of: entry, expected: "a name", { $0.isEmpty ? nil : $0 }) { bus.user = user }
        case "Name":
            let expected = "1 to \(GatewayName.maximumLength) letters, digits, dots, hyphens and underscores"
            if let name = reader.value(of: entry, expected: expected, { GatewayName($0) }) { bus.name = name }
        case "Socket":
            if let path = reader.socketPath(of: entry) { bus.socket = path }
        case "SigningKey":
            if let path = reader.absolutePath(of: entry) { bus.signingKey = path }
        case "TrustedKeys":
            if let path = reader.absolutePath(of: entry) { bus.trustedKeys = path }
        case "Weight":
            let range = Configuration.Bus.Limit.weight
            let expected = "the name of a gateway and a number from \(range.lowerBound) to \(range.upperBound)"
            let weight = reader.value(of: entry, expected: expected) { text -> (GatewayName, Int)? in
                let words = text.split(separator: " ")
                guard words.count == 2, let name = GatewayName(words[0]), let weight = Int(words[1]),
                    range.contains(weight)
                else { return nil }
                return (name, weight)
            }
            guard let (name, number) = weight else { return }
            bus.weights[name] = number
            let most = Configuration.Bus.Limit.weights
            if bus.weights.count > most { fail(entry.location, "weights of more than \(most) gateways") }
        default:
            let known =
                "Broker, User, PasswordFile, CAFile, Certificate, PrivateKey, Name, Socket, SigningKey, TrustedKeys "
                + "and Weight"
            fail(entry.location, "unknown key \(entry.key); [Bus] has \(known)")
        }
    }

    /// The domain of these entries, or `nil` if they do not name both interfaces.
    private mutating func domain(
        _ name: DomainName,
        at location: ConfigurationLocation,
        _ entries: [INIFile.Entry]
    ) -> Configuration.Domain? {
        var interfaces: [String: (name: InterfaceName, location: ConfigurationLocation)] = [:]
        for entry in entries where ["WireGuard", "VXLAN"].contains(entry.key) {
            let expected = "an interface name of 1 to \(InterfaceName.maximumLength) bytes"
            if let name = reader.value(of: entry, expected: expected, { InterfaceName($0) }) {
                interfaces[entry.key] = (name, entry.location)
            }
        }
        guard let wireGuard = interfaces["WireGuard"], let vxlan = interfaces["VXLAN"] else {
            let missing = ["WireGuard", "VXLAN"].filter { key in !entries.contains { $0.key == key } }
            if !missing.isEmpty { fail(location, "[Domain \(name)] needs \(missing.joined(separator: "= and "))=") }
            // The other mistakes of the section are told all the same.
            if let stranger = InterfaceName("-") {
                var scratch = Configuration.Domain(name: name, wireGuard: stranger, vxlan: stranger)
                for entry in entries { read(entry, into: &scratch) }
            }
            return nil
        }
        for (interface, location) in [wireGuard, vxlan] {
            if let owner = owners.updateValue(name, forKey: interface) {
                fail(location, "interface \(interface) is in use already, by domain \(owner)")
            }
        }
        var domain = Configuration.Domain(name: name, wireGuard: wireGuard.name, vxlan: vxlan.name)
        for entry in entries { read(entry, into: &domain) }
        checkEntries(of: domain, entries.last { ["Fdb", "FloodAfter"].contains($0.key) }?.location ?? location)
        return domain
    }

    /// A domain in which this machine has no gateway.
    private mutating func remoteDomain(_ name: DomainName, _ entries: [INIFile.Entry]) -> Configuration.RemoteDomain {
        var domain = Configuration.RemoteDomain(name: name, staleAfter: Configuration.defaultStaleAfter)
        for entry in entries {
            if let duration = reader.duration(of: entry, in: Configuration.Limit.staleAfter) {
                domain.staleAfter = duration
            }
        }
        return domain
    }

    /// Whether what the domain says of fdb entries makes any.
    private mutating func checkEntries(of domain: Configuration.Domain, _ location: ConfigurationLocation) {
        guard domain.fdb == .mac else { return }
        if domain.floodAfter == .registration {
            fail(location, "Fdb=mac gives no place in the flood list, so FloodAfter=registration means nothing")
        }
        if domain.addressProfiles.count > 1 {
            fail(location, "Fdb=mac gives nothing with several profiles; while routers migrate it must be flood")
        }
    }

    private mutating func read(_ entry: INIFile.Entry, into domain: inout Configuration.Domain) {
        switch entry.key {
        case "WireGuard", "VXLAN":
            break  // read before, since a domain cannot be without them
        case "AddressProfile":
            let known = AddressProfile.allCases.map(\.rawValue).joined(separator: ", ")
            let expected = "one of \(known), or several of them during a migration, each once"
            let profiles = reader.value(of: entry, expected: expected) { text -> [AddressProfile]? in
                let words = text.split(separator: " ")
                let profiles = words.compactMap { AddressProfile(rawValue: String($0)) }
                guard !words.isEmpty, profiles.count == words.count, Set(profiles).count == words.count else {
                    return nil
                }
                return profiles
            }
            if let profiles { domain.addressProfiles = profiles }
        case "Fdb":
            let mode = reader.value(of: entry, expected: "mac flood, flood, or mac") { text in
                let words = Set(text.split(separator: " "))
                return Configuration.FdbMode.allCases.first { Set($0.rawValue.split(separator: " ")) == words }
            }
            if let mode { domain.fdb = mode }
        case "FloodAfter":
            let known = Configuration.FloodMoment.allCases.map(\.rawValue).joined(separator: " or ")
            if let moment = reader.value(of: entry, expected: known, Configuration.FloodMoment.init(rawValue:)) {
                domain.floodAfter = moment
            }
        case "LinkAddress":
            let address = reader.value(of: entry, expected: "an address in fe80::/64") { text in
                IPv6Address(text).flatMap { $0.high == 0xfe80 << 48 && $0.low != 0 ? $0 : nil }
            }
            if let address { domain.linkAddress = address }
        case "AllowedKeys":
            if let path = reader.absolutePath(of: entry) { domain.allowedKeys = path }
        case "MaximumPeers":
            let range = Configuration.Limit.maximumPeers
            let count = reader.value(of: entry, expected: "a number from \(range.lowerBound) to \(range.upperBound)") {
                text in
                Int(text).flatMap { range.contains($0) ? $0 : nil }
            }
            if let count { domain.maximumPeers = count }
        case "StaleAfter":
            if let duration = reader.duration(of: entry, in: Configuration.Limit.staleAfter) {
                domain.staleAfter = duration
            }
        case "SweepInterval":
            if let duration = reader.duration(of: entry, in: Configuration.Limit.sweepInterval) {
                domain.sweepInterval = duration
            }
        default:
            let known =
                "WireGuard, VXLAN, AddressProfile, LinkAddress, Fdb, FloodAfter, AllowedKeys, MaximumPeers, StaleAfter "
                + "and SweepInterval"
            fail(entry.location, "unknown key \(entry.key); [Domain NAME] has \(known)")
        }
    }

    private mutating func checkSockets(_ location: ConfigurationLocation) {
        let folder = configuration.handlerSocket.lastIndex(of: "/").map { configuration.handlerSocket[...$0] } ?? "/"
        configuration.fleetSocket = fleetSocket ?? folder + Configuration.fleetSocketName
        var sockets = [
            ("HandlerSocket", configuration.handlerSocket), ("FleetSocket", configuration.fleetSocket),
            ("ControlSocket", configuration.controlSocket),
        ]
        if let bus = configuration.bus { sockets.append(("Socket of [Bus]", bus.socket)) }
        for (index, (name, path)) in sockets.enumerated() {
            guard let (other, _) = sockets[..<index].first(where: { $0.1 == path }) else { continue }
            fail(location, "\(other) and \(name) are the same path, \(path)")
        }
        if SocketAddress(path: configuration.fleetSocket) == nil {
            fail(location, "\(configuration.fleetSocket) is too long for a socket: set FleetSocket=")
        }
    }

    /// Makes the domains, and checks what only the whole can show.
    mutating func finish(path: String) throws(ConfigurationError) -> Configuration {
        for (name, location, entries) in domains {
            // Without a single word on a gateway there is none here. One word, and the interfaces were forgotten.
            if bus != nil, entries.allSatisfy({ $0.key == "StaleAfter" }) {
                configuration.remoteDomains.append(remoteDomain(name, entries))
            } else if let domain = domain(name, at: location, entries) {
                configuration.domains.append(domain)
            }
        }
        if let (location, entries) = bus { configuration.bus = bus(at: location, entries) }
        let whole = ConfigurationLocation(file: path, line: nil)
        if domains.isEmpty && reader.mistakes.isEmpty { fail(whole, "no [Domain NAME] section: nothing to do") }
        checkSockets(whole)
        let http = configuration.http
        if let location = nodeNamePath, http.nodeNameDomain == nil {
            fail(location, "NodeNamePath= needs NodeNameDomain=, the domain of those who post there")
        }
        if (http.certificate == nil) != (http.privateKey == nil) {
            fail(whole, "[HTTP] has one of Certificate and PrivateKey, and needs both or none")
        } else if !http.tlsListen.isEmpty, http.certificate == nil {
            fail(whole, "[HTTP] has TLSListen, which needs Certificate and PrivateKey")
        }
        if let name = http.nodeNameDomain, reader.mistakes.isEmpty, !domains.contains(where: { $0.name == name }) {
            fail(whole, "NodeNameDomain of [HTTP] is \(name), and there is no [Domain \(name)]")
        }
        guard reader.mistakes.isEmpty else { throw ConfigurationError(reader.mistakes) }
        return configuration
    }
}
