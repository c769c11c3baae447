public import ConfigurationFiles
public import NetworkAddresses
internal import SystemCalls

/// Which WireGuard interfaces are a gateway's. Its peers are routers that nobody knows, and it takes out whom it does
/// not know.
public enum GatewayInterfaces {
    /// The section of a gateway's configuration that names the interface, such as `[Domain ffmuc]`; `nil` if none does,
    /// or there is no such file.
    ///
    /// - Parameter path: the gateway's main file. Those of the folder beside it count as well.
    /// - Throws: if the file is there and cannot be read.
    public static func owner(
        of interface: InterfaceName,
        path: String = "/etc/kex/kex.conf"
    ) throws(ConfigurationError) -> String? {
        let (files, sections, mistakes) = INIFile.sectionsWithDropIns(path: path)
        let owner = sections.first { section in
            section.entries.contains { $0.key == "WireGuard" && $0.value == interface.text }
        }
        if let owner { return "[\(owner.name)] of \(owner.location.file)" }
        // Without a gateway there is no main file.
        guard files.count > 1 || File.exists(path) else { return nil }
        guard mistakes.isEmpty else { throw ConfigurationError(mistakes) }
        return nil
    }
}
