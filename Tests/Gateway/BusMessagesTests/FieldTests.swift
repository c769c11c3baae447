import BusMessages
import KexProtocol
import NetworkAddresses
import Testing
import WireGuardTypes

let domain = DomainName("ffww01")!
let gateway = GatewayName("gw04.ext.ffmuc.net")!
let keyText = "o52Ge+Rpj4CUSitVag9mS7pSXUesNM0ESnvj/wwehkg="
let key = PublicKey(text: keyText)!
let keyDigits = "a39d867be4698f80944a2b556a0f664bba525d47ac34cd044a7be3ff0c1e8648"

func read(
    _ topic: String,
    _ payload: some Sequence<UInt8>,
    trusting trusted: TrustedKeys? = nil
) throws(MalformedMessage) -> BusMessage {
    let (topic, payload) = (Array(topic.utf8), Array(payload))
    return try BusMessage(topic: topic.span, payload: payload.span, trusting: trusted)
}

@Suite("Messages of the field") struct FieldTests {
    private static let data = GatewayData(
        externalAddress: "gw04.ext.ffmuc.net",
        port: 40011,
        publicKey: key,
        linkAddress: IPv6Address("fe80::27c:16ff:fec0:6c74")!
    )!

    /// What the deployed programs write: the text of `json.dumps()` was made with Python.
    private static let messages: [(BusMessage, topic: String, payload: String)] = [
        (.registration(Registration(domain: domain, key: key)), "wireguard/ffww01/all", keyText),
        (
            .connectedPeers(domain, gateway, 17), "wireguard-metrics/ffww01/gw04.ext.ffmuc.net/connected_peers",
            "17"
        ),
        (.connectedPeers(domain, gateway, 0), "wireguard-metrics/ffww01/gw04.ext.ffmuc.net/connected_peers", "0"),
        (.connectedPeers(domain, gateway, nil), "wireguard-metrics/ffww01/gw04.ext.ffmuc.net/connected_peers", "-1"),
        (.status(gateway, isOnline: true), "wireguard-worker/gw04.ext.ffmuc.net/status", "1"),
        (.status(gateway, isOnline: false), "wireguard-worker/gw04.ext.ffmuc.net/status", "0"),
        (.frontDoor(gateway, isOnline: true), "wireguard-broker/gw04.ext.ffmuc.net/status", "1"),
        (.frontDoor(gateway, isOnline: false), "wireguard-broker/gw04.ext.ffmuc.net/status", "0"),
        (
            .data(gateway, domain, data), "wireguard-worker/gw04.ext.ffmuc.net/ffww01/data",
            #"{"ExternalAddress": "gw04.ext.ffmuc.net", "Port": 40011, "#
                + #""PublicKey": "o52Ge+Rpj4CUSitVag9mS7pSXUesNM0ESnvj/wwehkg=", "#
                + #""LinkAddress": "fe80::27c:16ff:fec0:6c74"}"#
        ),
    ]

    @Test("Each has the bytes that the deployed programs write, and is read from them", arguments: messages.indices)
    func bytes(index: Int) throws {
        let (message, topic, payload) = Self.messages[index]
        #expect("\(message.topic)" == topic)
        #expect(String(decoding: message.payload(), as: UTF8.self) == payload)
        #expect(try read(topic, payload.utf8) == message)
    }

    @Test("A registration for a certain worker is read as one for all, as workers do")
    func anyWorker() throws {
        #expect(try read("wireguard/ffww01/gw01", keyText.utf8) == Self.messages[0].0)
    }

