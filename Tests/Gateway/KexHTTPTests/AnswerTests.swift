import FieldRouter
import HandlerChannel
import KexHTTP
import KexProtocol
import NetworkAddresses
import Testing
import WireGuardTypes

/// The table of what deployed brokers answer, and what they have no answer for.
@Suite("Answers over HTTP", .serialized) struct AnswerTests {
    private let handler: FakeHandler
    private let door: TestDoor

    init() throws {
        handler = try FakeHandler()
        door = try TestDoor(handler: handler.path)
    }

    @Test(
        "v1 says that the router is in, byte for byte",
        arguments: [post(v1, body), chunked(v1, body), chunked(v1, body, size: 1)]
    )
    func v1Accepted(request: String) throws {
        let answer = try door.answer(to: request)
        #expect(answer.status == 200)
        #expect(answer.body == accepted)
        #expect(answer.field("Content-Type") == "application/json")
        let expected = RegistrationRequest(
            id: handler.registrations[0].id,
            source: IPv6Address("::ffff:127.0.0.1")!,
            registration: Registration(domain: DomainName("ffww01")!, key: PublicKey(text: key)!)
        )
        #expect(handler.registrations == [expected])
    }

    @Test("v2 names the gateway, byte for byte", arguments: [post(v2, body), chunked(v2, body)])
    func v2Accepted(request: String) throws {
        let answer = try door.answer(to: request)
        #expect(answer.status == 200)
        let fields = "\"Address\":\"gw04.ext.example.net\",\"AllowedIPs\":[\"fe80::5757:bb:1\"],\"Port\":\"40011\""
        #expect(answer.body == "{\"Endpoint\":{\(fields),\"PublicKey\":\"\(gatewayKey)\"}}\n")
        #expect(answer.field("Content-Type") == "application/json")
    }

    static let noExchanges: [String] = [
        "", " ", "no JSON", "[]", "[\"domain\", \"public_key\"]", "null", "\"ffww01\"", "{}", body + body,
        body.dropLast() + "",
        "{\"domain\": \"ffww01\"}", "{\"public_key\": \"\(key)\"}",
        "{\"domain\": \"ffww01\",\"domain\": \"x\",\"public_key\": \"\(key)\"}",
        "{\"domain\": \"ffww01\",\"domain\": null,\"public_key\": \"\(key)\"}", "\(body.dropLast()),}",
        "\(body.dropLast()),\"a\": 01}", "\(body.dropLast()),\"a\": 1.}", "\(body.dropLast()),\"a\": \"\t\"}",
        "\(body.dropLast()),\"a\": [1}]}", "\(body.dropLast()),\"a\": {\"b\"}}", "\(body)x", "\(body)\0", "/**/\(body)",
        "{\"domain\": null,\"public_key\": \"\(key)\"}", "{\"domain\": 1,\"public_key\": \"\(key)\"}",
        "{\"domain\": \"ffww01\",\"public_key\": null}", "{\"domain\": [\"ffww01\"],\"public_key\": \"\(key)\"}",
        "{\"domain\": \"ffww02\",\"public_key\": \"\(key)\"}", "{\"domain\": \"\",\"public_key\": \"\(key)\"}",
        "{\"domain\": \"FFWW01\",\"public_key\": \"\(key)\"}", "{\"domain\": \"ffww01\\n\",\"public_key\": \"\(key)\"}",
        "{\"domain\": \"ffww01\",\"public_key\": \"\(key)\\n\"}",
        "{\"domain\": \"ffww01\",\"public_key\": \"\(key)\\u0000\"}",
        "{\"domain\": \"ffww01\",\"public_key\": \" \(key)\"}",
        "{\"domain\": \"ffww01\",\"public_key\": \"\(key.dropLast())\"}",
        "{\"domain\": \"ffww01\",\"public_key\": \"\(key.dropLast(2))x=\"}",
        "{\"domain\": \"ffww01\",\"public_key\": \"\"}",
        String(repeating: "[", count: 1024), String(repeating: "{\"a\":", count: 200),
        "{'domain': 'ffww01','public_key': '\(key)'}", "domain=ffww01&public_key=\(key)", "\u{fffd}\u{1}",
    ]

