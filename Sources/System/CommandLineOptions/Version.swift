/// The version of all programs of this package, for `--version`.
public let packageVersion = "0.2.0"
