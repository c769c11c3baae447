import FieldRouter
import RecordingLog
import Foundation
import HandlerChannel
import KexHTTP
import Logging
import NetworkAddresses
import SourceLimits
import SystemCalls
import Testing

@Suite("Limits of HTTP", .serialized) struct LimitTests {
    private let handler: FakeHandler

    init() throws { handler = try FakeHandler() }

    /// An exchange of exactly so many bytes.
    private func body(of count: Int) -> String {
        let start = "{\"domain\":\"ffww01\",\"public_key\":\"\(key)\",\"a\":\""
        return start + String(repeating: "x", count: count - start.utf8.count - 2) + "\"}"
    }

    @Test("A body of 1,024 bytes is read, one more is not", arguments: [(1023, 200), (1024, 200), (1025, 413)])
    func bodies(count: Int, status: Int) throws {
        let door = try TestDoor(handler: handler.path)
        for request in [post(v1, body(of: count)), chunked(v1, body(of: count)), chunked(v1, body(of: count), size: 1)]
        {
            let client = try HTTPClient(port: door.port)
            try client.send(request)
            let answer = try client.answer()
            #expect(answer.status == status)
            #expect(answer.body == (status == 200 ? accepted : failure))
        }
    }

    @Test("An answer of refusal arrives although the client goes on sending, and is the last one")
    func earlyAnswer() throws {
        let door = try TestDoor(handler: handler.path)
        let client = try HTTPClient(port: door.port)
        try client.send("POST \(v1) HTTP/1.1\r\nHost: gw\r\nContent-Length: 10000000\r\n\r\n")
        for _ in 0..<20 { try client.send(String(repeating: "x", count: 1000)) }
        let answer = try client.answer()
        #expect(answer.status == 413)
        #expect(answer.field("Connection") == "close")
        #expect(try client.end() == "")
    }

    @Test(
        "64 fields are read, and 8 KiB of them",
        arguments: [(64, 10, 200), (65, 10, 400), (10, 1000, 200), (10, 1020, 400)]
    )
    func header(count: Int, size: Int, status: Int) throws {
        let door = try TestDoor(handler: handler.path)
        // Host and Content-Length are two of them.
        let fields = (0..<count - 2).map { "X-\($0): \(String(repeating: "x", count: size))\r\n" }.joined()
        #expect(try door.answer(to: post(v1, Self.exchange, fields: fields)).status == status)
    }

    private static let exchange = KexHTTPTests.body

    @Test(
        "A request has its time, however slowly its bytes come",
        arguments: [
            "", "POST ", "POST \(v1) HTTP/1.1\r\nHost: gw\r\n", "POST \(v1) HTTP/1.1\r\nContent-Length: 100\r\n\r\n{",
        ]
    )
    func slow(start: String) throws {
        var limits = HTTPLimits()
        limits.requestTime = .milliseconds(600)
        let door = try TestDoor(handler: handler.path, limits: limits)
        let client = try HTTPClient(port: door.port)
        let time = try seconds { () throws in
            try client.send(start)
            // Something every tenth of a second, if anything came at all.
            if !start.isEmpty {
                while (try? client.send("x")) != nil { usleep(100_000) }
            }
            _ = try? client.end()
        }
        #expect(time > 0.5, "\(time)")
        #expect(handler.packets.isEmpty)
    }

