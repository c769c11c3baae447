public import ConfigurationFiles
public import KexConfiguration

/// What `kex-mqtt` reads of the configuration.
public struct MemberConfiguration: Hashable, ServiceConfiguration {
    public let gateway: Configuration
    /// `nil` if this gateway is alone.
    public let bus: BusSection?

    public static var defaultPath: String { Configuration.defaultPath }

    public init(path: String) throws(ConfigurationError) {
        var text = ConfigurationText(path: path)
        gateway = Configuration(&text, understood: [.bus])
        bus = BusSection(&text, gateway)
        try text.finish()
    }

    public var description: String { gateway.text(understood: bus.map { [.bus: $0.lines] } ?? [:]) }
}
