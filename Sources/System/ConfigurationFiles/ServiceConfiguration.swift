/// The configuration of a service, as it is read from one main file.
///
/// Its description is a file that would be read to the same.
public protocol ServiceConfiguration: CustomStringConvertible {
    /// The main file when nobody names another.
    static var defaultPath: String { get }

    /// Reads the main file, and those that belong to it.
    ///
    /// - Throws: all mistakes at once.
    init(path: String) throws(ConfigurationError)
}
