internal import FoundationEssentials
internal import HTTPTypes
internal import HandlerChannel
internal import HummingbirdCore
internal import KexProtocol
internal import NIOCore
internal import NetworkAddresses

/// An answer to a client, without the fields that every answer has.
///
/// Source: the deployed brokers, measured. Their routers read the status alone: 200 and 204 are success, everything
/// else is a failure whose body they throw away.
struct Answer {
    var status: HTTPResponse.Status
    var fields: HTTPFields
    var body: [UInt8]

    private static func json(_ status: HTTPResponse.Status, _ value: some Encodable) -> Answer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let text = try? encoder.encode(value) else { preconditionFailure("texts can be encoded") }
        return Answer(
            status: status,
            fields: [.contentType: "application/json"],
            body: Array(text) + [UInt8(ascii: "\n")]
        )
    }

    private static func page(_ status: HTTPResponse.Status, _ title: String, _ text: String) -> Answer {
        let page = "<!DOCTYPE html>\n<html lang=\"en\">\n<title>\(title)</title>\n<h1>\(title)</h1>\n<p>\(text)</p>\n"
        return Answer(status: status, fields: [.contentType: "text/html; charset=utf-8"], body: Array(page.utf8))
    }

    private struct Message: Encodable {
        enum CodingKeys: String, CodingKey { case message = "Message" }
        var message: String
    }

    private struct Failure: Encodable {
        struct Reason: Encodable { var message: String }
        var error: Reason

        init(_ message: String) { error = Reason(message: message) }
    }

    private struct Offer: Encodable {
        struct Endpoint: Encodable {
            enum CodingKeys: String, CodingKey {
                case address = "Address", allowedIPs = "AllowedIPs", port = "Port", publicKey = "PublicKey"
            }
            var address: String
            /// Without a length: routers add it.
            var allowedIPs: [String]
            /// A text: routers expect one.
            var port: String
            var publicKey: String
        }
        enum CodingKeys: String, CodingKey { case endpoint = "Endpoint" }
        var endpoint: Endpoint
    }

    // MARK: - Exchanges

    /// The router is in. Not for those who want to know a gateway: they would set up a broken tunnel.
    static let accepted = json(.ok, Message(message: "OK"))

    /// The router is in, and this is its gateway.
    static func accepted(_ gateway: ChosenGateway) -> Answer {
        json(
            .ok,
            Offer(
                endpoint: Offer.Endpoint(
                    address: gateway.address,
                    allowedIPs: [gateway.linkAddress.unmappedDescription],
                    port: "\(gateway.port)",
                    publicKey: "\(gateway.publicKey)"
                )
            )
        )
    }

    /// The text of the deployed brokers, for everything that is wrong with a request.
    private static let refused = json(
        .badRequest,
        Failure("An internal error has occurred. Please try again later.")
    )

    /// The same text with another status.
    private static func refused(_ status: HTTPResponse.Status) -> Answer {
        Answer(status: status, fields: refused.fields, body: refused.body)
    }

    /// The request is no exchange: it is not JSON, or has no known domain and key.
    static let malformed = refused
    static let tooLong = refused(.contentTooLarge)
    /// The last answer on its connection. A client that goes on must connect again, and is refused before it costs
    /// anything.
    static let tooFast = {
        var answer = refused(.tooManyRequests)
        answer.fields[.connection] = "close"
        return answer
    }()
    private static let unavailable = refused(.serviceUnavailable)

    static func refusal(_ refusal: Refusal) -> Answer {
        switch refusal {
        case .noDomain, .invalidDomain, .noKey, .invalidKey, .prohibitedKey, .addressInUse: refused
        case .rateLimited: tooFast
        case .unavailable, .domainFull: unavailable
        }
    }

    static func noGateway(_ reason: NoGateway) -> Answer {
        switch reason {
        case .noneInService: noneInService
        case .noData: noData
        case .unavailable: unavailable
        }
    }

    private static let noneInService = json(
        .badRequest,
        Failure("no gateway online for this domain, please check the domain value and try again later")
    )
    private static let noData = json(.internalServerError, Failure("could not get gateway data"))

    // MARK: - Pages

    /// What routers fetch through the tunnel to see whether it works.
    static let frontPage = page(.ok, "kex", "This gateway exchanges WireGuard keys with the routers of a mesh network.")
    static let notFound = page(.notFound, "404 Not Found", "There is nothing here.")

    /// - Parameter methods: those that the path takes.
    static func wrongMethod(_ methods: String) -> Answer {
        var answer = page(.methodNotAllowed, "405 Method Not Allowed", "This takes \(methods).")
        answer.fields[.allow] = methods
        return answer
    }

    static func options(_ methods: String) -> Answer {
        Answer(status: .ok, fields: [.contentType: "text/html; charset=utf-8", .allow: methods], body: [])
    }

    // MARK: - The response

    /// - Parameter isHead: whether only the fields are wanted.
    func response(isHead: Bool) -> Response {
        var fields = fields
        fields[.contentLength] = "\(body.count)"
        fields[.server] = "kex"
        fields[.date] = httpDate()
        let content = isHead || body.isEmpty ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(bytes: body))
        return Response(status: status, headers: fields, body: content)
    }
}
