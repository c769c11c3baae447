import Checkout
import EventLoop
import Foundation
import JSONSchema
import LinkChannel
import LinkMember
import NetworkAddresses
import SystemCalls
import SystemPackage
import Testing
import Time
import WireGuardTypes

@testable import kex_link

private let hub = PublicKey(text: "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw=")!
private let other = PublicKey(text: "TszFS3oFRdhsJP3K0VOlklGMGYZy+oFCtlaghXJqW2g=")!

private func member(
    _ key: PublicKey,
    _ name: String?,
    _ way: MemberStatus.Way,
    isAlive: Bool = true,
    since: Duration = .seconds(5),
    roundTrip: Duration? = nil,
    attempts: [String] = []
) -> MemberStatus {
    MemberStatus(
        key: key,
        name: name,
        isOurs: true,
        isAlive: isAlive,
        way: way,
        since: since,
        roundTrip: roundTrip,
        attempts: attempts,
        allowedIPs: [IPPrefix("10.0.0.2/32")!, IPPrefix("fd00::2/128")!]
    )
}

private let status = LinkStatus(members: [
    member(hub, "hub", .hub(Endpoint("192.0.2.1:51820")), since: .seconds(7300), roundTrip: .microseconds(2345)),
    member(
        other,
        "quote\"\\\u{7}\u{1b}[31m\u{202e}",
        .direct(Endpoint("[2001:db8::1]:1")!),
        isAlive: false,
        attempts: ["192.0.2.7:1: no answer"]
    ),
    member(other, nil, .relayed(by: hub), since: .seconds(300)),
    member(other, nil, .throughHub(hub), since: .seconds(200_000)),
    member(other, nil, .throughHub(nil)),
    member(other, nil, .hub(nil)),
    member(other, nil, .peer(Endpoint("[2001:db8::7]:1"))),
    member(other, nil, .peer(nil)),
])

@Suite("The state in words") struct StatusTextTests {
    @Test("is one JSON object for programs, whatever names others have")
    func json() throws {
        let text = status.json(of: InterfaceName("wg0")!)
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        #expect(object?["interface"] as? String == "wg0")
        let members = try #require(object?["members"] as? [[String: Any]])
        #expect(members.count == 8)
        #expect(members[0]["way"] as? String == "hub" && members[0]["endpoint"] as? String == "192.0.2.1:51820")
        #expect(members[0]["round_trip_us"] as? Int == 2345 && members[0]["seconds"] as? Int == 7300)
        #expect(members[0]["allowed_ips"] as? [String] == ["10.0.0.2/32", "fd00::2/128"])
        #expect(members[1]["name"] as? String == "quote\"\\\u{7}\u{1b}[31m\u{202e}")
        #expect(members[1]["alive"] as? Bool == false && members[1]["round_trip_us"] is NSNull)
        #expect(members[1]["attempts"] as? [String] == ["192.0.2.7:1: no answer"])
        #expect(members[2]["way"] as? String == "relayed" && members[2]["hub"] as? String == hub.description)
        #expect(members[3]["way"] as? String == "through-hub" && members[4]["hub"] is NSNull)
        #expect(members[5]["endpoint"] is NSNull && members[2]["name"] is NSNull)
        let empty = LinkStatus(members: []).json(of: InterfaceName("wg0")!)
        #expect(empty == "{\"interface\":\"wg0\",\"no_hold\":null,\"members\":[],\"relay\":null}\n")
        let reason = LinkStatus(members: [], noHold: "no \"TUN\" here").json(of: InterfaceName("wg0")!)
        #expect(reason.contains("\"no_hold\":\"no \\\"TUN\\\" here\","))
    }

    /// As the package installs it.
    private let schema: JSONSchema

    init() throws { schema = try JSONSchema(file: Checkout.file("docs/link-status.schema.json")) }

    @Test(
        "is as its schema says, for every kind of link",
        arguments: [nil, RelayStatus(ports: nil, used: 1024), RelayStatus(ports: 1...65535, used: 0)]
    )
    func kinds(relay: RelayStatus?) throws {
        let all = LinkStatus(members: status.members, noHold: relay.map { "\($0)" }, relay: relay)
        let ways = Set(all.members.map { "\($0.way)".prefix { $0 != "(" } })
        #expect(ways == ["hub", "peer", "direct", "relayed", "throughHub"])
        try schema.check(Data(all.json(of: InterfaceName("wg0")!).utf8))
    }

