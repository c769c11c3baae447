/// A section that only some programs read. The others know its keys, so that all refuse the same names.
public enum OtherSection: String, CaseIterable, Hashable, Sendable {
    case http = "HTTP"
    case bus = "Bus"

    /// All keys of the section, in the order of the documentation.
    public var keys: [String] {
        switch self {
        case .http: ["Listen", "TLSListen", "Certificate", "PrivateKey", "NodeNameDomain", "NodeNamePath"]
        case .bus:
            [
                "Broker", "User", "PasswordFile", "CAFile", "Certificate", "PrivateKey", "Name", "Socket", "SigningKey",
                "TrustedKeys", "Weight",
            ]
        }
    }
}
