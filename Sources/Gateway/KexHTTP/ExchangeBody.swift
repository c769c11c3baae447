internal import JSONText
internal import KexProtocol
internal import WireGuardTypes

/// What routers post: one JSON object. Members that are not named here do not count.
enum ExchangeBody {
    /// Reads `{"domain": "ffww01","public_key": "…"}`.
    ///
    /// - Returns: `nil` for everything else, such as a key that is not written exactly as keys are.
    static func registration(in bytes: [UInt8], domains: some Collection<DomainName>) -> Registration? {
        guard let object = JSONObject(bytes), let domain = domain(in: object, domains), let key = key(in: object)
        else { return nil }
        return Registration(domain: domain, key: key)
    }

    /// Reads `{"node_name": "…","public_key": "…"}` of a router of `domain`. The rest as in
    /// ``registration(in:domains:)``.
    static func registration(in bytes: [UInt8], ofNodeIn domain: DomainName) -> Registration? {
        // The name itself does not matter, but a body without it has another form.
        guard let object = JSONObject(bytes), object.text("node_name") != nil, let key = key(in: object)
        else { return nil }
        return Registration(domain: domain, key: key)
    }

    /// Reads `{"domain": "ffww01"}`.
    static func domain(in bytes: [UInt8], domains: some Collection<DomainName>) -> DomainName? {
        JSONObject(bytes).flatMap { domain(in: $0, domains) }
    }

    private static func domain(in object: JSONObject, _ domains: some Collection<DomainName>) -> DomainName? {
        guard let name = object.text("domain").flatMap({ DomainName($0) }), domains.contains(name) else { return nil }
        return name
    }

    private static func key(in object: JSONObject) -> PublicKey? {
        object.text("public_key").flatMap { PublicKey(text: $0) }
    }
}
