public import WireGuardTypes

/// What a router asks for: to be let into a domain under its key.
public struct Registration: Hashable, Sendable {
    public var domain: DomainName
    public var key: PublicKey

    public init(domain: DomainName, key: PublicKey) {
        self.domain = domain
        self.key = key
    }
}