    @Test(
        "What is no exchange is refused in the deployed words, and nobody is asked",
        arguments: noExchanges,
        [v1, v2]
    )
    func malformed(body: String, path: String) throws {
        for request in [post(path, body), chunked(path, body)] {
            let answer = try door.answer(to: request)
            #expect(answer.status == 400)
            #expect(answer.body == failure)
            #expect(answer.field("Content-Type") == "application/json")
        }
        #expect(handler.packets.isEmpty)
    }

    @Test(
        "Other fields, their order, blanks and escapes do not count",
        arguments: [
            "{\"public_key\":\"\(key)\",\"domain\":\"ffww01\"}",
            "{\"domain\": \"ffww01\",\"public_key\": \"\(key)\",\"location\": {\"a\": [1, null]}}",
            " \r\n{ \"domain\" : \"ffww01\" , \"public_key\" : \"\(key)\" }\n",
            "{\"domain\": \"ff\\u0077w01\",\"public_key\": \"\(key.dropLast())\\u003d\"}",
            "{\"domain\": \"x\",\"dom\\u0061in\": \"ffww01\",\"public_key\": 1,\"public_key\": \"\(key)\"}",
            "\u{feff}\(body)",
            "\(body.dropLast()),\"a\": [NaN, -Infinity, 1e999, -0.5E+3, \(String(repeating: "9", count: 400))]}",
            "\(body.dropLast()),\"a\": \"\\ud800\\u0000\\ud83d\\ude00\"}",
            "\(body.dropLast()),\"a\": \(String(repeating: "[", count: 300))\(String(repeating: "]", count: 300))}",
            "\(body.dropLast()),\"a\": {\"b\": [[], {}, {\"c\": {}}, true, false, null], \"d\": \"x\"}}",
        ]
    )
    func spellings(body: String) throws {
        #expect(try door.answer(to: post(v1, body)).body == accepted)
    }

    @Test(
        "The type of the content does not count",
        arguments: ["", "application/json", "application/x-www-form-urlencoded", "text/plain", "nonsense"]
    )
    func contentType(type: String) throws {
        let field = type.isEmpty ? "" : "Content-Type: \(type)\r\n"
        #expect(try door.answer(to: post(v1, body, fields: field)).body == accepted)
    }

    @Test(
        "Other methods are told which there are",
        arguments: ["GET", "PUT", "DELETE", "PATCH", "HEAD", "PROPFIND"],
        [v1, v2, "/api/add_key"]
    )
    func methods(method: String, path: String) throws {
        let answer = try door.answer(to: "\(method) \(path) HTTP/1.1\r\nHost: gw\r\n\r\n", hasBody: method != "HEAD")
        #expect(answer.status == 405)
        #expect(answer.field("Allow") == "POST, OPTIONS")
        #expect(answer.field("Content-Type") == "text/html; charset=utf-8")
        let options = try door.answer(to: "OPTIONS \(path) HTTP/1.1\r\nHost: gw\r\n\r\n")
        #expect(options.status == 200)
        #expect(options.field("Allow") == "POST, OPTIONS")
        #expect(options.body == "")
    }

    @Test(
        "Other paths lead nowhere",
        arguments: ["/x", "/api/v1/wg/key/exchange/", "/api/v3/wg/key/exchange", "//x", "/API/v1/wg/key/exchange", "*"]
    )
    func paths(path: String) throws {
        for method in ["GET", "POST"] {
            let answer = try door.answer(to: "\(method) \(path) HTTP/1.1\r\nHost: gw\r\nContent-Length: 0\r\n\r\n")
            #expect(answer.status == 404)
            #expect(answer.field("Content-Type") == "text/html; charset=utf-8")
        }
        #expect(try door.answer(to: post("\(v1)?a=b", body)).status == 200)
    }

