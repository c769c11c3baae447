import Glibc
import Patience
import RecordingLog
import HandlerChannel
import KexProtocol
import KexServer
import NetworkAddresses
import SystemCalls
import Testing
import Time
import WireGuardTypes

private let key = "I/Q7jOWvH9RGOBqF1tBPRXCbNLD0jEEUeSfHqbtd9wo="
private let otherKey = "nL6X8BBlmHGqHHWGwCqFRTLWpOXVf9SLtNPGnSp7BQs="
private let exchange = "ffww01\n\(key)\n"
private let unavailable = TestClient.Outcome.closed("ERR: UNAVAILABLE\n")

/// The limits of the service, with some of them changed.
private func limits(_ change: (inout ServerLimits) -> Void) -> ServerLimits {
    var limits = ServerLimits()
    change(&limits)
    return limits
}

@Suite("A server with a handler that answers") struct ServerTests {
    let handler: TestHandler
    let server: TestServer

    init() throws {
        handler = try TestHandler()
        server = try TestServer.running(handler: handler.path)
    }

    @Test("passes on what the router asks for, and closes without a byte for success")
    func success() throws {
        let client = try TestClient(port: server.port)
        try client.send(exchange)
        try handler.accept()
        let request = try handler.request()
        #expect(request.source == IPv6Address(mapping: IPv4Address(value: 0x7f00_0001)))
        #expect(request.registration.domain.text == "ffww01")
        #expect(request.registration.key.description == key)
        #expect(!client.hasAnswer)
        try handler.answer(request, nil)
        #expect(try client.outcome() == .success)
    }

    @Test("passes on each refusal", arguments: Refusal.allCases)
    func refusals(refusal: Refusal) throws {
        let client = try TestClient(port: server.port)
        try client.send(exchange)
        try handler.accept()
        try handler.answer(try handler.request(), refusal)
        #expect(try client.outcome() == .closed(refusal.reply))
    }

    @Test("uses one connection to the handler for many exchanges")
    func persistent() throws {
        for round in 0..<20 {
            let client = try TestClient(port: server.port)
            try client.send(exchange)
            if round == 0 { try handler.accept() }
            try handler.answer(try handler.request(), round % 2 == 0 ? nil : .domainFull)
            #expect(try client.outcome() == (round % 2 == 0 ? .success : .closed("ERR: DOMAIN_FULL\n")))
        }
        #expect(!handler.isCalled)
    }

    @Test("waits for lines that come in small parts")
    func parts() throws {
        let client = try TestClient(port: server.port)
        for byte in exchange.utf8 {
            try client.send([byte])
            usleep(500)
        }
        try handler.accept()
        try handler.answer(try handler.request(), .prohibitedKey)
        #expect(try client.outcome() == .closed("ERR: PROHIBITED_WGKEY\n"))
    }

    @Test("takes a key without line feed when the client has finished")
    func halfClose() throws {
        let client = try TestClient(port: server.port)
        try client.send(String(exchange.dropLast()))
        client.finishSending()
        try handler.accept()
        try handler.answer(try handler.request(), nil)
        #expect(try client.outcome() == .success)
    }

    @Test("closes without a reset when bytes follow the key", arguments: [0, 1, 5000])
    func bytesBehind(count: Int) throws {
        let client = try TestClient(port: server.port)
        try client.send(exchange)
        try handler.accept()
        let request = try handler.request()
        // They arrive while the handler has the question: nobody has read them when the answer comes.
        try client.send([UInt8](repeating: 0x78, count: count))
        usleep(10_000)
        try handler.answer(request, nil)
        #expect(try client.outcome() == .success)
    }

    @Test("loses no refusal while the client is still sending 8 KiB")
    func stillSending() throws {
        let client = try TestClient(port: server.port)
        try client.send("nonsense\n")
        for _ in 0..<8 {
            try client.send([UInt8](repeating: 0x78, count: 1024))
            usleep(2000)
        }
        client.finishSending()
        #expect(try client.outcome() == .closed("ERR: INVALID_DOMAIN\n"))
    }

    @Test("refuses a bad domain before the second line, and a bad key, without asking")
    func ownRefusals() throws {
        let first = try TestClient(port: server.port)
        try first.send("ffww02\n")
        #expect(try first.outcome() == .closed("ERR: INVALID_DOMAIN\n"))
        let second = try TestClient(port: server.port)
        try second.send("ffww01\n\(key.dropLast())\n")
        #expect(try second.outcome() == .closed("ERR: INVALID_WGKEY\n"))
        #expect(!handler.isCalled)
    }

