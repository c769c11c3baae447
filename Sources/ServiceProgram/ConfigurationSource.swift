public import KexConfiguration

/// Where a service's configuration comes from, at the start and when it is told to read it again.
public struct ConfigurationSource<Checked> {
    public let path: String
    let check: (Configuration) throws(ConfigurationError) -> Checked

    /// Reads the file, and the files that it names.
    public func read() throws(ConfigurationError) -> (Configuration, Checked) {
        let configuration = try Configuration(path: path)
        return (configuration, try check(configuration))
    }
}
