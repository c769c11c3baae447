import Foundation
import KexProtocol
import NetworkAddresses
import Surroundings
import Testing

@testable import kex_client

@Suite("kex-client register") struct RegisterTests {
    private static let key = "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw="
    private static let fixed = ["register", "--domain", "ffww01", "--public-key", key]

    /// Registers with `gateways`, asking each `tries` times.
    private func register(_ gateways: String..., tries: Int = 1, timeout: Int = 20) throws -> ProgramRun {
        try Program.run(
            Program.clientPath,
            Self.fixed + ["--tries", "\(tries)", "--timeout", "\(timeout)"] + gateways.flatMap { ["--gateway", $0] }
        )
    }

    @Test("sends domain and key, takes silence and close for success", arguments: ["127.0.0.1", "::1"])
    func success(host: String) throws {
        let gateway = try FakeGateway(.answers(""), on: host)
        let run = try register(gateway.address)
        #expect(run.status == 0)
        #expect(run.errors == "")
        #expect(run.output == "registered \(Self.key) in ffww01 with \(gateway.address)\n")
        #expect(gateway.received == ["ffww01\n\(Self.key)\n"])
    }

    @Test("looks names up and tries all their addresses")
    func name() throws {
        // localhost is ::1 and 127.0.0.1; nobody listens on the first.
        let gateway = try FakeGateway(.answers(""))
        let run = try register("localhost:\(gateway.endpoint.port)")
        #expect(run.status == 0)
        #expect(run.output.hasSuffix("with localhost:\(gateway.endpoint.port) at \(gateway.address)\n"))
    }

    @Test(
        "ends with 65 when it is refused, names the code and says what to do",
        arguments: Refusal.allCases.filter { $0 != .unavailable }
    )
    func refused(refusal: Refusal) throws {
        let gateway = try FakeGateway(.answers(refusal.reply))
        let run = try register(gateway.address, tries: 5)
        #expect(run.status == 65)
        #expect(run.output == "")
        #expect(run.errors.contains("\(refusal.code): \(refusal.advice)"))
        #expect(gateway.received.count == 1, "a refusal is final")
    }

    @Test("takes a code of another time for a refusal too")
    func unknownCode() throws {
        let gateway = try FakeGateway(.answers("ERR: ROUTER_TOO_LOUD\n"))
        let run = try register(gateway.address)
        #expect(run.status == 65)
        #expect(run.errors.contains("ROUTER_TOO_LOUD"))
    }

    @Test("asks again when the gateway is unavailable")
    func unavailable() throws {
        let gateway = try FakeGateway(.answers(Refusal.unavailable.reply), .answers(""))
        let run = try register(gateway.address, tries: 2)
        #expect(run.status == 0)
        #expect(run.errors.contains("UNAVAILABLE"))
        #expect(gateway.received.count == 2)
    }

    @Test("ends with 69 when the gateway stays unavailable, after as many tries as asked for", arguments: [1, 2])
    func tries(count: Int) throws {
        let gateway = try FakeGateway(.answers(Refusal.unavailable.reply))
        let run = try register(gateway.address, tries: count)
        #expect(run.status == 69)
        #expect(gateway.received.count == count)
    }

    @Test("does not take a reset for success")
    func reset() throws {
        for behaviour in [FakeGateway.Behaviour.resets, .closesUnread] {
            let gateway = try FakeGateway(behaviour)
            let run = try register(gateway.address)
            #expect(run.status == 69)
            #expect(run.errors.contains("Connection reset by peer"), "\(behaviour)")
        }
    }

    @Test(
        "does not take another service for a gateway",
        arguments: [
            "220 mail.example.org ESMTP\r\n", "ERR: \n", "ERR: lower\n", "ERR:", "ERR: NO_DOMAIN\nERR: NO_DOMAIN",
            String(repeating: "A", count: Exchange.replySize + 1),
        ]
    )
    func stranger(reply: String) throws {
        let gateway = try FakeGateway(.answers(reply))
        let run = try register(gateway.address)
        #expect(run.status == 69)
        #expect(run.errors.contains("not a key exchange"))
    }

    @Test("reads a reply up to the limit and not beyond")
    func replyLimit() throws {
        let code = String(repeating: "A", count: Exchange.replySize - 6)
        let gateway = try FakeGateway(.answers("ERR: \(code)\n"), .answers("ERR: \(code)A\n"))
        #expect(try register(gateway.address).status == 65)
        #expect(try register(gateway.address).status == 69)
    }

    @Test("names what is wrong with a port that nobody listens on")
    func closedPort() throws {
        let gateway = try FakeGateway(.answers(""))
        gateway.stop()
        Thread.sleep(forTimeInterval: 0.2)
        let run = try register(gateway.address)
        #expect(run.status == 69)
        #expect(run.errors.contains("Connection refused"))
        #expect(run.errors.contains("check that this machine is online"))
    }