    @Test(
        "Whatever is not a topic of the bus is refused",
        arguments: [
            "", "/", "wireguard", "wireguard/ffww01", "wireguard/ffww01/", "wireguard//all", "wireguard/a/b/c",
            "wireguard/ff ww01/all", "wireguard/ffww01/+", "wireguard/#/all", "wireguard/ffww01/all/",
            "Wireguard/ffww01/all", "/wireguard/ffww01/all", "wireguard-worker/gw01/Status",
            "wireguard-worker/ä/status",
            "wireguard-worker/gw01/ffww01", "wireguard-worker/gw01/ffww01/date", "wireguard-metrics/ffww01/gw01",
            "wireguard-metrics/ffww01/gw01/connected_peer", "wireguard-metrics/ffww01/gw01/connected_peers/x",
            "kex/ffww01/router/\(keyDigits.uppercased())", "kex/ffww01/router/\(keyDigits.dropLast())",
            "kex/ffww01/router/\(keyDigits)0", "kex/ffww01/router/\(keyDigits.dropLast())g", "kex/ffww01/count/",
            "kex/ffww01/counts/gw01", "wireguard/\(String(repeating: "a", count: 43))/all",
            "wireguard-worker/\(String(repeating: "a", count: 65))/status", String(repeating: "/", count: 60_000),
            "wireguard/ffww01/all\0",
        ]
    )
    func topics(topic: String) {
        #expect(throws: MalformedMessage.topic) { try read(topic, keyText.utf8) }
    }

    @Test("Names at their limits are read, and the longest topic is no longer than it may be")
    func limits() throws {
        let domain = DomainName(String(repeating: "d", count: 42))!
        let gateway = GatewayName(String(repeating: "g", count: 64))!
        let topics: [BusTopic] = [
            .registration(domain), .connectedPeers(domain, gateway), .status(gateway), .data(gateway, domain),
            .frontDoor(gateway), .router(domain, key), .count(domain, gateway),
        ]
        for topic in topics {
            let bytes = Array("\(topic)".utf8)
            #expect(BusTopic(bytes.span) == topic)
            #expect(bytes.count <= BusTopic.maximumLength)
        }
        #expect(GatewayName(String(repeating: "g", count: 65)) == nil)
        #expect(GatewayName("") == nil)
    }