    @Test("matches answers with exchanges by their ids, in any order")
    func order() throws {
        let clients = try (0..<3).map { _ in try TestClient(port: server.port) }
        var requests: [RegistrationRequest] = []
        for client in clients {
            try client.send(exchange)
            if requests.isEmpty { try handler.accept() }
            requests.append(try handler.request())
        }
        let refusals: [Refusal?] = [.addressInUse, nil, .domainFull]
        try handler.answer([2, 0, 1].map { RegistrationAnswer(id: requests[$0].id, refusal: refusals[$0]) })
        for (client, refusal) in zip(clients, refusals) {
            #expect(try client.outcome() == .closed(refusal?.reply ?? ""))
        }
    }

    @Test("ignores answers that nobody waits for")
    func strangeAnswers() throws {
        let first = try TestClient(port: server.port)
        try first.send(exchange)
        try handler.accept()
        let old = try handler.request()
        try handler.answer(old, nil)
        #expect(try first.outcome() == .success)

        // The same slot, used again: the old id must not be taken for the new one.
        let second = try TestClient(port: server.port)
        try second.send(exchange)
        let new = try handler.request()
        #expect(new.id != old.id)
        let strange: [UInt32] = [old.id, new.id ^ 1, new.id ^ 0x8000_0000, .max, 0xfff]
        try handler.answer(strange.map { RegistrationAnswer(id: $0, refusal: .domainFull) })
        usleep(10_000)
        #expect(!second.hasAnswer)
        try handler.answer(new, nil)
        #expect(try second.outcome() == .success)
        // Twice is once too often.
        try handler.answer(new, .domainFull)
        let third = try TestClient(port: server.port)
        try third.send(exchange)
        try handler.answer(try handler.request(), nil)
        #expect(try third.outcome() == .success)
    }

    @Test("goes on when a client is gone before its answer", arguments: [false, true])
    func clientGone(isReset: Bool) throws {
        var requests: [RegistrationRequest] = []
        do {
            let client = try TestClient(port: server.port)
            try client.send(exchange)
            try handler.accept()
            requests.append(try handler.request())
            if isReset { try client.abort() }
        }
        usleep(10_000)
        try handler.answer(requests[0], .domainFull)
        let client = try TestClient(port: server.port)
        try client.send(exchange)
        try handler.answer(try handler.request(), nil)
        #expect(try client.outcome() == .success)
    }

    @Test("answers when it is told to stop, and takes nobody any more")
    func stop() throws {
        let asking = try TestClient(port: server.port)
        try asking.send(exchange)
        try handler.accept()
        let request = try handler.request()
        let reading = try TestClient(port: server.port)
        try reading.send("ffww01\n")
        usleep(10_000)
        try server.beginStopping()
        #expect(try reading.outcome() == unavailable)
        #expect(throws: (any Error).self) { try TestClient(port: server.port) }
        #expect(!asking.hasAnswer)
        try handler.answer(request, nil)
        #expect(try asking.outcome() == .success)
    }
}

