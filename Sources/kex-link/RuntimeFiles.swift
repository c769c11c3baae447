internal import NetworkAddresses

/// Where the files of an interface are.
struct RuntimeFiles {
    static let usualFolder = "/run/kex-link"
    static let configurationFolder = "/etc/kex/link"
    private static let socketEnding = ".sock"

    let folder: String

    func marks(of interface: InterfaceName) -> String { "\(folder)/\(interface).peers" }
    func lock(of interface: InterfaceName) -> String { "\(folder)/\(interface).lock" }
    func socket(of interface: InterfaceName) -> String { "\(folder)/\(interface)\(Self.socketEnding)" }

    /// The interface whose status socket has this name; `nil` for other files.
    static func interface(ofSocket name: String) -> InterfaceName? {
        name.hasSuffix(socketEnding) ? InterfaceName(String(name.dropLast(socketEnding.count))) : nil
    }

    static func configuration(of interface: InterfaceName) -> String { "\(configurationFolder)/\(interface).conf" }
}
