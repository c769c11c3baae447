internal import ConfigurationFiles
internal import LinkMember
internal import NetworkAddresses
internal import WireGuardTypes

/// Collects what the sections of a file say, and what is wrong with them.
struct LinkConfigurationReader {
    private var reader = EntryReader()
    private var settings = LinkSettings()
    private var hasLink = false
    private var keys: [PublicKey: ConfigurationLocation] = [:]
    private var names: [String: ConfigurationLocation] = [:]

    /// - Throws: if there was a mistake.
    func finish() throws(ConfigurationError) -> LinkSettings {
        guard reader.mistakes.isEmpty else { throw ConfigurationError(reader.mistakes) }
        return settings
    }

    mutating func read(_ section: INIFile.Section) {
        let words = section.name.split(separator: " ", maxSplits: 1)
        switch (words.first, words.count) {
        case ("Link", 1):
            if hasLink { reader.fail(section.location, "[Link] is there already") }
            hasLink = true
            readOnce(section, repeatable: ["ReportInterfaces", "HideInterfaces"]) { $0.readLink($1) }
        case ("Member", _): readMember(section, name: words.count == 2 ? String(words[1]) : nil)
        default: reader.fail(section.location, "unknown section [\(section.name)]; there are [Link] and [Member NAME]")
        }
    }

    /// Hands out the entries, and complains of keys that come twice and may not.
    private mutating func readOnce(
        _ section: INIFile.Section,
        repeatable: Set<String>,
        _ body: (inout Self, INIFile.Entry) -> Void
    ) {
        var seen: Set<String> = []
        for entry in section.entries {
            if !seen.insert(entry.key).inserted, !repeatable.contains(entry.key) {
                reader.fail(entry.location, "\(entry.key)= is there already")
            }
            body(&self, entry)
        }
    }

    private mutating func readLink(_ entry: INIFile.Entry) {
        switch entry.key {
        case "Port":
            settings.factsPort = reader.value(of: entry, expected: "a port from 1 to 65535") { text in
                UInt16(text).flatMap { $0 > 0 ? $0 : nil }
            }
        case "Router": settings.isRouter = yesOrNo(entry)
        case "Chatty": settings.isChatty = yesOrNo(entry) ?? false
        case "ReportInterfaces": settings.reportInterfaces += patterns(entry)
        case "HideInterfaces": settings.hideInterfaces += patterns(entry)
        case "RelayPorts":
            settings.relayPorts = reader.value(of: entry, expected: "two ports from 1 to 65535, such as 50000-50999") {
                Self.ports($0)
            }
        case "OnDemand": settings.linksOnDemand = yesOrNo(entry) ?? false
        case "Idle":
            if let time = reader.duration(of: entry, in: LinkConfiguration.idleTimes) { settings.idleTime = time }
        default:
            let known = [
                "Port", "Router", "Chatty", "ReportInterfaces", "HideInterfaces", "RelayPorts", "OnDemand", "Idle",
            ]
            reader.failUnknownKey(entry, in: "Link", known: known)
        }
    }

    /// The first and the last port.
    private static func ports(_ text: String) -> ClosedRange<UInt16>? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
        guard ends.count == 2, let first = ends[0], let last = ends[1], first > 0, first <= last else { return nil }
        return first...last
    }

    private mutating func readMember(_ section: INIFile.Section, name: String?) {
        var key: PublicKey?
        var hasKey = false
        var member: MemberSettings?
        if let name { noteName(name, section.location) }
        // The key first, since nothing can be said of nobody; the other mistakes are told all the same.
        for entry in section.entries where entry.key == "PublicKey" {
            hasKey = true
            key = reader.value(of: entry, expected: "a WireGuard public key") { text in
                PublicKey(text: text).flatMap { $0.isUsable ? $0 : nil }
            }
            if let key, let other = keys.updateValue(entry.location, forKey: key) {
                reader.fail(entry.location, "the key is in \(other) already")
            }
        }
        if !hasKey { reader.fail(section.location, "[\(section.name)] needs PublicKey=") }
        if let key { member = MemberSettings(publicKey: key, name: name) }
        let scratch = MemberSettings(publicKey: Self.nobody, name: name)
        var settings = member ?? scratch
        readOnce(section, repeatable: ["Endpoint", "AllowedIPs"]) { $0.read($1, into: &settings) }
        if member != nil { self.settings.members.append(settings) }
    }

    private static let nobody: PublicKey = {
        let zeros = [UInt8](repeating: 0, count: PublicKey.length)
        guard let key = PublicKey(bytes: zeros.span) else { preconditionFailure("a key has 32 bytes") }
        return key
    }()

    private mutating func noteName(_ name: String, _ location: ConfigurationLocation) {
        if !Self.isName(name) {
            reader.fail(location, "\(name): expected \(Self.expectedName)")
        } else if let other = names.updateValue(location, forKey: name) {
            reader.fail(location, "the name \(name) is in \(other) already")
        }
    }

    private static let expectedName =
        "a name of 1 to \(LinkConfiguration.maximumName) letters, digits, dots, hyphens and underscores"

    static func isName(_ name: String) -> Bool {
        (1...LinkConfiguration.maximumName).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    private mutating func read(_ entry: INIFile.Entry, into member: inout MemberSettings) {
        switch entry.key {
        case "PublicKey": break  // read before
        case "Name":
            if member.name != nil {
                reader.fail(entry.location, "the name is in the section's line already")
            } else {
                member.name = entry.value
                noteName(entry.value, entry.location)
            }
        case "Trust":
            let known = Trust.allCases.map(\.description).joined(separator: ", ")
            member.trust = reader.value(of: entry, expected: "one of \(known)") { Trust($0) }
        case "FactExchanger": member.isFactExchanger = yesOrNo(entry) ?? false
        case "Endpoint":
            let endpoints = words(entry, "hosts with their ports, such as hub.example.org:51820 or [2001:db8::1]:51820")
            {
                HostPort($0, defaultPort: nil)
            }
            member.endpoints += endpoints
            if member.endpoints.count > LinkConfiguration.maximumEndpoints {
                reader.fail(entry.location, "more than \(LinkConfiguration.maximumEndpoints) endpoints")
            }
        case "AllowedIPs":
            member.allowedIPs += words(entry, "prefixes such as 10.0.0.7/32 or fd00:7::/64") { IPPrefix($0)?.masked }
        case "Basic": member.isBasic = yesOrNo(entry) ?? false
        default:
            let known = ["PublicKey", "Name", "Trust", "FactExchanger", "Endpoint", "AllowedIPs", "Basic"]
            reader.failUnknownKey(entry, in: "Member NAME", known: known)
        }
    }

    private mutating func patterns(_ entry: INIFile.Entry) -> [InterfacePattern] {
        words(entry, "patterns for names of interfaces, such as eth0 or docker*") { InterfacePattern($0) }
    }

    /// A list with blanks between its words.
    private mutating func words<Value>(
        _ entry: INIFile.Entry,
        _ expected: String,
        _ parse: (String) -> Value?
    ) -> [Value] {
        let list = reader.value(of: entry, expected: expected) { text -> [Value]? in
            let words = text.split(separator: " ")
            let values = words.compactMap { parse(String($0)) }
            return words.isEmpty || values.count != words.count ? nil : values
        }
        return list ?? []
    }

    private mutating func yesOrNo(_ entry: INIFile.Entry) -> Bool? {
        reader.value(of: entry, expected: "yes or no") { text in
            switch text {
            case "yes", "true", "on", "1": true
            case "no", "false", "off", "0": false
            default: nil
            }
        }
    }
}
