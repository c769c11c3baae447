internal import Glibc

/// What the service manager says in the environment of a process it starts. A process may hand its environment on, so
/// each variable comes with the number of the process that it is meant for.
enum ManagerEnvironment {
    /// What a test has in place of the process's own environment, which all of a process share.
    @TaskLocal static var variables: [String: String]?

    /// `nil` if the variable is not there.
    static func text(_ name: String) -> String? {
        if let variables { return variables[name] }
        return unsafe getenv(name).map { unsafe String(cString: $0) }
    }

    /// `nil` if the variable is not there, or is no number.
    static func number(_ name: String) -> Int64? { text(name).flatMap { Int64($0) } }

    /// Whether this process's number is in the variable; `nil` if the variable is not there.
    static func names(thisProcessIn name: String) -> Bool? { text(name).map { $0 == "\(getpid())" } }

    /// Takes variables away that are meant for this process only, so that no child believes them.
    static func remove(_ names: String...) { for name in names { unsafe unsetenv(name) } }
}
