import FieldRouter
import RecordingLog
import Foundation
import HandlerChannel
import KexHTTP
import KexProtocol
import NetworkAddresses
import SourceLimits
import Synchronization
import SystemCalls
import Testing
import WireGuardTypes

@Suite("HTTP and its handler", .serialized) struct HandlerTests {
    /// Statuses of so many clients at once, each with a connection of its own.
    private func exchange(_ count: Int, _ door: TestDoor, path: String = v1) async -> [Int] {
        let port = door.port
        return await withTaskGroup(of: Int.self) { group in
            for _ in 0..<count {
                group.addTask {
                    await withCheckedContinuation { continuation in
                        Thread.detachNewThread {
                            guard let client = try? HTTPClient(port: port), (try? client.send(post(path, body))) != nil
                            else { return continuation.resume(returning: 0) }
                            continuation.resume(returning: (try? client.answer())?.status ?? 0)
                        }
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    @Test("Without a handler the answer is 503 at once, and there is one line in the log")
    func absent() throws {
        let door = try TestDoor(handler: FakeHandler.newPath())
        for path in [v1, v2, v1] {
            let answer = try door.answer(to: post(path, body))
            #expect(answer.status == 503)
            #expect(answer.body == failure)
        }
        #expect(door.log.count(of: "the handler cannot be asked") == 1)
    }

    @Test(
        "Without the bus, or with one that cannot publish, routers are let in here and sent here",
        arguments: [true, false]
    )
    func noBus(isThere: Bool) throws {
        let handler = try FakeHandler()
        let bus = try FakeHandler(FakeHandler.answering(.unavailable))
        let door = try TestDoor(handler: handler.path, bus: isThere ? bus.path : FakeHandler.newPath())
        #expect(try door.answer(to: post(v1, body)).body == accepted)
        #expect(try door.answer(to: post(v2, body)).body.contains("\"Address\":\"gw04.ext.example.net\""))
        #expect(bus.registrations.count == (isThere ? 2 : 0))
        if !isThere { #expect(door.log.count(of: "the bus cannot be asked") == 1) }
        // What this gateway refuses goes nowhere.
        handler.behave(FakeHandler.answering(.rateLimited))
        #expect(try door.answer(to: post(v1, body)).status == 429)
        #expect(bus.registrations.count == (isThere ? 2 : 0))
    }

    @Test("Without a gateway of its own a front door passes keys on, within the limits that a handler would keep")
    func remoteDomain() throws {
        let (handler, bus) = (try FakeHandler(), try FakeHandler())
        var settings = TestDoor.settings
        settings.unlimitedSources = []
        settings.remoteDomains = [DomainName("ffww01")!]
        var limits = HTTPLimits()
        limits.source = SourceLimits.Share(burst: 1000, interval: .seconds(1), atOnce: 16)
        let door = try TestDoor(handler: handler.path, bus: bus.path, settings: settings, limits: limits)
        func ask(_ number: Int, source: UInt32) throws -> Int {
            let bytes = [UInt8(number >> 8), UInt8(number & 0xff)] + [UInt8](repeating: 0x40, count: 30)
            let other = body.replacing(key, with: "\(PublicKey(bytes: bytes.span)!)")
            return try door.answer(to: post(v1, other), source: source).status
        }
        let statuses = try (0..<34).map { try ask($0, source: 2) }
        #expect(statuses == Array(repeating: 200, count: 32) + [429, 429])
        // A key that was passed on is not new, and another source has its own share.
        #expect(try ask(0, source: 2) == 200)
        #expect(try ask(33, source: 3) == 200)
        #expect(bus.registrations.count == 34)
        #expect(handler.packets.isEmpty)
        bus.behave(FakeHandler.answering(.unavailable))
        #expect(try ask(0, source: 2) == 503)
    }

    @Test("What this gateway cannot do now others may")
    func outOfService() throws {
        let (handler, bus) = (try FakeHandler(FakeHandler.answering(.unavailable)), try FakeHandler())
        let door = try TestDoor(handler: handler.path, bus: bus.path)
        #expect(try door.answer(to: post(v1, body)).body == accepted)
        handler.end()
        #expect(try door.answer(to: post(v1, body)).body == accepted)
        #expect(bus.registrations.count == 2)
        bus.behave(FakeHandler.answering(.unavailable))
        #expect(try door.answer(to: post(v1, body)).status == 503)
    }

    @Test("A handler that ends amid a request costs 503 at once, and the next one is used")
    func ended() async throws {
        let handler = try FakeHandler { _ in nil }
        let door = try TestDoor(handler: handler.path)
        #expect(try door.answer(to: post(v1, body)).status == 503)
        handler.behave(FakeHandler.answering())
        #expect(try door.answer(to: post(v1, body)).status == 200)
        #expect(handler.connections == 2)
        handler.end()
        usleep(100_000)
        #expect(try door.answer(to: post(v2, body)).status == 503)
        let next = try FakeHandler(path: handler.path)
        usleep(150_000)  // after a call that failed there is a pause of a tenth of a second
        #expect(try door.answer(to: post(v2, body)).status == 200)
        #expect(next.connections == 1)
    }

    @Test("A silent handler costs 503 when its time is over, and is asked again")
    func silent() throws {
        let handler = try FakeHandler { _ in [] }
        var limits = HTTPLimits()
        limits.answerTime = .milliseconds(500)
        let door = try TestDoor(handler: handler.path, limits: limits)
        let time = try seconds { () throws in #expect(try door.answer(to: post(v1, body)).status == 503) }
        #expect(time > 0.4, "\(time)")
        #expect(door.log.count(of: "no answer within") == 1)
        handler.behave { request in
            if case .statuses = request { return [] }
            return FakeHandler.answering()(request)
        }
        #expect(try door.answer(to: post(v1, body)).status == 200)
        // Only the question about the domain is not answered.
        let late = try seconds { () throws in #expect(try door.answer(to: post(v2, body)).status == 503) }
        #expect(late > 0.4, "\(late)")
        handler.behave(FakeHandler.answering())
        #expect(try door.answer(to: post(v2, body)).status == 200)
    }

    @Test(
        "Nonsense of a handler ends the connection, and the answer is 503",
        arguments: [[1, 2, 3], [1, 2, 0, 1, 0], [1, 2, 0, 1, 0, 0, 0, 1, 99]] as [[UInt8]]
    )
    func malformed(packet: [UInt8]) throws {
        let handler = try FakeHandler { _ in [packet] }
        let door = try TestDoor(handler: handler.path)
        #expect(try door.answer(to: post(v1, body)).status == 503)
        handler.behave(FakeHandler.answering())
        #expect(try door.answer(to: post(v1, body)).status == 200)
    }

    @Test("Answers that nobody waits for are passed over")
    func strayAnswers() throws {
        let handler = try FakeHandler { request in
            guard case .registrations(let requests) = request else { return nil }
            var packets: [[UInt8]] = [[], []]
            RegistrationFrame.encode(
                [RegistrationAnswer(id: requests[0].id &+ 7, refusal: .invalidKey)],
                into: &packets[0]
            )
            RegistrationFrame.encode(requests.map { RegistrationAnswer(id: $0.id, refusal: nil) }, into: &packets[1])
            return packets + packets
        }
        let door = try TestDoor(handler: handler.path)
        for _ in 0..<3 { #expect(try door.answer(to: post(v1, body)).status == 200) }
        #expect(handler.connections == 1)
    }

    @Test("What waits while the handler is busy goes to it in packets of 64 at most, and each gets its answer")
    func batches() async throws {
        let isFirst = Atomic(true)
        let handler = try FakeHandler { request in
            if isFirst.exchange(false, ordering: .relaxed) { usleep(500_000) }
            guard case .registrations(let requests) = request else { return nil }
            var packet: [UInt8] = []
            // Every other one is refused: whose answer it is shows.
            let answers = requests.reversed().map {
                RegistrationAnswer(id: $0.id, refusal: $0.id % 2 == 0 ? .rateLimited : nil)
            }
            RegistrationFrame.encode(answers, into: &packet)
            return [packet]
        }
        let door = try TestDoor(handler: handler.path)
        let statuses = await exchange(200, door)
        #expect(statuses.count { $0 == 200 } == 100)
        #expect(statuses.count { $0 == 429 } == 100)
        let sizes = handler.packets.map { if case .registrations(let requests) = $0 { requests.count } else { 0 } }
        #expect(sizes.reduce(0, +) == 200)
        #expect(sizes.max()! <= 64)
        #expect(Set(handler.registrations.map(\.id)).count == 200)
        #expect(handler.connections == 1)
    }

    @Test("How a domain is doing is asked once a second, however many want to know a gateway")
    func questions() async throws {
        let handler = try FakeHandler()
        let door = try TestDoor(handler: handler.path)
        let statuses = await exchange(50, door, path: v2) + exchange(50, door, path: v2)
        #expect(statuses.allSatisfy { $0 == 200 })
        #expect(handler.questions <= 2)
        usleep(1_100_000)
        let before = handler.questions
        #expect(try door.answer(to: post(v2, body)).status == 200)
        #expect(handler.questions == before + 1)
    }

    @Test("A front door that stops finishes what has been asked, and lets nobody else in")
    func stop() async throws {
        let handler = try FakeHandler { request in
            usleep(500_000)
            return FakeHandler.answering()(request)
        }
        let door = try TestDoor(handler: handler.path)
        let (idle, asking) = (try HTTPClient(port: door.port), try HTTPClient(port: door.port))
        try idle.send("GET / HTTP/1.1\r\nHost: gw\r\n\r\n")
        #expect(try idle.answer().status == 200)
        try asking.send(post(v1, body))
        usleep(100_000)
        let time = try seconds { () throws in door.stop() }
        #expect(time > 0.2, "\(time)")
        #expect(try asking.answer().body == accepted)
        #expect(try asking.end() == "")
        #expect(try idle.end() == "")
        #expect(throws: HTTPClient.Failure.self) { try HTTPClient(port: door.port) }
    }

    @Test("A stop does not wait for ever")
    func stopInTime() throws {
        let handler = try FakeHandler { _ in [] }
        var limits = HTTPLimits()
        limits.stopTime = .milliseconds(500)
        let door = try TestDoor(handler: handler.path, limits: limits)
        let client = try HTTPClient(port: door.port)
        try client.send(post(v1, body))
        usleep(100_000)
        let time = try seconds { () throws in door.stop() }
        #expect(time > 0.4, "\(time)")
    }

    @Test("Reloading changes domains, the gateway's name and its link address")
    func reload() throws {
        let handler = try FakeHandler()
        let door = try TestDoor(handler: handler.path)
        let client = try HTTPClient(port: door.port)
        func ask(_ domain: String) throws -> HTTPClient.Answer {
            try client.send(post(v2, body.replacing("ffww01", with: domain)))
            return try client.answer()
        }
        #expect(try ask("ffww02").status == 400)
        var settings = TestDoor.settings
        settings.domains = [DomainName("ffww02")!: IPv6Address("fe80::2")!]
        settings.externalName = "other.example.net"
        door.door.change(to: settings, identity: nil)
        #expect(try ask("ffww01").status == 400)
        let answer = try ask("ffww02")
        #expect(answer.body.contains("\"Address\":\"other.example.net\",\"AllowedIPs\":[\"fe80::2\"]"))
    }
}
