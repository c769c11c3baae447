/// What a client of TLS needs: files in PEM form, named by their paths.
public struct TLSClientFiles: Hashable, Sendable {
    /// File of the certificates that may vouch for the server's.
    public var authorities: String
    /// What to show the server; `nil` if it asks for nothing.
    public var identity: TLSIdentityFiles?

    public init(authorities: String, identity: TLSIdentityFiles? = nil) {
        self.authorities = authorities
        self.identity = identity
    }
}

/// A certificate and the private key that belongs to it: two files in PEM form, the key without a passphrase.
public struct TLSIdentityFiles: Hashable, Sendable {
    public var certificate: String
    public var privateKey: String

    public init(certificate: String, privateKey: String) {
        self.certificate = certificate
        self.privateKey = privateKey
    }
}
