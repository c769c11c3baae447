import KexProtocol
import NetworkAddresses
import Testing
import WireGuardTypes

@testable import HandlerChannel

private let key = PublicKey(text: "I/Q7jOWvH9RGOBqF1tBPRXCbNLD0jEEUeSfHqbtd9wo=")!
private let longest = DomainName(String(repeating: "x", count: DomainName.maximumLength))!

private func request(_ id: UInt32, _ domain: DomainName = DomainName("ffww01")!) -> RegistrationRequest {
    RegistrationRequest(
        id: id,
        source: IPv6Address("2001:db8::1:2")!,
        registration: Registration(domain: domain, key: key)
    )
}

private func frame(of requests: [RegistrationRequest]) -> [UInt8] {
    var bytes: [UInt8] = []
    RegistrationFrame.encode(requests, into: &bytes)
    return bytes
}

private func frame(of answers: [RegistrationAnswer]) -> [UInt8] {
    var bytes: [UInt8] = []
    RegistrationFrame.encode(answers, into: &bytes)
    return bytes
}

private func bytes(_ encode: (inout [UInt8]) -> Void) -> [UInt8] {
    var bytes: [UInt8] = []
    encode(&bytes)
    return bytes
}

extension RegistrationFrame {
    /// Of a frame that is to have registrations.
    fileprivate static func requests(in bytes: Span<UInt8>) throws(MalformedFrame) -> [RegistrationRequest] {
        let request = try HandlerRequest(decoding: bytes, from: .front)
        guard case .registrations(let requests) = request else { throw .unexpectedKind(bytes[1]) }
        return requests
    }
}

@Suite("Frames for registrations") struct RegistrationFrameTests {
    @Test("have these bytes")
    func bytes() {
        // Version 1, kind 1, one record: id, source, key, domain.
        let expected: [UInt8] =
            [1, 1, 0, 1, 0x12, 0x34, 0x56, 0x78]
            + [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2]
            + key.bytes
            + [6] + Array("ffww01".utf8) + [UInt8](repeating: 0, count: 36)
        #expect(frame(of: [request(0x1234_5678)]) == expected)
        // Version 1, kind 2, two records: id, number of the refusal.
        let answers = [RegistrationAnswer(id: 7, refusal: nil), RegistrationAnswer(id: .max, refusal: .domainFull)]
        #expect(frame(of: answers) == [1, 2, 0, 2, 0, 0, 0, 7, 0, 255, 255, 255, 255, 8])
    }

    @Test("come back as they were, 1 to 64 at a time", arguments: [1, 2, 63, 64])
    func roundTrip(count: UInt32) throws {
        let requests = (0..<count).map { request($0, $0 % 2 == 0 ? longest : DomainName("a")!) }
        #expect(try RegistrationFrame.requests(in: frame(of: requests).span) == requests)
        let refusals = [nil] + Refusal.allCases
        let answers = (0..<count).map { RegistrationAnswer(id: $0, refusal: refusals[Int($0) % refusals.count]) }
        #expect(try RegistrationFrame.answers(in: frame(of: answers).span) == answers)
    }

    @Test("replace what was in the buffer before")
    func replace() {
        var bytes: [UInt8] = [9, 9, 9]
        RegistrationFrame.encode([RegistrationAnswer(id: 1, refusal: nil)], into: &bytes)
        #expect(bytes == [1, 2, 0, 1, 0, 0, 0, 1, 0])
    }

