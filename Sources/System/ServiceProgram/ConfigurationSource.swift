public import ConfigurationFiles
internal import Logging
internal import Systemd

/// Where a service's configuration comes from, to be read at the start and again at each reload.
public struct ConfigurationSource<Configuration: ServiceConfiguration, Checked> {
    /// The main file. Others are named in it.
    public let path: String
    private let check: (Configuration) throws(ConfigurationError) -> Checked
    private let doubts: (Configuration) -> [ConfigurationMistake]
    private let log: Logger

    /// - Parameters:
    ///   - check: looks at the files that the configuration names.
    ///   - doubts: what is to be logged although it can be used.
    init(
        path: String,
        check: @escaping (Configuration) throws(ConfigurationError) -> Checked,
        doubts: @escaping (Configuration) -> [ConfigurationMistake],
        log: Logger
    ) {
        self.path = path
        self.check = check
        self.doubts = doubts
        self.log = log
    }

    /// Reads all files.
    ///
    /// - Returns: the configuration, and what `check` made of it.
    /// - Throws: every mistake that was found in the configuration, or else in what it names.
    public func read() throws(ConfigurationError) -> (Configuration, Checked) {
        let configuration = try Configuration(path: path)
        let checked = try check(configuration)
        for doubt in doubts(configuration) { log.log(.doubtful, .warning, "\(doubt)") }
        return (configuration, checked)
    }
}