    @Test(
        "Keys are those of the protocol, to the byte",
        arguments: [
            "", keyText + "\n", " " + keyText, keyText.replacing("kg=", with: "kh="),
            String(repeating: "A", count: 1 << 20),
        ]
    )
    func keys(payload: String) {
        #expect(throws: MalformedMessage.payload("not a WireGuard public key")) {
            try read("wireguard/ffww01/all", payload.utf8)
        }
    }

    @Test(
        "Counts are decimal, and nothing else that Python would read",
        arguments: [
            "", "-", "-0", "-2", "+1", "01", "00", " 1", "1 ", "1\n", "1_0", "1.0", "0x1", "١", "10000000", "-1 ",
            "--1",
        ]
    )
    func counts(payload: String) {
        #expect(throws: MalformedMessage.payload("not a count")) {
            try read("wireguard-metrics/ffww01/gw01/connected_peers", payload.utf8)
        }
    }

    @Test("The highest count")
    func highest() throws {
        let message = BusMessage.connectedPeers(domain, gateway, BusMessage.maximumPeers)
        #expect(try read("\(message.topic)", message.payload()) == message)
    }

    @Test("A status is one digit", arguments: ["", "2", "/", "1\n", "01", "online"])
    func status(payload: String) {
        #expect(throws: MalformedMessage.payload("neither 0 nor 1")) {
            try read("wireguard-worker/gw01/status", payload.utf8)
        }
    }

    @Test("Data in any order, with white space, escapes and members that nobody knows")
    func dataForms() throws {
        let text =
            "\t{\"id\" :-7,\r\n\"LinkAddress\":\"FE80:0::27c:16ff:fec0:6c74\",\"Port\":40011, \"pop\":\"\\ud83d\\ude00\","
            + "\"PublicKey\":\"\(keyText.replacing("/", with: "\\/"))\",\"External\\u0041ddress\":\"gw04.ext.ffmuc.net\"} \n"
        #expect(try read("wireguard-worker/gw04.ext.ffmuc.net/ffww01/data", text.utf8) == Self.messages[8].0)
    }

    @Test("Data that lack something, or have it otherwise, are refused", arguments: spoiltData)
    func badData(text: String) {
        #expect(throws: MalformedMessage.payload("not a gateway's data")) {
            try read("wireguard-worker/gw01/ffww01/data", text.utf8)
        }
    }

    private static let spoiltData: [String] = {
        let good = messages[8].payload
        let changes = [
            ("40011", "0"), ("40011", "65536"), ("40011", "-1"), ("40011", "40011.0"), ("40011", "4e4"),
            ("40011", "040011"),
            ("40011", "\"40011 \""), ("40011", "\"\""), ("40011", "true"), ("40011", "null"), ("40011", "[1]"),
            ("40011", ""),
            ("40011", "-"),
            ("40011", "99999999999999999999"), ("o52G", "p52"), ("fe80::27c:16ff:fec0:6c74", "192.0.2.1/32"),
            ("fe80::27c:16ff:fec0:6c74", "fe80::1/128"), ("fe80::27c:16ff:fec0:6c74", ""), ("gw04.ext.ffmuc.net", ""),
            ("gw04.ext.ffmuc.net", "a b"), ("gw04.ext.ffmuc.net", "a\\u0000"), ("gw04.ext.ffmuc.net", "a\\\"b"),
            ("gw04.ext.ffmuc.net", "ä"), ("gw04.ext.ffmuc.net", String(repeating: "a", count: 254)),
            ("gw04.ext.ffmuc.net", "a\nb"), ("gw04.ext.ffmuc.net", "a\\x"), ("gw04.ext.ffmuc.net", "\\ud83d"),
            ("gw04.ext.ffmuc.net", "\\ude00"), ("gw04.ext.ffmuc.net", "\\ud83d\\u0041"),
            ("gw04.ext.ffmuc.net", "\\u00g0"),
            ("ExternalAddress", "externaladdress"), ("\"Port\"", "Port"), ("\"Port\": ", "\"Port\" "), ("}", ""),
            ("}", ",}"),
            ("}", "} x"), ("{", ""), ("{", "[{"), (", \"Port\"", ", , \"Port\""), ("\"Port\"", "\"LinkAddress\""),
            ("}", ", \"Port\": null}"), ("}", ", \"more\": {}"), ("}", ", \"more\": [}"),
            ("}", String(repeating: " ", count: GatewayData.maximumText + 1 - good.utf8.count) + "}"),
        ]
        return ["", "{}", "null"] + changes.map { good.replacing($0.0, with: $0.1, maxReplacements: 1) }
    }()

    @Test("Data at their limits")
    func dataLimits() throws {
        let good = Self.messages[8].payload
        for text in [
            good.replacing("}", with: String(repeating: " ", count: GatewayData.maximumText - good.utf8.count) + "}"),
            good.replacing("}", with: (0..<100).map { ", \"m\($0)\": 0" }.joined() + "}"),
            good.replacing("}", with: ", \"more\": {\"a\": [1, {\"b\": null}]}, \"Port\": 1}"),
            good.replacing("40011", with: "\"40011\"").replacing("fe80::27c:16ff:fec0:6c74", with: "192.0.2.1"),
            good.replacing("gw04.ext.ffmuc.net", with: String(repeating: "a", count: 253)).replacing(
                "40011",
                with: "65535"
            ),
            good.replacing("gw04.ext.ffmuc.net", with: "2001:db8::1").replacing("40011", with: "1"),
        ] {
            guard case .data = try read("wireguard-worker/gw01/ffww01/data", text.utf8) else {
                Issue.record("\(text)")
                return
            }
        }
    }

    @Test("Bytes that are no UTF-8 are refused wherever they come")
    func invalidText() {
        let good = Array(Self.messages[8].payload.utf8)
        for index in good.indices {
            var bad = good
            bad[index] = 0xff
            #expect(throws: MalformedMessage.self) { try read("wireguard-worker/gw01/ffww01/data", bad) }
        }
        #expect(throws: MalformedMessage.topic) {
            let topic: [UInt8] = Array("wireguard/ff".utf8) + [0xc3] + Array("/all".utf8)
            _ = try BusMessage(topic: topic.span, payload: topic.span)
        }
    }
}