    @Test("of 65 records are not made")
    func tooMany() async {
        await #expect(processExitsWith: .failure) {
            var bytes: [UInt8] = []
            let answer = RegistrationAnswer(id: 1, refusal: nil)
            RegistrationFrame.encode([RegistrationAnswer](repeating: answer, count: 65), into: &bytes)
        }
    }

    @Test("are refused if they are too short for a header", arguments: 0..<4)
    func short(count: Int) {
        let bytes = Array(frame(of: [request(1)]).prefix(count))
        #expect(throws: MalformedFrame.tooShort(count)) { try RegistrationFrame.requests(in: bytes.span) }
    }

    @Test("are refused at every length but their own")
    func lengths() {
        let whole = frame(of: [request(1), request(2)])
        for count in 4..<whole.count {
            let bytes = Array(whole.prefix(count))
            #expect(throws: MalformedFrame.length(count, expected: whole.count)) {
                try RegistrationFrame.requests(in: bytes.span)
            }
        }
        let long = whole + [0]
        #expect(throws: MalformedFrame.length(long.count, expected: whole.count)) {
            try RegistrationFrame.requests(in: long.span)
        }
    }

    @Test(
        "are refused for a bad header",
        arguments: [
            (0, 0, .version(0)), (0, 2, .version(2)),
            (1, 0, .unexpectedKind(0)), (1, 17, .unexpectedKind(17)),
            (3, 0, .recordCount(0)), (3, 65, .recordCount(65)), (2, 1, .recordCount(257)),
            (2, 255, .recordCount(65281)),
        ] as [(Int, UInt8, MalformedFrame)]
    )
    func header(index: Int, value: UInt8, error: MalformedFrame) {
        var bytes = frame(of: [request(1)])
        bytes[index] = value
        #expect(throws: error) { try RegistrationFrame.requests(in: bytes.span) }
    }

    @Test("of 65 records are refused although everything else is right")
    func oneTooMany() {
        let record = frame(of: [RegistrationAnswer(id: 1, refusal: nil)]).dropFirst(4)
        var bytes: [UInt8] = [1, 2, 0, 65]
        for _ in 0..<65 { bytes += record }
        #expect(throws: MalformedFrame.recordCount(65)) { try RegistrationFrame.answers(in: bytes.span) }
    }

    @Test("are refused on the side that they are not for")
    func direction() {
        let requests = frame(of: [request(1)])
        let answers = frame(of: [RegistrationAnswer(id: 1, refusal: nil)])
        #expect(throws: MalformedFrame.unexpectedKind(1)) { try RegistrationFrame.answers(in: requests.span) }
        #expect(throws: MalformedFrame.unexpectedKind(2)) { try RegistrationFrame.requests(in: answers.span) }
        #expect(throws: MalformedFrame.unexpectedKind(2)) { try ControlFrame.report(in: answers.span) }
        #expect(throws: MalformedFrame.unexpectedKind(1)) { try RegistrationFrame.answer(in: requests.span) }
    }

    @Test("are refused for a domain that is none", arguments: [(56, 0), (56, 43), (56, 5), (56, 7), (57, 0x2f)])
    func domain(index: Int, value: UInt8) {
        var bytes = frame(of: [request(1)])
        bytes[index] = value
        #expect(throws: MalformedFrame.self) { try RegistrationFrame.requests(in: bytes.span) }
    }

    @Test("are refused for a refusal that is none")
    func refusal() {
        var bytes = frame(of: [RegistrationAnswer(id: 1, refusal: nil)])
        bytes[8] = 10
        #expect(throws: MalformedFrame.record("refusal 10")) { try RegistrationFrame.answers(in: bytes.span) }
    }
}

@Suite("Frames about domains") struct StatusFrameTests {
    private let statuses = [
        DomainStatus(
            domain: DomainName("ffww01")!,
            isInService: true,
            publicKey: key,
            listenPort: 0x1234,
            connected: 0x0102_0304,
            routers: 5
        ),
        DomainStatus(domain: longest, isInService: false),
        DomainStatus(domain: longest, isInService: true, listenPort: .max, connected: .max, routers: .max),
    ]

    private func frame(of statuses: [DomainStatus]) -> [UInt8] {
        var bytes: [UInt8] = []
        RegistrationFrame.encode(statuses, into: &bytes)
        return bytes
    }

    @Test("have these bytes")
    func bytes() {
        var question: [UInt8] = []
        RegistrationFrame.encode(statusOf: [DomainName("ffww01")!], into: &question)
        let domain = [6] + Array("ffww01".utf8) + [UInt8](repeating: 0, count: 36)
        #expect(question == [1, 6, 0, 1] + domain)
        // In service, key, port, connected, routers.
        let answer: [UInt8] = [1, 7, 0, 1] + domain + [1] + key.bytes + [0x12, 0x34, 1, 2, 3, 4, 0, 0, 0, 5]
        #expect(frame(of: [statuses[0]]) == answer)
    }