    @Test(
        "and its schema lets nothing else pass",
        arguments: [
            ("\"way\":\"direct\"", "\"way\":\"tunnel\""),
            ("\"way\":\"direct\"", "\"way\":\"relayed\""),
            ("\"seconds\":5", "\"seconds\":-5"), ("\"seconds\":5", "\"seconds\":5.5"),
            ("\"seconds\":5", "\"since\":5"),
            ("\"round_trip_us\":2345", "\"round_trip_us\":true"), ("\"ours\":true", "\"ours\":1"),
            ("\"endpoint\":\"192.0.2.1:51820\"", "\"endpoint\":\"192.0.2.1\""), ("10.0.0.2/32", "10.0.0.2"),
            ("\"attempts\":[\"192", "\"attempts\":[7,\"192"), ("\"relay\":null", "\"relay\":{}"),
            ("\"interface\":\"wg0\",", ""), ("\"interface\":\"wg0\"", "\"interface\":\"wg/0\""),
            (hub.description, "hub"), ("\"no_hold\":null", "\"no_hold\":false"),
        ]
    )
    func otherwise(words: String, others: String) throws {
        let text = status.json(of: InterfaceName("wg0")!)
        let changed = text.replacingOccurrences(of: words, with: others)
        #expect(changed != text)
        #expect(throws: JSONSchema.Failure.self) { try schema.check(Data(changed.utf8)) }
    }

    @Test("is a table for people, without orders for their terminal")
    func table() {
        let table = status.table()
        let columns = table.split(separator: "\n").map { $0.replacing(#/ {2,}/#, with: " | ") }
        let addresses = "10.0.0.2/32 fd00::2/128"
        #expect(
            columns == [
                "member | way | for | round trip | allowed IPs",
                "hub | hub at 192.0.2.1:51820 | 2 h | 2.3 ms | \(addresses)",
                "quote\"\\??[31m? | direct to [2001:db8::1]:1, silent | 5 s | - | \(addresses)",
                " | 192.0.2.7:1: no answer",
                "\(other) | relayed by hub | 5 min | - | \(addresses)",
                "\(other) | through hub | 2 d | - | \(addresses)",
                "\(other) | through no hub | 5 s | - | \(addresses)",
                "\(other) | hub nowhere | 5 s | - | \(addresses)",
                "\(other) | peer at [2001:db8::7]:1 | 5 s | - | \(addresses)",
                "\(other) | peer nowhere | 5 s | - | \(addresses)",
            ]
        )
        // The columns stand under each other.
        let starts = table.split(separator: "\n").compactMap { $0.range(of: addresses)?.lowerBound.utf16Offset(in: $0) }
        #expect(Set(starts).count == 1)
        #expect(LinkStatus(members: []).table() == "no members are known yet\n")
        let last = LinkStatus(members: status.members, noHold: "no TUN\u{7}").table().split(separator: "\n").last
        #expect(last == "packets on their way are lost when a link is made: no TUN?")
        let ranges: [ClosedRange<UInt16>?] = [nil, 50_000...50_999]
        let words = ranges.map { LinkStatus(members: [], relay: RelayStatus(ports: $0, used: 3)).table() }
        #expect(words[0].hasSuffix("relay: ports of the kernel's choice, 3 in use\n"))
        #expect(words[1].hasSuffix("relay: ports 50000-50999, 3 in use\n"))
    }
}

@Suite("Who asks for the state", .timeLimit(.minutes(60))) final class StatusServerTests {
    private let loop: EventLoop
    private var server = StatusServer(listenerToken: 1)
    private let path: String

    init() throws {
        loop = try EventLoop()
        path = NSTemporaryDirectory() + "\(UUID().uuidString.prefix(8)).sock"
        let listener = try Socket.listen(atPath: path, kind: .stream, permissions: [.ownerReadWrite])
        try server.setListener(SharedDescriptor(listener), on: loop)
    }

    deinit { unlink(path) }

    private func connect() throws -> SharedDescriptor {
        SharedDescriptor(try Socket.connect(toPath: path, kind: .stream))
    }

    /// Goes round once for everything that has come.
    private func turn(_ loop: borrowing EventLoop, tokens: [UInt64], now: MonotonicTime = .now) throws {
        try server.accept(on: loop, now: now)
        for token in tokens { try server.serve(token, on: loop) { "\($0)\n" } }
        try server.expire(on: loop, now: now)
    }

    private func receive(_ socket: SharedDescriptor) throws -> Socket.Received {
        var buffer = [UInt8](repeating: 0, count: 100)
        return try Socket.receive(from: socket.raw, into: &buffer)
    }

    private let first = StatusServer.firstToken + 1

    @Test("is answered in the form that he asks for, and the conversation ends", arguments: ["json", "table"])
    func answer(form: String) throws {
        let socket = try connect()
        _ = try Socket.send(Array(form.utf8), to: socket.raw)
        try turn(loop, tokens: [first])
        #expect(try receive(socket) == .nothingYet)
        _ = try Socket.send([10], to: socket.raw)
        try turn(loop, tokens: [first])
        #expect(try receive(socket) == .bytes(form.utf8.count + 1))
        #expect(try receive(socket) == .end)
    }

    @Test("with something else gets nothing", arguments: ["xml\n", String(repeating: "x", count: 40)])
    func nonsense(request: String) throws {
        let socket = try connect()
        _ = try Socket.send(Array(request.utf8), to: socket.raw)
        try turn(loop, tokens: [first])
        #expect(throws: Never.self) {
            // What nobody has read resets the connection.
            guard let received = try? receive(socket) else { return }
            #expect(received == .end)
        }
    }

