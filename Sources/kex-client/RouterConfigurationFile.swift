internal import ConfigurationFiles
internal import EUI64
internal import KexProtocol
internal import NetworkAddresses
internal import WireGuardTypes

extension RouterConfiguration {
    /// Reads the file at `path`.
    ///
    /// - Throws: all mistakes at once, each with its line. Unknown sections and keys are mistakes.
    init(path: String) throws(ConfigurationError) {
        try self.init(sections: try INIFile(path: path).sections, path: path)
    }

    /// Makes sense of the sections of `path`.
    init(sections: [INIFile.Section], path: String) throws(ConfigurationError) {
        var reader = RouterReader()
        var router: RouterConfiguration?
        var gateways: [Gateway] = []
        for section in sections {
            switch section.name {
            case "Router" where !reader.hasRouter:
                reader.hasRouter = true
                router = reader.router(section)
            case "Router": reader.fail(section.location, "a second [Router]; a file describes one router")
            case "Gateway":
                guard let gateway = reader.gateway(section) else { continue }
                if gateways.contains(where: { $0.publicKey == gateway.publicKey }) {
                    reader.fail(section.location, "a second [Gateway] with the key \(gateway.publicKey)")
                }
                gateways.append(gateway)
            default:
                reader.fail(section.location, "unknown section [\(section.name)]; known are [Router] and [Gateway]")
            }
        }
        let whole = ConfigurationLocation(file: path, line: nil)
        if !reader.hasRouter { reader.fail(whole, "no [Router]") }
        if !sections.contains(where: { $0.name == "Gateway" }) { reader.fail(whole, "no [Gateway]") }
        guard var router, reader.mistakes.isEmpty else { throw ConfigurationError(reader.mistakes) }
        router.gateways = gateways
        self = router
    }
}

/// Turns sections into values, and collects what is wrong on the way.
private struct RouterReader {
    private var entries = EntryReader()
    var hasRouter = false

    var mistakes: [ConfigurationMistake] { entries.mistakes }

    mutating func fail(_ location: ConfigurationLocation, _ reason: String) { entries.fail(location, reason) }

    /// The value of `key`, or `nil` and a mistake if it is wrong, or if it is missing and `isNeeded`.
    private mutating func value<Value>(
        _ key: String,
        of section: INIFile.Section,
        isNeeded: Bool = true,
        expected: String,
        _ parse: (String) -> Value?
    ) -> Value? {
        let given = section.entries.filter { $0.key == key }
        guard let entry = given.first else {
            if isNeeded { fail(section.location, "[\(section.name)] needs \(key)=, \(expected)") }
            return nil
        }
        for second in given.dropFirst() { fail(second.location, "a second \(key)= in one section") }
        return entries.value(of: entry, expected: expected, parse)
    }

    private mutating func number<Value: FixedWidthInteger>(
        _ key: String,
        of section: INIFile.Section,
        isNeeded: Bool = false,
        in range: ClosedRange<Value>
    ) -> Value? {
        let expected = "a number from \(range.lowerBound) to \(range.upperBound)"
        return value(key, of: section, isNeeded: isNeeded, expected: expected) { text in
            guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            return Value(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    private mutating func refuseOthers(than known: [String], in section: INIFile.Section) {
        for entry in section.entries where !known.contains(entry.key) {
            fail(entry.location, "unknown key \(entry.key); [\(section.name)] has \(known.joined(separator: ", "))")
        }
    }

    mutating func router(_ section: INIFile.Section) -> RouterConfiguration? {
        typealias Limit = RouterConfiguration.Limit
        refuseOthers(
            than: [
                "Domain", "PrivateKeyFile", "WireGuard", "VXLAN", "VXLANId", "VXLANPort", "AddressProfile", "MTU",
                "WireGuardMTU", "FirewallMark",
            ],
            in: section
        )
        let domain = value(
            "Domain",
            of: section,
            expected: "1 to \(DomainName.maximumLength) letters, digits, dots, hyphens and underscores"
        ) { DomainName($0) }
        let keyFile = value("PrivateKeyFile", of: section, expected: "an absolute path") {
            $0.hasPrefix("/") ? $0 : nil
        }
        let interface = "an interface name of 1 to \(InterfaceName.maximumLength) bytes"
        let wireGuard = value("WireGuard", of: section, expected: interface) { InterfaceName($0) }
        let vxlan = value("VXLAN", of: section, expected: interface) { InterfaceName($0) }
        let identifier = number("VXLANId", of: section, isNeeded: true, in: Limit.vxlanIdentifier)
        let port = number("VXLANPort", of: section, in: 1...UInt16.max)
        let profiles = AddressProfile.allCases.map(\.rawValue).joined(separator: ", ")
        let profile = value("AddressProfile", of: section, isNeeded: false, expected: "one of \(profiles)") {
            AddressProfile(rawValue: $0)
        }
        let mtu = number("MTU", of: section, in: Limit.mtu)
        let wireGuardMTU = number("WireGuardMTU", of: section, in: Limit.mtu)
        let mark = number("FirewallMark", of: section, in: Limit.firewallMark)
        guard let domain, let keyFile, let wireGuard, let vxlan, let identifier else { return nil }

        var router = RouterConfiguration(
            domain: domain,
            privateKeyFile: keyFile,
            wireGuard: wireGuard,
            vxlan: vxlan,
            vxlanIdentifier: identifier,
            firewallMark: mark
        )
        if let port { router.vxlanPort = port }
        if let profile { router.addressProfile = profile }
        if let mtu { router.mtu = mtu }
        if let wireGuardMTU { router.wireGuardMTU = wireGuardMTU }
        if wireGuard == vxlan { fail(section.location, "WireGuard= and VXLAN= name the same interface") }
        if router.mtu + Limit.vxlanOverhead > router.wireGuardMTU {
            let room = router.wireGuardMTU - Limit.vxlanOverhead
            fail(section.location, "MTU=\(router.mtu) does not fit: WireGuardMTU=\(router.wireGuardMTU) leaves \(room)")
        }
        return router
    }

    mutating func gateway(_ section: INIFile.Section) -> RouterConfiguration.Gateway? {
        refuseOthers(than: ["Exchange", "Endpoint", "PublicKey", "LinkAddress"], in: section)
        let exchange = value("Exchange", of: section, expected: "HOST, HOST:PORT or [ADDRESS]:PORT") {
            HostPort($0, defaultPort: ProtocolLimit.port)
        }
        let endpoint = value("Endpoint", of: section, expected: "HOST:PORT or [ADDRESS]:PORT") {
            HostPort($0, defaultPort: nil)
        }
        let key = value("PublicKey", of: section, expected: "the gateway's WireGuard public key") {
            PublicKey(text: $0)
        }
        // The router's own address has this prefix, and there is no route to any other.
        let address = value("LinkAddress", of: section, expected: "an address in fe80::/64") { text in
            IPv6Address(text).flatMap { $0.high == 0xfe80 << 48 && $0.low != 0 ? $0 : nil }
        }
        guard let exchange, let endpoint, let key, let address else { return nil }
        return RouterConfiguration.Gateway(
            exchange: exchange,
            endpoint: endpoint,
            publicKey: key,
            linkAddress: address
        )
    }
}