    @Test("come back as they were")
    func roundTrip() throws {
        let names = statuses.map(\.domain)
        var question: [UInt8] = []
        RegistrationFrame.encode(statusOf: names, into: &question)
        #expect(try HandlerRequest(decoding: question.span, from: .front) == .statuses(of: names))
        let answer = frame(of: statuses)
        #expect(try RegistrationFrame.answer(in: answer.span) == .statuses(statuses))
        #expect(throws: MalformedFrame.unexpectedKind(6)) { try RegistrationFrame.answer(in: question.span) }
        // kexd asks no such thing.
        #expect(throws: MalformedFrame.unexpectedKind(7)) { try RegistrationFrame.answers(in: answer.span) }
    }

    @Test("are refused for a flag that is none")
    func flag() {
        var bytes = frame(of: [statuses[0]])
        bytes[4 + 43] = 2
        #expect(throws: MalformedFrame.record("flag 2")) { try RegistrationFrame.answer(in: bytes.span) }
    }

    @Test("fit into the buffer that is meant for them")
    func size() {
        #expect(frame(of: [DomainStatus](repeating: statuses[1], count: 64)).count <= ChannelLimit.frameSize)
    }
}

@Suite("Frames for the operator's programs") struct ControlFrameTests {
    @Test("with sweeps come back as they were")
    func sweeps() throws {
        let all = [SweepRequest(domain: nil, isDryRun: true)]
        let some = [longest, DomainName("a")!].map { SweepRequest(domain: $0, isDryRun: false) }
        for requests in [all, some] {
            let frame = bytes { ControlFrame.encode(requests, into: &$0) }
            #expect(try HandlerRequest(decoding: frame.span, from: .control) == .sweeps(requests))
        }
        for twice in [all + some, all + all, some + some] {
            let frame = bytes { ControlFrame.encode(twice, into: &$0) }
            #expect(throws: MalformedFrame.record("a domain that is named twice")) {
                try HandlerRequest(decoding: frame.span, from: .control)
            }
        }
        var bad = bytes { ControlFrame.encode(all, into: &$0) }
        bad[4] = 2
        #expect(throws: MalformedFrame.record("flag 2")) { try HandlerRequest(decoding: bad.span, from: .control) }
    }

    @Test("with events come back as they were, for each action and with no handshake at all")
    func events() throws {
        let silences: [Int64?] = [nil, 0, 3600, -1, .max]
        let events = SweepEvent.Action.allCases.enumerated().map { index, action in
            SweepEvent(domain: longest, key: key, action: action, silence: silences[index])
        }
        let frame = bytes { ControlFrame.encode(events, into: &$0) }
        #expect(try ControlFrame.report(in: frame.span) == .events(events))
        for number: UInt8 in [0, 6] {
            var bad = frame
            bad[4] = number
            #expect(throws: MalformedFrame.record("action \(number)")) { try ControlFrame.report(in: bad.span) }
        }
    }

    @Test("with an end come back as they were", arguments: [nil, "interface wgww01 is not there"])
    func ends(failure: String?) throws {
        for domain in [nil, longest] {
            let end = SweepEnd(domain: domain, peers: .max, failure: failure)
            let frame = bytes { ControlFrame.encode(end, into: &$0) }
            #expect(try ControlFrame.report(in: frame.span) == .end(end))
        }
    }

    @Test("are refused for a text longer than its field")
    func longText() throws {
        let end = SweepEnd(domain: nil, peers: 0, failure: String(repeating: "t", count: 180))
        var frame = bytes { ControlFrame.encode(end, into: &$0) }
        // Behind the header, the peers and the domain with its length.
        let length = 4 + 4 + 1 + DomainName.maximumLength
        #expect(frame[length] == 180)
        frame[length] = 181
        #expect(throws: MalformedFrame.record("a text of length 181")) { try ControlFrame.report(in: frame.span) }
    }

    @Test("keep 180 bytes of a failure", arguments: [179, 180, 181])
    func failure(count: Int) throws {
        let end = SweepEnd(domain: nil, peers: 0, failure: String(repeating: "t", count: count))
        let frame = bytes { ControlFrame.encode(end, into: &$0) }
        guard case .end(let decoded) = try ControlFrame.report(in: frame.span) else {
            Issue.record("not an end")
            return
        }
        #expect(decoded.failure == String(repeating: "t", count: min(count, 180)))
    }

    @Test("fit into the buffer that is meant for them")
    func size() throws {
        let event = SweepEvent(domain: longest, key: key, action: .marked, silence: nil)
        let largest = bytes { ControlFrame.encode([SweepEvent](repeating: event, count: 64), into: &$0) }
        #expect(largest.count <= ChannelLimit.frameSize)
        #expect(frame(of: (0..<64).map { request($0, longest) }).count <= ChannelLimit.frameSize)
    }
}

