import Foundation
import Surroundings
import Testing

/// What routers meet: every row of the deployed gateway's behaviour, over real TCP against the real programs.
@Suite("Exchanges", .needsRoot, .serialized) final class ExchangeTests {
    private let gateway: GatewayFixture

    init() throws { gateway = try .running() }

    static let key = "o52Ge+Rpj4CUSitVag9mS7pSXUesNM0ESnvj/wwehkg="
    static let padded = "ffww01" + String(repeating: " ", count: 58)

    /// Inputs that are answered without waiting for a deadline, with the reply; the last word is what the router does
    /// after its last byte.
    struct Row: CustomTestStringConvertible {
        let name: String
        let input: String
        let reply: String
        var halfCloses = false
        var testDescription: String { name }
        /// Bytes of its two lines.
        var exchangeLength: Int {
            input.split(separator: "\n", omittingEmptySubsequences: false).prefix(2).map { $0.utf8.count + 1 }.reduce(
                0,
                +
            )
        }
    }

    static let rows = [
        Row(name: "domain, key", input: "ffww01\n\(key)\n", reply: ""),
        Row(name: "half-close behind both lines", input: "ffww01\n\(key)\n", reply: "", halfCloses: true),
        Row(name: "no LF behind the key, then half-close", input: "ffww01\n\(key)", reply: "", halfCloses: true),
        Row(name: "key, domain", input: "\(key)\nffww01\n", reply: ""),
        Row(name: "key, domain without LF, half-close", input: "\(key)\nffww01", reply: "", halfCloses: true),
        Row(name: "CR LF", input: "ffww01\r\n\(key)\r\n", reply: "ERR: INVALID_DOMAIN\n"),
        Row(name: "CR LF behind the key only", input: "ffww01\n\(key)\r\n", reply: "ERR: INVALID_WGKEY\n"),
        Row(name: "blanks and tabs around the fields", input: " \tffww01\t \n\t \(key) \t\n", reply: ""),
        Row(name: "blank inside the domain", input: "ff ww01\n\(key)\n", reply: "ERR: INVALID_DOMAIN\n"),
        Row(name: "NUL in the domain", input: "ff\0ww01\n\(key)\n", reply: "ERR: INVALID_DOMAIN\n"),
        Row(
            name: "NUL in the key",
            input: "ffww01\n\(key.prefix(9))\0\(key.dropFirst(9))\n",
            reply: "ERR: INVALID_WGKEY\n"
        ),
        Row(name: "domain padded to 64 bytes, LF", input: "\(padded)\n\(key)\n", reply: ""),
        Row(name: "domain padded to 65 bytes", input: "\(padded) \n\(key)\n", reply: "ERR: INVALID_DOMAIN\n"),
        Row(
            name: "domain padded to 64 bytes, key without LF",
            input: "\(padded)\(key)\n",
            reply: "ERR: INVALID_DOMAIN\n"
        ),
        Row(
            name: "key padded to 64 bytes",
            input: "ffww01\n\(key)\(String(repeating: " ", count: 20))\n",
            reply: ""
        ),
        Row(
            name: "key padded to 65 bytes",
            input: "ffww01\n\(key)\(String(repeating: " ", count: 21))\n",
            reply: "ERR: INVALID_WGKEY\n"
        ),
        Row(name: "empty first line", input: "\n\(key)\n", reply: "ERR: NO_DOMAIN\n"),
        Row(name: "blank first line", input: " \t \n\(key)\n", reply: "ERR: NO_DOMAIN\n"),
        Row(name: "half-close before data", input: "", reply: "ERR: NO_DOMAIN\n", halfCloses: true),
        Row(name: "half-close behind the domain", input: "ffww01\n", reply: "ERR: NO_WGKEY\n", halfCloses: true),
        Row(name: "half-close in the domain", input: "ffww01", reply: "ERR: NO_WGKEY\n", halfCloses: true),
        Row(name: "half-close in a wrong domain", input: "ffww0", reply: "ERR: INVALID_DOMAIN\n", halfCloses: true),
        Row(name: "half-close in the key", input: "ffww01\no52Ge", reply: "ERR: INVALID_WGKEY\n", halfCloses: true),
        Row(name: "empty second line", input: "ffww01\n\n", reply: "ERR: NO_WGKEY\n"),
        Row(name: "unknown domain", input: "ffww02\n", reply: "ERR: INVALID_DOMAIN\n"),
        Row(name: "domain in another case", input: "FFWW01\n", reply: "ERR: INVALID_DOMAIN\n"),
        Row(name: "beginning of the domain", input: "ffww0\n", reply: "ERR: INVALID_DOMAIN\n"),
        Row(name: "key of 43 characters", input: "ffww01\n\(key.dropFirst())\n", reply: "ERR: INVALID_WGKEY\n"),
        Row(name: "key of 45 characters", input: "ffww01\nA\(key)\n", reply: "ERR: INVALID_WGKEY\n"),
        Row(
            name: "key with | before =",
            input: "ffww01\n\(key.dropLast(2))|=\n",
            reply: "ERR: INVALID_WGKEY\n"
        ),
        Row(
            name: "key with unused bits set",
            input: "ffww01\n\(key.dropLast(2))h=\n",
            reply: "ERR: INVALID_WGKEY\n"
        ),
        Row(name: "two keys", input: "\(key)\n\(key)\n", reply: "ERR: INVALID_DOMAIN\n"),
        Row(name: "key, empty line", input: "\(key)\n\n", reply: "ERR: NO_DOMAIN\n"),
        Row(name: "bytes behind line 2", input: "ffww01\n\(key)\nand more\n\n\n", reply: ""),
        Row(
            name: "many bytes behind line 2",
            input: "ffww01\n\(key)\n\(String(repeating: "x", count: 8000))",
            reply: ""
        ),
        Row(
            name: "many bytes behind a wrong domain",
            input: "wrong\n\(String(repeating: "x", count: 8000))",
            reply: "ERR: INVALID_DOMAIN\n"
        ),
        Row(name: "a web browser", input: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", reply: "ERR: INVALID_DOMAIN\n"),
    ]

    @Test("In one piece and cut in two at every byte, each input gets its reply", arguments: rows)
    func row(_ row: Row) throws {
        let bytes = Array(row.input.utf8)
        // Behind the first hundred bytes there is only filling.
        for cut in 0...min(bytes.count, 100) {
            let client = try TCPClient(port: gateway.port)
            try client.send(Array(bytes[..<cut]))
            if cut > 0 && cut < bytes.count { usleep(200) }
            // A refusal may come before the second part: then the other side is still reading for a while.
            try client.send(Array(bytes[cut...]))
            if row.halfCloses { client.halfClose() }
            let ending = try client.ending()
            // Success closes at once. A client that sends more only then (no router does) sees that as a reset, as long
            // as it has not read the end.
            if row.reply.isEmpty, cut >= row.exchangeLength, cut < bytes.count, ending == .reset("") { continue }
            #expect(ending == .closed(row.reply), "cut at \(cut)")
        }
    }

    /// Rows that are decided by the deadline of five seconds, all at the same time.
    @Test("What a deadline decides comes when it should")
    func deadlines() async throws {
        struct Slow {
            let name: String
            /// Bytes, and the seconds before them.
            let parts: [(Double, String)]
            let reply: String
            let seconds: Double
        }
        let key = Self.key
        let rows = [
            Slow(name: "silence", parts: [], reply: "ERR: NO_DOMAIN\n", seconds: 5),
            Slow(name: "no key", parts: [(0, "ffww01\n")], reply: "ERR: NO_WGKEY\n", seconds: 5),
            Slow(name: "late domain, no key", parts: [(3, "ffww01\n")], reply: "ERR: NO_WGKEY\n", seconds: 8),
            Slow(name: "no LF behind the key", parts: [(0, "ffww01\n\(key)")], reply: "", seconds: 5),
            Slow(name: "no LF at all", parts: [(0, "ffww01")], reply: "ERR: NO_WGKEY\n", seconds: 10),
            Slow(name: "no LF behind the domain", parts: [(0, "ffww01"), (7, "\(key)\n")], reply: "", seconds: 7),
            Slow(name: "no LF behind a wrong domain", parts: [(0, "ffww")], reply: "ERR: INVALID_DOMAIN\n", seconds: 5),
            Slow(
                name: "a trickle is cut, the rest is the next line",
                parts: [(0, "ff"), (2, "ww"), (2, "01"), (2, key), (0, "\n")],
                reply: "",
                seconds: 6
            ),
            Slow(
                name: "bytes do not extend the time of a key",
                parts: [(0, "ffww01\n"), (2, "o52"), (2, "Ge+")],
                reply: "ERR: INVALID_WGKEY\n",
                seconds: 5
            ),
        ]
        let port = gateway.port
        let delays = try await withThrowingTaskGroup(of: Double.self) { group in
            for row in rows {
                group.addTask {
                    try await onThread {
                        let start = Date()
                        let client = try TCPClient(port: port)
                        for (seconds, part) in row.parts {
                            usleep(UInt32(seconds * 1_000_000))
                            try client.send(part)
                        }
                        #expect(try client.ending() == .closed(row.reply), "\(row.name)")
                        let took = -start.timeIntervalSinceNow
                        #expect(took >= row.seconds - 0.1, "\(row.name): \(took) s")
                        return took - row.seconds
                    }
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        // All of them ran beside each other on this machine: whoever had the wrong limit is later than the others.
        let (least, most) = (try #require(delays.min()), try #require(delays.max()))
        #expect(most - least < 2, "\(delays)")
    }

    @Test("A refusal is not lost while the router is still writing")
    func refusalWhileWriting() throws {
        for _ in 0..<200 {
            let client = try TCPClient(port: gateway.port)
            try client.send("nonsense\n")
            try client.send(String(repeating: "y", count: 8192))
            client.halfClose()
            #expect(try client.ending() == .closed("ERR: INVALID_DOMAIN\n"))
        }
    }
}

/// Runs blocking work on a thread of its own, so that it cannot starve the tests' few threads.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Swift.Result(catching: body)) }
    }
}
