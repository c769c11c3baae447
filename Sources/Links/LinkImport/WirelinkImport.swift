public import ConfigurationFiles
public import LinkConfiguration
internal import LinkMember
public import NetworkAddresses
internal import WireGuardTypes

/// A configuration of wirelink, read into one of ours.
public struct WirelinkImport: Sendable {
    public private(set) var configuration = LinkConfiguration()
    /// The interface that the file names; `nil` if it names none.
    public private(set) var interface: InterfaceName?
    /// What has no counterpart, or has to be written otherwise; a line each.
    public private(set) var notes: [ConfigurationMistake] = []

    private let path: String

    /// Reads JSON, YAML or TOML, whichever the text is.
    ///
    /// - Throws: what is not understood, with its line: nothing should be left out without a word.
    public init(bytes: [UInt8], path: String) throws(ConfigurationError) {
        self.path = path
        let location = ConfigurationLocation(file: path, line: nil)
        guard let text = String(validating: ByteOrderMark.text(in: bytes) ?? [0xff], as: UTF8.self)
        else { throw ConfigurationError([ConfigurationMistake(at: location, "text that is not UTF-8")]) }
        do throws(ForeignMistake) {
            try take(Self.parse(text, path: path))
        } catch {
            let location = ConfigurationLocation(file: path, line: error.line)
            throw ConfigurationError([ConfigurationMistake(at: location, error.reason)])
        }
    }

    private static func parse(_ text: String, path: String) throws(ForeignMistake) -> ForeignValue {
        let start = trimmed(text.drop { $0 == "\n" || $0 == "\r\n" || $0 == " " })
        if start.first == "{" {
            var reader = BracketReader(text, .json)
            let value = try reader.value()
            guard reader.isAtEnd() else { throw ForeignMistake(reader.line, "something behind the end") }
            return value
        }
        let lines = text.split(separator: "\n").map { trimmed($0) }.filter { !$0.isEmpty && !$0.hasPrefix("#") }
        let isTOML = path.hasSuffix(".toml") || lines.contains { $0.hasPrefix("[[") }
        return try isTOML ? TOMLReader.read(text) : YAMLReader.read(text)
    }

    private mutating func note(_ line: Int, _ reason: String) {
        notes.append(ConfigurationMistake(at: ConfigurationLocation(file: path, line: line), reason))
    }

    // MARK: - What the values mean

    private mutating func take(_ value: ForeignValue) throws(ForeignMistake) {
        for entry in try Self.entries(value) {
            let value = entry.value
            if value.content == .nothing { continue }
            // Upper and lower case are the same to wirelink.
            switch entry.key.lowercased() {
            case "iface":
                interface = InterfaceName(try Self.text(value))
                if interface == nil { throw ForeignMistake(value.line, "iface is not the name of an interface") }
            case "port":
                guard let port = UInt16(try Self.text(value)) else {
                    throw ForeignMistake(value.line, "port is no port")
                }
                configuration.settings.factsPort = port == 0 ? nil : port
            case "router": configuration.settings.isRouter = try Self.flag(value)
            case "chatty": configuration.settings.isChatty = try Self.flag(value)
            case "debug":
                if try Self.flag(value) { note(value.line, "debug: start kex-link with --debug") }
            case "reportifaces": configuration.settings.reportInterfaces = try Self.patterns(value)
            case "hideifaces": configuration.settings.hideInterfaces = try Self.patterns(value)
            case "peers":
                for peer in try Self.list(value) { try takePeer(peer) }
            default: note(value.line, "\(entry.key) is not known, and left out")
            }
        }
    }

    private mutating func takePeer(_ value: ForeignValue) throws(ForeignMistake) {
        let entries = try Self.entries(value)
        guard let key = entries.first(where: { $0.key.lowercased() == "publickey" })
        else { throw ForeignMistake(value.line, "a peer without PublicKey") }
        guard let publicKey = PublicKey(text: try Self.text(key.value)), publicKey.isUsable
        else { throw ForeignMistake(key.value.line, "PublicKey is not the key of a WireGuard peer") }
        guard !configuration.settings.members.contains(where: { $0.publicKey == publicKey })
        else { throw ForeignMistake(key.value.line, "the key is there already") }
        var member = MemberSettings(publicKey: publicKey)
        for entry in entries where entry.value.content != .nothing {
            let value = entry.value
            switch entry.key.lowercased() {
            case "publickey": break
            case "name": takeName(try Self.text(value), value.line, &member)
            case "trust":
                guard let trust = Trust(try Self.text(value)) else {
                    throw ForeignMistake(value.line, "Trust is no level")
                }
                member.trust = trust
            case "factexchanger": member.isFactExchanger = try Self.flag(value)
            case "basic": member.isBasic = try Self.flag(value)
            case "endpoints":
                for endpoint in try Self.list(value) {
                    let text = try Self.text(endpoint)
                    if let place = HostPort(text, defaultPort: nil),
                        member.endpoints.count < LinkConfiguration.maximumEndpoints
                    {
                        member.endpoints.append(place)
                    } else {
                        note(endpoint.line, "endpoint \(text): needs a host and the number of a port, and is left out")
                    }
                }
            case "allowedips":
                for prefix in try Self.list(value) {
                    guard let allowed = IPPrefix(try Self.text(prefix))
                    else { throw ForeignMistake(prefix.line, "AllowedIPs has what is no prefix") }
                    member.allowedIPs.append(allowed.masked)
                }
            default: note(value.line, "\(entry.key) is not known, and left out")
            }
        }
        configuration.settings.members.append(member)
    }

    private mutating func takeName(_ name: String, _ line: Int, _ member: inout MemberSettings) {
        let isTaken = configuration.settings.members.contains { $0.name == name }
        if LinkConfiguration.isName(name), !isTaken {
            member.name = name
        } else {
            let reason = isTaken ? "is there already" : "is too long, or has other characters than letters and digits"
            note(line, "name \(name) \(reason), and is left out")
        }
    }

    private static func entries(_ value: ForeignValue) throws(ForeignMistake) -> [ForeignValue.Entry] {
        switch value.content {
        case .table(let entries): return entries
        case .nothing: return []
        default: throw ForeignMistake(value.line, "expected keys with values")
        }
    }

    private static func list(_ value: ForeignValue) throws(ForeignMistake) -> [ForeignValue] {
        guard case .list(let values) = value.content else { throw ForeignMistake(value.line, "expected a list") }
        return values
    }

    private static func text(_ value: ForeignValue) throws(ForeignMistake) -> String {
        guard case .text(let text) = value.content else { throw ForeignMistake(value.line, "expected a text") }
        return text
    }

    private static func flag(_ value: ForeignValue) throws(ForeignMistake) -> Bool {
        guard case .flag(let flag) = value.content else { throw ForeignMistake(value.line, "expected true or false") }
        return flag
    }

    private static func patterns(_ value: ForeignValue) throws(ForeignMistake) -> [InterfacePattern] {
        var patterns: [InterfacePattern] = []
        for element in try list(value) {
            guard let pattern = InterfacePattern(try text(element))
            else { throw ForeignMistake(element.line, "not a pattern for names of interfaces") }
            patterns.append(pattern)
        }
        return patterns
    }
}