@Suite("Frames for the program that speaks with other gateways") struct FleetFrameTests {
    @Test("with what other gateways say, and with routers, come back as they were")
    func routers() throws {
        let registration = Registration(domain: longest, key: key)
        let news = RouterNews.Kind.allCases.map { kind in
            RouterNews(id: .max, kind: kind, time: .max, registration: registration)
        }
        var frame = bytes { FleetFrame.encode(news, into: &$0) }
        #expect(try HandlerRequest(decoding: frame.span, from: .fleet) == .news(news))
        frame[8] = 3
        #expect(throws: MalformedFrame.record("news 3")) { try HandlerRequest(decoding: frame.span, from: .fleet) }

        let request = RouterListRequest(domain: longest, lastRemoval: .max)
        let question = bytes { FleetFrame.encode(request, into: &$0) }
        #expect(try HandlerRequest(decoding: question.span, from: .fleet) == .routers(request))
        var nameless = question
        for index in 12..<nameless.count { nameless[index] = 0 }
        #expect(throws: MalformedFrame.self) { try HandlerRequest(decoding: nameless.span, from: .fleet) }
        let removals = [RouterRemoval(key: key), RouterRemoval(key: key)]
        let removed = bytes { FleetFrame.encode(removals, into: &$0) }
        #expect(try FleetFrame.answer(in: removed.span) == .removals(removals))

        let routers = [nil, 0, 1, .max].map { RouterRecord(key: key, lastHandshake: $0) }
        let list = bytes { FleetFrame.encode(routers, into: &$0) }
        #expect(try FleetFrame.answer(in: list.span) == .routers(routers))
        for isWhole in [false, true] {
            let end = RouterListEnd(domain: longest, isWhole: isWhole, lastRemoval: 0x1234)
            var frame = bytes { FleetFrame.encode(end, into: &$0) }
            #expect(try FleetFrame.answer(in: frame.span) == .routerListEnd(end))
            frame[4] = 2
            #expect(throws: MalformedFrame.record("flag 2")) { try FleetFrame.answer(in: frame.span) }
        }
        let refusals = [RegistrationAnswer(id: 7, refusal: .domainFull)]
        // Answers to news and to registrations have numbers of their own.
        let answers = bytes { FleetFrame.encode(toNews: refusals, into: &$0) }
        #expect(try FleetFrame.answer(in: answers.span) == .news(refusals))
        let others = bytes { RegistrationFrame.encode(refusals, into: &$0) }
        #expect(try FleetFrame.answer(in: others.span) == .registrations(refusals))
        #expect(throws: MalformedFrame.unexpectedKind(9)) { try FleetFrame.answer(in: question.span) }
    }

    @Test("with registrations that came to another gateway have no source, and come back as they were")
    func remoteRegistrations() throws {
        let requests = [longest, DomainName("ffww01")!].enumerated().map { index, domain in
            RemoteRegistration(id: UInt32.max - UInt32(index), registration: Registration(domain: domain, key: key))
        }
        let frame = bytes { FleetFrame.encode(requests, into: &$0) }
        #expect(frame.count == 4 + 2 * (4 + 32 + 43))
        #expect(frame.prefix(4) == [1, 14, 0, 2])
        #expect(try HandlerRequest(decoding: frame.span, from: .fleet) == .remoteRegistrations(requests))
    }
}