    @Test(
        "Slashes at the beginning, percent-encoding and whole URLs are read as deployed servers read them",
        arguments: [
            "/\(v1)", "//\(v1)", "/api//v1/wg/key/exchange", "/api/v1/wg/key/exch%61nge", "/api/v1/wg/key%2fexchange",
            "/%2Fapi/v1/wg/key/exchange", "http://gw\(v1)", "http://gw/\(v1)", "\(v1)#x", "\(v1)?a=/b",
        ]
    )
    func pathForms(path: String) throws {
        #expect(try door.answer(to: post(path, body)).body == accepted)
        #expect(try door.answer(to: "GET \(path) HTTP/1.1\r\nHost: gw\r\n\r\n").status == 405)
    }

    @Test(
        "What is no such path is none",
        arguments: [
            "\(v1)%zz", "\(v1)%3Fa", "\(v1);x", "/.\(v1)", "\(v1)%", "\(v1)%6", "\(v1)%00", "\(v1)//", "http://gw",
        ]
    )
    func noPaths(path: String) throws {
        #expect([404, 405].contains(try door.answer(to: post(path, body)).status))
        #expect(handler.packets.isEmpty)
    }

    @Test("Who expects to be told to go on is told")
    func expectation() throws {
        let client = try HTTPClient(port: door.port)
        let length = body.utf8.count
        try client.send("POST \(v1) HTTP/1.1\r\nHost: gw\r\nExpect: 100-continue\r\nContent-Length: \(length)\r\n\r\n")
        #expect(try client.answer(hasBody: false).status == 100)
        try client.send(body)
        #expect(try client.answer().body == accepted)
        // Other expectations do not count, nor does this one of a client that cannot know it.
        #expect(try door.answer(to: post(v1, body, fields: "Expect: more\r\n")).body == accepted)
        let old = "POST \(v1) HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: \(length)\r\n\r\n\(body)"
        #expect(try door.answer(to: old).body == accepted)
    }

    @Test("A gateway is named without an exchange")
    func bestGateway() throws {
        let best = "/api/v2/wg/gateway/best"
        let answer = try door.answer(to: post(best, "{\"domain\": \"ffww01\"}"))
        #expect(answer.status == 200)
        #expect(try answer.body == door.answer(to: post(v2, body)).body)
        #expect(handler.registrations.count == 1)
        for bad in ["", "{}", "{\"domain\": \"x\"}"] {
            #expect(try door.answer(to: post(best, bad)).body == failure)
        }
        #expect(try door.answer(to: post(best, "{\"domain\": \"unlinked\"}")).status == 500)
        #expect(try door.answer(to: "GET \(best) HTTP/1.1\r\nHost: gw\r\n\r\n").status == 405)
    }

    @Test("The front page is there for whoever tests the tunnel")
    func frontPage() throws {
        let page = try door.answer(to: "GET / HTTP/1.1\r\nHost: [fe80::1]\r\n\r\n")
        #expect(page.status == 200)
        #expect(page.body.contains("<title>kex</title>"))
        let client = try HTTPClient(port: door.port)
        // The answer to HEAD has no body: the next answer begins right behind it.
        try client.send("HEAD / HTTP/1.1\r\nHost: gw\r\n\r\nGET / HTTP/1.1\r\nHost: gw\r\n\r\n")
        #expect(try client.answer(hasBody: false).field("Content-Length") == "\(page.body.utf8.count)")
        let next = try client.answer()
        #expect(next.status == 200)
        #expect(next.body == page.body)
        let post = try door.answer(to: post("/", ""))
        #expect(post.status == 405)
        #expect(post.field("Allow") == "GET, HEAD, OPTIONS")
    }

    @Test("A router that names itself and no domain is let into the configured one")
    func nodeNames() throws {
        let request = "{\"node_name\": \"any thing\",\"public_key\": \"\(key)\"}"
        #expect(try door.answer(to: chunked("/api/add_key", request)).body == accepted)
        #expect(handler.registrations.map(\.registration.domain.text) == ["ffww01"])
        for bad in [body, "{\"node_name\": \"x\"}", "{\"node_name\": \"x\",\"public_key\": \"\(key)\\n\"}"] {
            #expect(try door.answer(to: chunked("/api/add_key", bad)).status == 400)
        }
        // Not unless the operator wants it.
        var settings = TestDoor.settings
        settings.nodeNames = nil
        door.door.change(to: settings, identity: nil)
        #expect(try door.answer(to: chunked("/api/add_key", request)).status == 404)
    }