    @Test("A connection that is kept open has the same time for the next request, and is closed in order")
    func keepAlive() throws {
        var limits = HTTPLimits()
        limits.requestTime = .milliseconds(600)
        let door = try TestDoor(handler: handler.path, limits: limits)
        let client = try HTTPClient(port: door.port)
        for _ in 0..<3 {
            try client.send(post(v1, Self.exchange))
            #expect(try client.answer().status == 200)
            usleep(400_000)
        }
        try client.send(post(v1, Self.exchange))
        #expect(try client.answer().status == 200)
        let time = try seconds { () throws in #expect(try client.end() == "") }
        #expect(time > 0.5, "\(time)")
    }

    @Test(
        "A client that says that it is done is answered and let go at once",
        arguments: [
            "POST \(v1) HTTP/1.0\r\nContent-Length: \(exchange.utf8.count)\r\n\r\n\(exchange)",
            post(v1, exchange, fields: "Connection: close\r\n"),
        ]
    )
    func lastRequest(request: String) throws {
        let door = try TestDoor(handler: handler.path)
        let client = try HTTPClient(port: door.port)
        try client.send(request)
        #expect(try client.answer().body == accepted)
        #expect(try client.end() == "")
    }

    @Test("A client that has half closed gets its answer")
    func halfClosed() throws {
        let door = try TestDoor(handler: handler.path)
        for request in [post(v1, Self.exchange), chunked(v2, Self.exchange)] {
            let client = try HTTPClient(port: door.port)
            try client.send(request)
            client.finishSending()
            #expect(try client.answer().status == 200)
            #expect(try client.end() == "")
        }
        // An incomplete request is none.
        let client = try HTTPClient(port: door.port)
        try client.send(String(post(v1, Self.exchange).dropLast()))
        client.finishSending()
        _ = try? client.end()
        #expect(handler.registrations.count == 2)
    }

    @Test(
        "What is no HTTP is refused",
        arguments: [
            "nonsense\r\n\r\n", "POST \(v1) HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            "POST \(v1) HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}",
        ]
    )
    func noHTTP(request: String) throws {
        let door = try TestDoor(handler: handler.path)
        let client = try HTTPClient(port: door.port)
        try client.send(request)
        #expect(try client.end().hasPrefix("HTTP/1.1 400 "))
    }

    @Test("Requests that a client sends without waiting are answered one after the other")
    func pipelined() throws {
        let door = try TestDoor(handler: handler.path)
        let client = try HTTPClient(port: door.port)
        try client.send((0..<20).map { _ in post(v1, Self.exchange) + chunked(v2, Self.exchange) }.joined())
        for _ in 0..<20 {
            #expect(try client.answer().body == accepted)
            #expect(try client.answer().body.hasPrefix("{\"Endpoint\""))
        }
    }

    // MARK: - Sources

    private func limited(_ change: (inout HTTPLimits) -> Void = { _ in }) throws -> TestDoor {
        var (limits, settings) = (HTTPLimits(), TestDoor.settings)
        change(&limits)
        settings.unlimitedSources = []
        return try TestDoor(handler: handler.path, settings: settings, limits: limits)
    }