@Suite("Batches to the handler") struct BatchTests {
    // The server starts when all of them wait in the kernel's queue, so it finds them in one round.
    @Test("have up to 64 requests", arguments: [(1, [1]), (2, [2]), (64, [64]), (65, [64, 1]), (130, [64, 64, 2])])
    func batches(count: Int, packets: [Int]) throws {
        let handler = try TestHandler()
        let server = try TestServer(handler: handler.path, limits: limits { $0.acceptsPerRound = 200 })
        let clients = try (0..<count).map { _ in try TestClient(port: server.port) }
        for client in clients { try client.send(exchange) }
        server.start()
        try handler.accept()
        for size in packets {
            let requests = try handler.requests()
            #expect(requests.count == size)
            #expect(Set(requests.map(\.id)).count == size)
            try handler.answer(requests.map { RegistrationAnswer(id: $0.id, refusal: nil) })
        }
        for client in clients { #expect(try client.outcome() == .success) }
    }

    /// Clients whose exchanges come one a packet, and more of them than the handler's socket takes. The handler has
    /// accepted the connection and read nothing yet.
    private func congest(_ server: TestServer, _ handler: TestHandler) throws -> [TestClient] {
        let clients = try (0..<1000).map { _ in
            let client = try TestClient(port: server.port)
            try client.send(exchange)
            return client
        }
        try handler.accept()
        // Long enough for the server to have asked for all of them, had there been room.
        usleep(300_000)
        return clients
    }

    @Test("wait when the socket takes no more, and none is lost")
    func congestion() throws {
        let handler = try TestHandler()
        let server = try TestServer.running(handler: handler.path, limits: limits { $0.acceptsPerRound = 1 })
        let clients = try congest(server, handler)
        var ids: Set<UInt32> = []
        var packets = 0
        while ids.count < clients.count {
            let requests = try handler.requests()
            packets += 1
            ids.formUnion(requests.map(\.id))
            try handler.answer(requests.map { RegistrationAnswer(id: $0.id, refusal: .domainFull) })
        }
        // Those that waited came together.
        #expect(packets < clients.count)
        for client in clients { #expect(try client.outcome() == .closed("ERR: DOMAIN_FULL\n")) }
    }

    @Test("leave out what is not waited for any more")
    func expired() throws {
        let handler = try TestHandler()
        let server = try TestServer.running(
            handler: handler.path,
            limits: limits {
                $0.acceptsPerRound = 1
                $0.answerTime = .seconds(1)
            }
        )
        let clients = try congest(server, handler)
        for client in clients { #expect(try client.outcome() == unavailable) }
        // The packets that the socket took are still there, and behind them comes the next exchange.
        let next = try TestClient(port: server.port)
        try next.send("ffww01\n\(otherKey)\n")
        var old = 0
        while true {
            let requests = try handler.requests()
            guard let new = requests.first(where: { $0.registration.key.description == otherKey }) else {
                old += requests.count
                continue
            }
            #expect(requests.count == 1)
            try handler.answer(new, nil)
            break
        }
        #expect(old < clients.count)
        #expect(try next.outcome() == .success)
    }

    @Test("that the handler hung up on are over, and the next one has its own requests only")
    func hangUp() throws {
        let handler = try TestHandler()
        let server = try TestServer.running(handler: handler.path, limits: limits { $0.acceptsPerRound = 1 })
        let clients = try congest(server, handler)
        handler.hangUp()
        for client in clients { #expect(try client.outcome() == unavailable) }
        let next = try TestClient(port: server.port)
        try next.send(exchange)
        try handler.accept()
        try handler.answer(try handler.request(), nil)
        #expect(try next.outcome() == .success)
    }
}

@Suite("A handler that cannot be asked") struct HandlerFailureTests {
    @Test("means UNAVAILABLE, and is called again when it is there")
    func absent() throws {
        let path = TestHandler.newPath()
        let server = try TestServer.running(handler: path)
        let first = try TestClient(port: server.port)
        try first.send(exchange)
        #expect(try first.outcome() == unavailable)

        let handler = try TestHandler(path: path)
        // Called a moment ago: not again so soon.
        let second = try TestClient(port: server.port)
        try second.send(exchange)
        #expect(try second.outcome() == unavailable)
        #expect(!handler.isCalled)

        usleep(110_000)
        let third = try TestClient(port: server.port)
        try third.send(exchange)
        try handler.accept()
        try handler.answer(try handler.request(), nil)
        #expect(try third.outcome() == .success)
    }

    @Test("means UNAVAILABLE when it hangs up with the question, and is called again for the next")
    func hangUp() throws {
        let handler = try TestHandler()
        let server = try TestServer.running(handler: handler.path)
        let clients = try (0..<3).map { _ in try TestClient(port: server.port) }
        for client in clients { try client.send(exchange) }
        try handler.accept()
        var count = 0
        while count < 3 { count += try handler.requests().count }
        handler.hangUp()
        for client in clients { #expect(try client.outcome() == unavailable) }

        let next = try TestClient(port: server.port)
        try next.send(exchange)
        try handler.accept()
        try handler.answer(try handler.request(), nil)
        #expect(try next.outcome() == .success)
    }

    @Test("may hang up while nobody waits for it")
    func idleHangUp() throws {
        let handler = try TestHandler()
        let server = try TestServer.running(handler: handler.path)
        for _ in 0..<3 {
            let client = try TestClient(port: server.port)
            try client.send(exchange)
            try handler.accept()
            try handler.answer(try handler.request(), nil)
            #expect(try client.outcome() == .success)
            handler.hangUp()
            usleep(10_000)
        }
    }

    @Test("means UNAVAILABLE when it says nothing, and its late answer is ignored")
    func silent() throws {
        let handler = try TestHandler()
        let server = try TestServer.running(
            handler: handler.path,
            limits: limits { $0.answerTime = .milliseconds(100) }
        )
        let start = MonotonicTime.now
        let first = try TestClient(port: server.port)
        try first.send(exchange)
        try handler.accept()
        let late = try handler.request()
        #expect(try first.outcome() == unavailable)
        #expect(MonotonicTime.now - start >= .milliseconds(100))

        let second = try TestClient(port: server.port)
        try second.send(exchange)
        let request = try handler.request()
        try handler.answer([
            RegistrationAnswer(id: late.id, refusal: nil), RegistrationAnswer(id: request.id, refusal: .domainFull),
        ])
        #expect(try second.outcome() == .closed("ERR: DOMAIN_FULL\n"))
    }

    @Test(
        "is disconnected for an answer that is none",
        arguments: [[1], [1, 2, 0, 1, 0, 0, 0, 1], [1, 2, 0, 1, 0, 0, 0, 1, 99], [1, 1, 0, 1]] as [[UInt8]]
    )
    func malformed(packet: [UInt8]) throws {
        let handler = try TestHandler()
        let server = try TestServer.running(handler: handler.path)
        let client = try TestClient(port: server.port)
        try client.send(exchange)
        try handler.accept()
        _ = try handler.request()
        try handler.send(packet)
        #expect(try client.outcome() == unavailable)
        try handler.waitForHangUp()

        let next = try TestClient(port: server.port)
        try next.send(exchange)
        try handler.accept()
        try handler.answer(try handler.request(), nil)
        #expect(try next.outcome() == .success)
    }

    @Test("does not keep a server from stopping")
    func stop() throws {
        let handler = try TestHandler()
        let server = try TestServer.running(handler: handler.path, limits: limits { $0.stopTime = .milliseconds(100) })
        let client = try TestClient(port: server.port)
        try client.send(exchange)
        try handler.accept()
        _ = try handler.request()
        try server.beginStopping()
        try server.waitUntilEnded()
        #expect(try client.outcome() == unavailable)
    }
}

@Suite("Limits of a server") struct ServerLimitTests {
    @Test("are those of the protocol by default") func defaults() {
        let limits = ServerLimits()
        #expect(limits.connections == 4096)
        #expect(limits.lineTime == .seconds(5))
        #expect(limits.answerTime == .seconds(5))
        #expect(limits.drainTime == .seconds(1))
        #expect(limits.drainBytes == 16384)
        #expect(limits.handlerPause == .milliseconds(100))
    }

    @Test("give each line its own time, which bytes do not prolong")
    func lineTime() throws {
        let server = try TestServer.running(
            handler: TestHandler.newPath(),
            limits: limits { $0.lineTime = .milliseconds(200) }
        )
        func time(_ body: (TestClient) throws -> TestClient.Outcome) throws -> (TestClient.Outcome, Duration) {
            let client = try TestClient(port: server.port)
            let start = MonotonicTime.now
            return (try body(client), MonotonicTime.now - start)
        }
        let silent = try time { try $0.outcome() }
        #expect(silent.0 == .closed("ERR: NO_DOMAIN\n"))
        #expect((.milliseconds(199)..<(.milliseconds(390))).contains(silent.1), "\(silent.1)")

        let noKey = try time {
            usleep(150_000)
            try $0.send("ffww01\n")
            return try $0.outcome()
        }
        #expect(noKey.0 == .closed("ERR: NO_WGKEY\n"))
        #expect((.milliseconds(349)..<(.milliseconds(540))).contains(noKey.1), "\(noKey.1)")

        let trickle = try time {
            for letter in "trickling" {
                try $0.send("\(letter)")
                usleep(40_000)
            }
            return try $0.outcome()
        }
        #expect(trickle.0 == .closed("ERR: INVALID_DOMAIN\n"))
        // The answer is there when the last letter is sent, at 360 ms; counted from that letter it came at 520 ms.
        #expect((.milliseconds(359)..<(.milliseconds(510))).contains(trickle.1), "\(trickle.1)")

        // The domain counts as far as it came, and the key has a time of its own.
        let partial = try time {
            try $0.send("ffww01")
            usleep(300_000)
            try $0.send(key)
            return try $0.outcome()
        }
        #expect(partial.0 == unavailable)
        #expect((.milliseconds(399)..<(.milliseconds(590))).contains(partial.1), "\(partial.1)")
    }

    @Test("let as many connections in as they say, and the next when one is gone", arguments: [1, 2, 64])
    func connections(cap: Int) throws {
        let server = try TestServer.running(
            handler: TestHandler.newPath(),
            limits: limits { $0.connections = cap }
        )
        var idle = try (0..<cap - 1).map { _ in try TestClient(port: server.port) }
        usleep(10_000)
        // One place is left.
        let fits = try TestClient(port: server.port)
        try fits.send("ffww02\n")
        fits.finishSending()
        #expect(try fits.outcome() == .closed("ERR: INVALID_DOMAIN\n"))

        idle.append(try TestClient(port: server.port))
        usleep(10_000)
        let waits = try TestClient(port: server.port)
        try waits.send("ffww02\n")
        usleep(50_000)
        #expect(!waits.hasAnswer)
        idle.removeFirst()
        #expect(try waits.outcome() == .closed("ERR: INVALID_DOMAIN\n"))
    }

    @Test("take less than 16 KiB behind a refusal, and close the connection at the last byte of them")
    func drainBytes() throws {
        let server = try TestServer.running(
            handler: TestHandler.newPath(),
            limits: limits { $0.drainTime = .seconds(60) }
        )
        for (count, isClosed) in [(16383, false), (16384, true)] {
            let client = try TestClient(port: server.port)
            try client.send("ffww02\n")
            #expect(try client.outcome() == .closed("ERR: INVALID_DOMAIN\n"))
            try client.send([UInt8](repeating: 0x78, count: count))
            usleep(50_000)
            // Whoever sends to a closed connection is told with a reset.
            try client.send("x")
            usleep(50_000)
            if isClosed {
                #expect(throws: SystemCallError.self) { try client.send("x") }
            } else {
                #expect(try client.outcome() == .closed(""))
            }
        }
    }

    @Test("do not wait for a client that goes on sending for ever, or not at all", arguments: [true, false])
    func drainTime(isSending: Bool) throws {
        let server = try TestServer.running(
            handler: TestHandler.newPath(),
            limits: limits {
                $0.drainTime = .milliseconds(100)
                $0.connections = 1
            }
        )
        let lingering = try TestClient(port: server.port)
        try lingering.send("ffww02\n")
        #expect(try lingering.outcome() == .closed("ERR: INVALID_DOMAIN\n"))
        let start = MonotonicTime.now
        let next = try TestClient(port: server.port)
        try next.send("ffww02\n")
        while !next.hasAnswer, MonotonicTime.now - start < .seconds(Patience.program) {
            if isSending { try? lingering.send("x") }
            usleep(10_000)
        }
        #expect(try next.outcome() == .closed("ERR: INVALID_DOMAIN\n"))
        let time = MonotonicTime.now - start
        #expect(time >= .milliseconds(80), "\(time)")
    }
}

@Suite("The log of a server") struct ServerLogTests {
    /// One exchange with the handler gone, or there.
    private func exchange(_ server: TestServer, _ handler: TestHandler?) throws {
        let client = try TestClient(port: server.port)
        try client.send("ffww01\n\(key)\n")
        guard let handler else {
            #expect(try client.outcome() == unavailable)
            return
        }
        try handler.accept()
        try handler.answer(try handler.request(), nil)
        #expect(try client.outcome() == .success)
    }

    @Test("says each time that the handler is lost and that it is back, or once in a while", arguments: [true, false])
    func handler(isPatient: Bool) throws {
        let log = RecordingLog()
        let path = TestHandler.newPath()
        let server = try TestServer.running(
            handler: path,
            limits: limits {
                $0.noticeTime = isPatient ? .seconds(60) : .zero
                $0.handlerPause = .zero
            },
            log: log
        )
        for _ in 0..<2 {
            for _ in 0..<3 { try exchange(server, nil) }
            let handler = try TestHandler(path: path)
            try exchange(server, handler)
        }
        // The first line on each is written at once.
        #expect(log.count(of: "the handler cannot be asked") == (isPatient ? 1 : 2))
        #expect(log.count(of: "the handler answers again") == (isPatient ? 1 : 2))
    }

    @Test("says nothing when the handler ends with nothing to do")
    func idle() throws {
        let log = RecordingLog()
        let handler = try TestHandler()
        let server = try TestServer.running(handler: handler.path, log: log)
        for _ in 0..<2 {
            try exchange(server, handler)
            handler.hangUp()
            usleep(10_000)
        }
        #expect(log.all.isEmpty)
    }

    @Test("says once in a while that no more connections fit")
    func connections() throws {
        let log = RecordingLog()
        let server = try TestServer.running(
            handler: TestHandler.newPath(),
            limits: limits { $0.connections = 1 },
            log: log
        )
        for _ in 0..<5 {
            let first = try TestClient(port: server.port)
            let second = try TestClient(port: server.port)
            for client in [first, second] {
                try client.send("ffww02\n")
                client.finishSending()
                #expect(try client.outcome() == .closed("ERR: INVALID_DOMAIN\n"))
            }
            usleep(5000)
        }
        let idle = try TestClient(port: server.port)
        usleep(10_000)
        let waiting = try TestClient(port: server.port)
        usleep(10_000)
        #expect(!idle.hasAnswer && !waiting.hasAnswer)
        #expect(log.count(of: "1 connections are open: none is accepted until one closes") == 1)
    }
}