    @Test(
        "Refusals of the handler",
        arguments: [
            (.noDomain, 400), (.invalidDomain, 400), (.noKey, 400), (.invalidKey, 400), (.prohibitedKey, 400),
            (.unavailable, 503), (.addressInUse, 400), (.domainFull, 503), (.rateLimited, 429),
        ] as [(Refusal, Int)],
        [v1, v2]
    )
    func refusals(refusal: (Refusal, Int), path: String) throws {
        handler.behave(FakeHandler.answering(refusal.0))
        let answer = try door.answer(to: post(path, body))
        #expect(answer.status == refusal.1)
        #expect(answer.body == failure)
        #expect(answer.field("Content-Type") == "application/json")
    }

    @Test("What is not known of a gateway is no answer of success")
    func noGateway() throws {
        func status(_ change: (inout DomainStatus) -> Void) -> DomainStatus {
            var status = FakeHandler.inService(DomainName("ffww01")!)
            change(&status)
            return status
        }
        let noData = "{\"error\":{\"message\":\"could not get gateway data\"}}\n"
        let none =
            "no gateway online for this domain, please check the domain value and try again later"
        var limits = HTTPLimits()
        limits.statusAge = .zero
        let door = try TestDoor(handler: handler.path, limits: limits)
        for (status, code, text) in [
            (status { $0.isInService = false }, 400, "{\"error\":{\"message\":\"\(none)\"}}\n"),
            (status { $0.publicKey = nil }, 500, noData), (status { $0.listenPort = nil }, 500, noData),
        ] {
            handler.behave(FakeHandler.answering { _ in status })
            let answer = try door.answer(to: post(v2, body))
            #expect(answer.status == code)
            #expect(answer.body == text)
            #expect(try door.answer(to: post(v1, body)).body == accepted)
        }
        // LinkAddress= is missing.
        handler.behave(FakeHandler.answering())
        let unlinked = body.replacing("ffww01", with: "unlinked")
        #expect(try door.answer(to: post(v2, unlinked)).body == noData)
        #expect(try door.answer(to: post(v1, unlinked)).body == accepted)
    }

    @Test("Every answer has a date, and names this server")
    func fields() throws {
        for request in [post(v1, body), post("/x", ""), "GET / HTTP/1.1\r\nHost: gw\r\n\r\n"] {
            let answer = try door.answer(to: request)
            #expect(answer.field("Server") == "kex")
            let date = try #require(answer.field("Date"))
            #expect(
                date.wholeMatch(of: /(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT/) != nil
            )
        }
    }
}

@Suite("Routers in the field", .serialized) struct FieldRouterTests {
    @Test("come away with what they look for", arguments: [true, false])
    func success(isRecent: Bool) throws {
        let handler = try FakeHandler()
        let door = try TestDoor(handler: handler.path)
        let router = FieldRouter(domain: "ffww01", key: key, isRecent: isRecent)
        #expect(router.post(v1, door.port) == .registered)
        let gateway = FieldRouter.Outcome.gateway(
            address: "gw04.ext.example.net",
            port: "40011",
            publicKey: "\(gatewayKey)",
            allowedIP: "fe80::5757:bb:1"
        )
        #expect(router.exchange(port: door.port) == gateway)
    }

    @Test("take the old exchange when no gateway can be named, and a refusal for one")
    func fallback() throws {
        let handler = try FakeHandler()
        let door = try TestDoor(handler: handler.path)
        #expect(FieldRouter(domain: "unlinked", key: key).exchange(port: door.port) == .registered)
        #expect(FieldRouter(domain: "other", key: key).exchange(port: door.port) == .failed(8))
        handler.end()
        #expect(FieldRouter(domain: "ffww01", key: key).exchange(port: door.port) == .failed(8))
        door.stop()
        #expect(FieldRouter(domain: "ffww01", key: key).exchange(port: door.port) == .failed(4))
    }
}