    @Test("and is slow is waited for, but not for ever; others wait for a place")
    func patience() throws {
        let start = MonotonicTime.now
        let sockets = try (0...StatusServer.maximumConnections).map { _ in try connect() }
        try turn(loop, tokens: [], now: start)
        #expect(server.nextDeadline == start + StatusServer.patience)
        try turn(loop, tokens: [], now: start + (StatusServer.patience - .milliseconds(1)))
        #expect(try receive(sockets[0]) == .nothingYet)
        try turn(loop, tokens: [], now: start + StatusServer.patience)
        for socket in sockets.dropLast() { #expect(try receive(socket) == .end) }
        #expect(try receive(try #require(sockets.last)) == .nothingYet)
        try turn(loop, tokens: [], now: start + StatusServer.patience)
        #expect(server.nextDeadline == start + StatusServer.patience + StatusServer.patience)
    }

    @Test("and reads slowly gets all of a long answer")
    func slowReader() throws {
        let socket = try connect()
        _ = try Socket.send(Array("json\n".utf8), to: socket.raw)
        try server.accept(on: loop, now: .now)
        let long = String(repeating: "x", count: 3_000_000)
        var received = 0
        var buffer = [UInt8](repeating: 0, count: 100_000)
        while true {
            try server.serve(first, on: loop) { _ in long }
            let next = try Socket.receive(from: socket.raw, into: &buffer)
            guard case .bytes(let count) = next else { break }
            received += count
        }
        #expect(received == long.utf8.count)
    }
}

@Suite("A call") struct InvocationTests {
    private func words(_ arguments: String...) -> String? {
        do throws(Invocation.Failure) {
            _ = try Invocation(arguments)
            return nil
        } catch {
            #expect(error.status == 64)
            return error.text
        }
    }

    @Test("names a command, and what it is for")
    func commands() {
        #expect(words("run", "wg0", "--debug") == nil)
        #expect(words("status") == nil)
        #expect(words("status", "wg0", "--json") == nil)
        #expect(words("stop") == "unknown command stop; see kex-link --help")
        #expect(words("run") == "run needs IFACE: kex-link run IFACE")
        #expect(words("run", "--debug") == "run needs IFACE: kex-link run IFACE")
        #expect(words("import") == "import needs FILE: kex-link import FILE")
        #expect(words("run", "wg0", "--json") == "unknown option --json; see kex-link --help")
        #expect(words("run", "wg0", "wg1") == "unexpected argument wg1; see kex-link --help")
        #expect(words("member", "wg0") == "unexpected argument wg0; see kex-link --help")
    }

    @Test("for the member that nobody but a keeper makes does nothing")
    func member() throws {
        let invocation = try Invocation(["member"])
        let error = #expect(throws: Invocation.Failure.self) { try invocation.run() }
        #expect(error?.text == "member is for kex-link run to start")
    }
}
