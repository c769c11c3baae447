internal import FoundationEssentials
internal import KexProtocol
internal import WireGuardTypes

/// The two forms of what routers post. Fields that are not named here do not count.
enum ExchangeBody {
    private struct Exchange: Decodable {
        enum CodingKeys: String, CodingKey { case domain, key = "public_key" }
        var domain: String
        var key: String
    }

    private struct NodeExchange: Decodable {
        enum CodingKeys: String, CodingKey { case name = "node_name", key = "public_key" }
        /// Not looked at; a body without it is of another form.
        var name: String
        var key: String
    }

    /// Reads `{"domain": "ffww01","public_key": "…"}`.
    ///
    /// - Returns: `nil` for everything else, such as a key that is not written exactly as keys are.
    static func registration(in bytes: [UInt8], domains: some Collection<DomainName>) -> Registration? {
        guard let body = decode(Exchange.self, bytes), let domain = DomainName(body.domain), domains.contains(domain),
            let key = PublicKey(text: body.key)
        else { return nil }
        return Registration(domain: domain, key: key)
    }

    /// Reads `{"node_name": "…","public_key": "…"}` of a router of `domain`. The rest as in ``registration(in:domains:)``.
    static func registration(in bytes: [UInt8], ofNodeIn domain: DomainName) -> Registration? {
        guard let body = decode(NodeExchange.self, bytes), let key = PublicKey(text: body.key) else { return nil }
        return Registration(domain: domain, key: key)
    }

    private static func decode<Body: Decodable>(_ type: Body.Type, _ bytes: [UInt8]) -> Body? {
        try? JSONDecoder().decode(type, from: Data(bytes))
    }
}
