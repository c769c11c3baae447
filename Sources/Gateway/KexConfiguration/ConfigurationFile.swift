public import ConfigurationFiles
internal import EUI64
internal import KexProtocol
internal import NetworkAddresses
internal import SystemCalls

extension Configuration {
    /// Where the configuration is when nobody says otherwise.
    public static let defaultPath = "/etc/kex/kex.conf"

    /// Reads what a program needs that reads no other sections, as ``ConfigurationText`` does.
    ///
    /// - Throws: all mistakes at once. Unknown sections and keys are mistakes, in the other sections as well.
    public init(path: String) throws(ConfigurationError) {
        var text = ConfigurationText(path: path)
        self.init(&text)
        try text.finish()
    }

    /// Reads `bytes` as the content of `path`, without a folder beside it.
    package init(bytes: [UInt8], path: String) throws(ConfigurationError) {
        var text = try ConfigurationText(bytes: bytes, path: path)
        self.init(&text)
        try text.finish()
    }

    /// Reads `[Gateway]` and the domains.
    ///
    /// - Parameter understood: other sections that the program reads as well. Of the rest only the names of the keys
    ///   are looked at.
    public init(_ text: inout ConfigurationText, understood: Set<OtherSection> = []) {
        var reader = ConfigurationReader(text.reader)
        for entry in text.gateway { reader.readGateway(entry) }
        for section in OtherSection.allCases where !understood.contains(section) {
            if let part = text[section] { reader.take(section, part.entries) }
        }
        let isOnBus = text[.bus] != nil
        for (name, part) in text.domains { reader.readDomain(name, part, isOnBus: isOnBus) }
        (self, text.reader) = reader.finish(path: text.path, hasDomains: !text.domains.isEmpty)
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

/// Turns entries into a configuration, and collects what is wrong on the way.
private struct ConfigurationReader {
    private var reader: EntryReader
    private var configuration = Configuration()
    /// The path that was given; `nil` if none was.
    private var fleetSocket: String?
    private var listen: [Endpoint] = []
    private var listenReader = ListenReader()
    /// Who has an interface already.
    private var owners: [InterfaceName: DomainName] = [:]

    init(_ reader: EntryReader) { self.reader = reader }

    private mutating func fail(_ location: ConfigurationLocation, _ reason: String) { reader.fail(location, reason) }

    /// Takes in another section as it is written.
    mutating func take(_ section: OtherSection, _ entries: [INIFile.Entry]) {
        configuration.others[section] = entries.map { "\($0.key)=\($0.value)" }
        for entry in entries where !section.keys.contains(entry.key) {
            reader.failUnknownKey(entry, in: section.rawValue, known: section.keys)
        }
    }

    mutating func readGateway(_ entry: INIFile.Entry) {
        switch entry.key {
        case "Listen":
            if let endpoint = listenReader.read(entry, defaultPort: ProtocolLimit.port, &reader) {
                listen.append(endpoint)
            }
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
            let known = [
                "Listen", "HandlerSocket", "FleetSocket", "ControlSocket", "StateDirectory", "ProhibitedKeys",
                "UnlimitedSources", "ExternalName",
            ]
            reader.failUnknownKey(entry, in: "Gateway", known: known)
        }
    }

    /// Adds one domain.
    mutating func readDomain(_ name: DomainName, _ part: ConfigurationText.Part, isOnBus: Bool) {
        // Without a single word on a gateway there is none here. One word, and the interfaces were forgotten.
        if isOnBus, part.entries.allSatisfy({ $0.key == "StaleAfter" }) {
            configuration.remoteDomains.append(remoteDomain(name, part.entries))
        } else if let domain = domain(name, at: part.location, part.entries) {
            configuration.domains.append(domain)
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
            let known = [
                "WireGuard", "VXLAN", "AddressProfile", "LinkAddress", "Fdb", "FloodAfter", "AllowedKeys",
                "MaximumPeers",
                "StaleAfter", "SweepInterval",
            ]
            reader.failUnknownKey(entry, in: "Domain NAME", known: known)
        }
    }

    private mutating func checkSockets(_ location: ConfigurationLocation) {
        let folder = configuration.handlerSocket.lastIndex(of: "/").map { configuration.handlerSocket[...$0] } ?? "/"
        configuration.fleetSocket = fleetSocket ?? folder + Configuration.fleetSocketName
        let sockets = configuration.sockets
        for (index, (name, path)) in sockets.enumerated() {
            guard let (other, _) = sockets[..<index].first(where: { $0.path == path }) else { continue }
            fail(location, "\(other) and \(name) are the same path, \(path)")
        }
        if SocketAddress(path: configuration.fleetSocket) == nil {
            fail(location, "\(configuration.fleetSocket) is too long for a socket: set FleetSocket=")
        }
    }

    /// Checks what only the whole can show.
    ///
    /// - Returns: what was read, and all mistakes.
    mutating func finish(path: String, hasDomains: Bool) -> (Configuration, EntryReader) {
        if !listen.isEmpty { configuration.listen = listen }
        let whole = ConfigurationLocation(file: path, line: nil)
        if !hasDomains && reader.mistakes.isEmpty { fail(whole, "no [Domain NAME] section: nothing to do") }
        checkSockets(whole)
        return (configuration, reader)
    }
}
