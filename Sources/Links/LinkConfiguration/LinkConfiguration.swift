public import ConfigurationFiles
public import LinkMember
internal import NetworkAddresses
internal import WireGuardTypes

/// The file of one interface, `/etc/kex/link/IFACE.conf`. It may be missing: then everything is as by itself.
///
/// Its description is a file that would be read to the same.
public struct LinkConfiguration: Hashable, Sendable {
    public var settings: LinkSettings

    public init(settings: LinkSettings = LinkSettings()) { self.settings = settings }

    /// Of ``LinkSettings/idleTime``: below a minute a pair would go between two requests of a page; a pair that nobody
    /// used for a day is no longer for what was there.
    static let idleTimes = Duration.seconds(60)...Duration.seconds(86400)
    /// Longest name of a member in bytes. Machines of the field should not send longer ones. Source: wirelink's
    /// description of its protocol.
    public static let maximumName = 16
    /// Most endpoints of one member.
    public static let maximumEndpoints = 16

    /// Reads a file.
    ///
    /// - Throws: all mistakes at once, with their lines. A file that cannot be read is one, and so is a missing one.
    public init(path: String) throws(ConfigurationError) {
        try self.init(INIFile(path: path).sections, path: path)
    }

    /// Reads `bytes` as the content of `path`.
    public init(bytes: [UInt8], path: String) throws(ConfigurationError) {
        try self.init(INIFile(bytes: bytes, path: path).sections, path: path)
    }

    /// Whether people can call a member so: 1 to ``maximumName`` letters, digits, dots, hyphens and underscores.
    public static func isName(_ name: String) -> Bool { LinkConfigurationReader.isName(name) }

    private init(_ sections: [INIFile.Section], path: String) throws(ConfigurationError) {
        var reader = LinkConfigurationReader()
        for section in sections { reader.read(section) }
        settings = try reader.finish()
    }
}

extension LinkConfiguration: CustomStringConvertible {
    public var description: String {
        var lines = ["[Link]"]
        if let port = settings.factsPort { lines.append("Port=\(port)") }
        if let isRouter = settings.isRouter { lines.append("Router=\(isRouter ? "yes" : "no")") }
        if settings.isChatty { lines.append("Chatty=yes") }
        for pattern in settings.reportInterfaces { lines.append("ReportInterfaces=\(pattern)") }
        for pattern in settings.hideInterfaces { lines.append("HideInterfaces=\(pattern)") }
        if let ports = settings.relayPorts { lines.append("RelayPorts=\(ports.lowerBound)-\(ports.upperBound)") }
        if settings.linksOnDemand { lines.append("OnDemand=yes") }
        if settings.idleTime != LinkSettings.usualIdleTime {
            lines.append("Idle=\(ConfiguredDuration.text(of: settings.idleTime))")
        }
        for member in settings.members {
            lines += ["", "[Member]", "PublicKey=\(member.publicKey)"]
            if let name = member.name { lines.append("Name=\(name)") }
            if let trust = member.trust { lines.append("Trust=\(trust)") }
            if member.isFactExchanger { lines.append("FactExchanger=yes") }
            for endpoint in member.endpoints { lines.append("Endpoint=\(endpoint)") }
            for prefix in member.allowedIPs { lines.append("AllowedIPs=\(prefix)") }
            if member.isBasic { lines.append("Basic=yes") }
        }
        return lines.joined(separator: "\n")
    }
}
