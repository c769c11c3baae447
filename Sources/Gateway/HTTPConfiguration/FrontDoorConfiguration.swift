public import BusConfiguration
public import ConfigurationFiles
public import KexConfiguration

/// What `kex-http` reads of the configuration.
public struct FrontDoorConfiguration: Hashable, ServiceConfiguration {
    public let gateway: Configuration
    public let http: HTTPSection
    /// `nil` if this gateway is alone.
    public let bus: BusSection?

    public static var defaultPath: String { Configuration.defaultPath }

    public init(path: String) throws(ConfigurationError) { try self.init(ConfigurationText(path: path)) }

    /// Reads `bytes` as the content of `path`, without a folder beside it.
    package init(bytes: [UInt8], path: String) throws(ConfigurationError) {
        try self.init(try ConfigurationText(bytes: bytes, path: path))
    }

    private init(_ given: ConfigurationText) throws(ConfigurationError) {
        var text = given
        gateway = Configuration(&text, understood: [.http, .bus])
        bus = BusSection(&text, gateway)
        http = HTTPSection(&text)
        try text.finish()
    }

    public var description: String {
        var understood: [OtherSection: [String]] = [.http: http.lines]
        understood[.bus] = bus?.lines
        return gateway.text(understood: understood)
    }
}