    @Test("gives up when the time is over, whatever is under way")
    func silence() throws {
        let gateway = try FakeGateway(.silent)
        let run = try register(gateway.address, tries: 1000, timeout: 1)
        #expect(run.status == 69)
        #expect(run.errors.contains("no answer in time"))
        #expect(run.time >= 0.9, "took \(run.time) s")
    }

    @Test("goes on to the next gateway", arguments: ["dead", "refusing", "resetting", "unknown name"])
    func fallback(kind: String) throws {
        let bad: String
        var keep: FakeGateway?
        switch kind {
        case "refusing": keep = try FakeGateway(.answers(Refusal.domainFull.reply))
        case "resetting": keep = try FakeGateway(.resets)
        default: break
        }
        if let keep { bad = keep.address } else { bad = kind == "dead" ? "127.0.0.1:1" : "no-such-host.invalid" }
        let good = try FakeGateway(.answers(""))
        // The order is random, so one run may not meet the bad gateway at all.
        for _ in 0..<8 {
            let run = try register(bad, good.address)
            #expect(run.status == 0)
            #expect(run.output.contains("with \(good.address)"))
        }
        #expect(good.received.count == 8)
    }

    @Test("does not ask a gateway again that has refused, while it asks the others")
    func final() throws {
        let refusing = try FakeGateway(.answers(Refusal.domainFull.reply))
        let busy = try FakeGateway(.answers(Refusal.unavailable.reply))
        let run = try register(refusing.address, busy.address, tries: 2)
        #expect(run.status == 65)
        #expect(run.errors.contains("DOMAIN_FULL") && run.errors.contains("UNAVAILABLE"))
        #expect(refusing.received.count == 1)
        #expect(busy.received.count == 2)
    }

    @Test("spreads over its gateways")
    func shuffles() throws {
        let gateways = [try FakeGateway(.answers("")), try FakeGateway(.answers(""))]
        for _ in 0..<20 { #expect(try register(gateways[0].address, gateways[1].address).status == 0) }
        // 20 times the same one would be a chance of 1 in 500,000.
        #expect(gateways.allSatisfy { !$0.received.isEmpty })
    }

    @Test("a look-up that hangs ends with the time limit", .needsRoot)
    func hangingLookup() throws {
        // A name server that never answers: an address of a network without hosts, in a namespace of its own.
        let folder = try TemporaryFolder()
        let resolver = try folder.file("resolv.conf", "nameserver 192.0.2.53\noptions timeout:30\n")
        let script = """
            ip link add kex0 type veth peer name kex1 && ip link set kex0 up && ip link set kex1 up &&
            ip addr add 192.0.2.1/24 dev kex0 &&
            mount --bind "$1" /etc/resolv.conf && shift && exec "$@"
            """
        let command =
            ["--net", "--mount", "sh", "-c", script, "sh", resolver, Program.clientPath] + Self.fixed
            + ["--gateway", "gw.example.org", "--timeout", "1"]
        let run = try Program.run("/usr/bin/unshare", command)
        #expect(run.status == 69)
        #expect(run.errors.contains("cannot look up gw.example.org: no answer in time"))
        // The resolver's own limit is 30 s, and it would try again.
        #expect(run.time < 30, "took \(run.time) s")
    }

    @Test(
        "wrong usage ends with 64",
        arguments: [
            ["--domain", "a", "--public-key", key],
            ["--domain", "a", "--gateway", "gw"],
            ["--domain", "a", "--gateway", "gw", "--public-key", key, "--interface", "wg0"],
            ["--domain", "a b", "--gateway", "gw", "--public-key", key],
            ["--domain", "a", "--gateway", "gw:0", "--public-key", key],
            ["--domain", "a", "--gateway", "gw", "--public-key", "x"],
            ["--domain", "a", "--gateway", "gw", "--interface", "sixteen-bytes-xx"],
            ["--domain", "a", "--gateway", "gw", "--public-key", key, "--timeout", "0"],
            ["--domain", "a", "--gateway", "gw", "--public-key", key, "--timeout", "3601"],
            ["--domain", "a", "--gateway", "gw", "--public-key", key, "--tries", "0"],
            ["--domain", "a", "--gateway", "gw", "--public-key", key, "--tries", "1001"],
        ]
    )
    func usage(arguments: [String]) throws {
        let run = try Program.run(Program.clientPath, ["register"] + arguments)
        #expect(run.status == 64)
        #expect(run.errors.contains("Usage: kex-client register"))
    }
}
