internal import KexConfiguration
internal import KexProtocol
internal import WireGuardTypes

/// The operator's lists of keys, as the files were when they were read.
struct KeyLists {
    var prohibited: Set<PublicKey> = []
    /// The closed domains: who may register there, and what the operator calls them.
    var allowed: [DomainName: [PublicKey: String]] = [:]

    /// Reads every file that the configuration names.
    ///
    /// - Throws: the mistakes of the first one that has any.
    init(of configuration: Configuration) throws(ConfigurationError) {
        if let path = configuration.prohibitedKeys {
            prohibited = try Self.reading("ProhibitedKeys", path) { path throws(ConfigurationError) in
                try KeyFile.read(path: path)
            }
        }
        for domain in configuration.domains {
            guard let path = domain.allowedKeys else { continue }
            allowed[domain.name] = try Self.reading("AllowedKeys", path) { path throws(ConfigurationError) in
                try KeyFile.readNames(path: path)
            }
        }
    }

    private static func reading<Content>(
        _ setting: String,
        _ path: String,
        _ read: (String) throws(ConfigurationError) -> Content
    ) throws(ConfigurationError) -> Content {
        do throws(ConfigurationError) {
            return try read(path)
        } catch {
            let location = ConfigurationLocation(file: path, line: nil)
            let advice = ConfigurationMistake(at: location, "\(setting)= names this file; an empty one will do")
            throw ConfigurationError(error.mistakes + [advice])
        }
    }
}
