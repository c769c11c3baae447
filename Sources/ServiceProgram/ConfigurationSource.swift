public import KexConfiguration

/// Where a service's configuration comes from, to be read at the start and again at each reload.
public struct ConfigurationSource<Checked> {
    /// The main file. Others are named in it.
    public let path: String
    private let check: (Configuration) throws(ConfigurationError) -> Checked

    /// - Parameter check: looks at the files that the configuration names.
    init(path: String, check: @escaping (Configuration) throws(ConfigurationError) -> Checked) {
        self.path = path
        self.check = check
    }

    /// Reads all files.
    ///
    /// - Returns: the configuration, and what `check` made of it.
    /// - Throws: every mistake that was found in the configuration, or else in what it names.
    public func read() throws(ConfigurationError) -> (Configuration, Checked) {
        let configuration = try Configuration(path: path)
        return (configuration, try check(configuration))
    }
}
