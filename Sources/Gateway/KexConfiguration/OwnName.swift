public import ConfigurationFiles
internal import SystemCalls

extension Configuration {
    /// A doubt if routers are told the machine's own name, and may not be able to look it up.
    public var doubtAboutOwnName: [ConfigurationMistake] {
        let name = machineName
        guard externalName == nil, !Self.isExternalName(name), domains.contains(where: { $0.linkAddress != nil })
        else { return [] }
        let reason = "routers are told this machine's name, \(name), which they cannot look up: set ExternalName="
        return [ConfigurationMistake(at: ConfigurationLocation(file: "[Gateway]", line: nil), reason)]
    }
}