    @Test("A source has 64 requests without a pause, on one connection or on many", arguments: [true, false])
    func burst(isKeptOpen: Bool) throws {
        let door = try limited { $0.source = SourceLimits.Share(burst: 64, interval: .seconds(3600), atOnce: 16) }
        let kept = try HTTPClient(port: door.port, source: 2)
        func ask() throws -> HTTPClient.Answer {
            guard isKeptOpen else { return try door.answer(to: post(v1, Self.exchange), source: 2) }
            try kept.send(post(v1, Self.exchange))
            return try kept.answer()
        }
        // The connection that is kept has taken a token by itself.
        if !isKeptOpen {
            try kept.send(post(v1, Self.exchange))
            #expect(try kept.answer().status == 200)
        }
        for _ in 0..<(isKeptOpen ? 64 : 63) { #expect(try ask().status == 200) }
        for _ in 0..<(isKeptOpen ? 1 : 3) {
            let answer = try ask()
            #expect(answer.status == 429)
            #expect(answer.body == failure)
            #expect(answer.field("Connection") == "close")
        }
        if isKeptOpen { #expect(try kept.end() == "") }
        #expect(handler.registrations.count == 64)
        #expect(try door.answer(to: post(v1, Self.exchange), source: 3).status == 200)
    }

    @Test("A source that goes on although it is too fast is closed without an answer")
    func refusals() throws {
        let door = try limited {
            $0.source = SourceLimits.Share(burst: 1, interval: .seconds(3600), atOnce: 16)
            $0.refusals = SourceLimits.Share(burst: 2, interval: .seconds(3600))
        }
        let statuses = (0..<5).map { _ in (try? door.answer(to: post(v1, Self.exchange), source: 2))?.status }
        #expect(statuses == [200, 429, 429, nil, nil])
        #expect(try door.answer(to: post(v1, Self.exchange), source: 3).status == 200)
    }

    @Test("Who resets a connection before it is accepted has no address, and nobody is asked")
    func noAddress() throws {
        let listener = try Socket.listen(on: .v4(IPv4Address("127.0.0.1")!, port: 0))
        let port = try Socket.localAddress(of: listener.raw).endpoint!.port
        // All of it waits in the kernel's queue, since nobody accepts yet.
        for _ in 0..<20 {
            let client = try HTTPClient(port: port)
            try client.send(post(v1, Self.exchange))
            client.resetAtEnd()
        }
        let log = RecordingLog()
        let door = HTTPFrontDoor(
            TestDoor.settings,
            handler: handler.path,
            logger: Logger(label: "test") { _ in log }
        )
        defer { door.stop() }
        try door.listen(on: listener)
        let honest = try HTTPClient(port: port)
        try honest.send(post(v1, Self.exchange))
        #expect(try honest.answer().status == 200)
        #expect(handler.registrations.map(\.source) == [IPv6Address("::ffff:127.0.0.1")!])
    }

    @Test("A source has 16 connections at a time")
    func atOnce() throws {
        let door = try limited()
        var held = try (0..<16).map { _ in try HTTPClient(port: door.port, source: 2) }
        for client in held {
            try client.send(post(v1, Self.exchange))
            #expect(try client.answer().status == 200)
        }
        #expect(throws: HTTPClient.Failure.self) { try door.answer(to: post(v1, Self.exchange), source: 2) }
        #expect(door.log.count(of: "refused a connection from 127.0.0.2: it has 16 open") == 1)
        #expect(try door.answer(to: post(v1, Self.exchange), source: 3).status == 200)
        held.removeLast()
        usleep(100_000)
        #expect(try door.answer(to: post(v1, Self.exchange), source: 2).status == 200)
        // Unlimited from now on.
        door.door.change(to: TestDoor.settings, identity: nil)
        #expect(try door.answer(to: post(v1, Self.exchange), source: 2).status == 200)
        #expect(try door.answer(to: post(v1, Self.exchange), source: 2).status == 200)
    }

    @Test("Connections that are refused take no place, whatever becomes of them")
    func refusedTakeNoPlace() throws {
        let door = try limited {
            $0.connections = 20
            $0.requestTime = .seconds(600)
            $0.drainTime = .seconds(600)
        }
        let held = try (0..<16).map { _ in try HTTPClient(port: door.port, source: 2) }
        // They say nothing, and do not close either.
        let refused = try (0..<100).map { _ in try HTTPClient(port: door.port, source: 2) }
        #expect(try door.answer(to: post(v1, Self.exchange), source: 3).status == 200)
        for client in refused { #expect(try client.end() == "") }
        for client in held {
            try client.send(post(v1, Self.exchange))
            #expect(try client.answer().status == 200)
        }
        #expect(door.log.count(of: "connections are open") == 0)
    }

    @Test("With all places taken, who has asked nothing for longest gives way to the next client")
    func places() throws {
        var limits = HTTPLimits()
        limits.connections = 3
        limits.requestTime = .seconds(600)
        let door = try TestDoor(handler: handler.path, limits: limits)
        let held = try (0..<3).map { _ in try HTTPClient(port: door.port) }
        for client in held {
            try client.send(post(v1, Self.exchange))
            #expect(try client.answer().status == 200)
        }
        // The first has asked again since.
        try held[0].send(post(v1, Self.exchange))
        #expect(try held[0].answer().status == 200)
        let next = try HTTPClient(port: door.port)
        try next.send(post(v1, Self.exchange))
        #expect(try next.answer().status == 200)
        #expect(try held[1].end() == "")
        for client in [held[0], held[2], next] {
            try client.send(post(v1, Self.exchange))
            #expect(try client.answer().status == 200)
        }
        #expect(door.log.count(of: "3 connections are open") == 1)
    }

    @Test("With all places taken by those who have asked, others wait")
    func placesOfAskers() throws {
        handler.behave { _ in [] }
        var limits = HTTPLimits()
        limits.connections = 3
        limits.answerTime = .seconds(3)
        let door = try TestDoor(handler: handler.path, limits: limits)
        // Whoever has connected and not asked yet would have to give way.
        let clients = try (0..<12).map { index in
            let client = try HTTPClient(port: door.port, patience: 60)
            try client.send(post(v1, Self.exchange))
            for _ in 0..<3000 where index < 3 && handler.registrations.count <= index { usleep(10_000) }
            return client
        }
        var answers = [try clients[0].answer().status]
        #expect(handler.registrations.count == 3)
        handler.behave(FakeHandler.answering())
        // Who has its answer gives way, and loses nothing by that.
        for client in clients[1...] { answers.append(try client.answer().status) }
        #expect(answers == [503, 503, 503] + Array(repeating: 200, count: 9))
        #expect(try clients[0].end() == "")
    }
}
