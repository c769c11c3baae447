public import ConfigurationFiles
public import KexConfiguration
public import KexProtocol
public import WireGuardTypes

/// The operator's lists of keys, as the files were when they were read.
public struct KeyLists {
    public var prohibited: Set<PublicKey> = []
    /// The closed domains, with the keys that may register and the operator's names for them.
    public var allowed: [DomainName: [PublicKey: String]] = [:]

    /// Reads every file that the configuration names.
    ///
    /// - Throws: the mistakes of the first one that has any.
    public init(of configuration: Configuration) throws(ConfigurationError) {
        if let path = configuration.prohibitedKeys {
            let advice = "ProhibitedKeys= names it; an empty one prohibits nothing: touch \(path)"
            prohibited = try KeyFile.read(path: path, ifMissing: advice)
        }
        for domain in configuration.domains {
            guard let path = domain.allowedKeys else { continue }
            let present = "the present ones: wg show \(domain.wireGuard) peers > \(path)"
            let advice = "AllowedKeys= of domain \(domain.name) says who may register; \(present)"
            let keys = try KeyFile.readNames(path: path, ifMissing: advice)
            allowed[domain.name] = keys
            let location = ConfigurationLocation(file: path, line: nil)
            // A file that lost its content looks like this, and it would remove every router of the domain.
            guard !keys.isEmpty else {
                let reason = "no key in it, so domain \(domain.name) would remove all its routers"
                throw ConfigurationError([ConfigurationMistake(at: location, "\(reason); \(present)")])
            }
            // It is not clear which of the two is meant.
            guard prohibited.isDisjoint(with: keys.keys) else {
                let mistakes = prohibited.intersection(keys.keys).map { "\($0)" }.sorted().map { key in
                    ConfigurationMistake(at: location, "\(key) is in ProhibitedKeys= as well: remove it from one")
                }
                throw ConfigurationError(mistakes)
            }
        }
    }
}
