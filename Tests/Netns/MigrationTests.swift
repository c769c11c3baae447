import Checkout
import EUI64
import Foundation
import Surroundings
import Testing

/// A domain whose routers change from one address profile to another.
@Suite("Migration", .needsRoot, .serialized) struct MigrationTests {
    private static let both = "AddressProfile=eui64 ffmuc"

    private func gateway(_ settings: String) throws -> GatewayFixture {
        let gateway = try GatewayFixture.running(settings: settings)
        try Command.check("ip -n \(gateway.namespace) address add 10.1.0.254/24 dev \(gateway.domains[0].vxlan)")
        return gateway
    }

    private func router(_ gateway: GatewayFixture, _ number: Int, _ profile: AddressProfile) throws -> MeshRouter {
        let router = try MeshRouter(gateway, number)
        #expect(try gateway.register(router.key) == "")
        try router.use(profile)
        try router.connect()
        try wait(for: "the ping of router \(number)") { try router.ping(1).status == 0 }
        return router
    }

    private func reload(_ gateway: GatewayFixture, _ old: String, _ new: String) throws {
        let path = "\(gateway.folder)/kex.conf"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let handler = try #require(gateway.handler)
        let before = handler.output.matches(of: #/reloaded: /#).count
        try text.replacing(old, with: new).write(toFile: path, atomically: true, encoding: .utf8)
        kill(handler.processIdentifier, SIGHUP)
        try wait(for: "the reload") { handler.output.matches(of: #/reloaded: /#).count > before }
    }

    /// All entries that lead to the address, learned ones too.
    private func entries(to address: String, in gateway: GatewayFixture) throws -> [Substring] {
        try Command.check("bridge -n \(gateway.namespace) fdb show dev \(gateway.domains[0].vxlan)")
            .split(separator: "\n").filter { $0.contains("dst \(address) ") }
    }

    @Test(
        "Routers of both profiles ping; each has both addresses, and broadcasts go to the one that it uses, also when it changes"
    )
    func sideBySide() throws {
        let gateway = try gateway(Self.both)
        let (old, new) = (try router(gateway, 1, .eui64), try router(gateway, 2, .ffmuc))
        for router in [old, new] {
            let addresses = try #require(try gateway.peers()[router.key]).split(separator: " ").map(String.init)
            #expect(Set(addresses) == ["\(router.address(.eui64))/128", "\(router.address(.ffmuc))/128"])
        }
        try wait(for: "the flood entries") { try gateway.fdb() == [old.floodEntry(.eui64), new.floodEntry(.ffmuc)] }
        #expect(try gateway.register(old.key) == "")
        // What the gateway has to ask for reaches both.
        for router in [old, new] {
            try Command.check("ip -n \(gateway.namespace) neighbour flush dev \(gateway.domains[0].vxlan)")
            let ping = ["ping", "-n", "-q", "-c", "3", "-i", "0.1", "-W", "1", "10.1.0.\(router.number)"]
            let result = try Command.run("ip", ["netns", "exec", gateway.namespace] + ping)
            #expect(result.output.contains(" 0% packet loss"), "\(result)")
        }
        // New firmware.
        let start = Date()
        try old.use(.ffmuc)
        try wait(for: "the ping from the other address") { try old.ping(1).status == 0 }
        try wait(for: "the flood entry") { try gateway.fdb() == [old.floodEntry(.ffmuc), new.floodEntry(.ffmuc)] }
        print("from the router's other address to its flood entry: \(-start.timeIntervalSinceNow * 1000) ms")
        #expect(gateway.handler?.output.contains("\(old.key) moved to \(old.address(.ffmuc))") == true)
        #expect(try entries(to: old.address(.eui64), in: gateway).isEmpty)
    }

    @Test(
        "From one profile to both and to the other: no ping is lost, sessions stay, and in the end there is nothing of the first"
    )
    func reloads() throws {
        let gateway = try gateway("AddressProfile=eui64")
        let router = try router(gateway, 1, .eui64)
        let stranger = try newKey()
        #expect(try gateway.register(stranger) == "")
        let handshake = try router.lastHandshake

        let first = try router.pinging(200)
        try reload(gateway, "AddressProfile=eui64", Self.both)
        try wait(for: "the second address") { try gateway.peers()[router.key]?.contains(" ") == true }
        first.waitForEnd()
        #expect(first.output.contains(" 0% packet loss"), "\(first.output)")
        #expect(try gateway.fdb() == [router.floodEntry(.eui64)], "no permanent unicast entry")

        try router.use(.ffmuc)
        try wait(for: "the ping from the other address") { try router.ping(1).status == 0 }

        let second = try router.pinging(200)
        try reload(gateway, Self.both, "AddressProfile=ffmuc")
        let unicast = "\(router.mac(.ffmuc)) dst \(router.address(.ffmuc)) "
        try wait(for: "the new address alone") {
            try gateway.peers()[router.key] == "\(router.address(.ffmuc))/128"
                && gateway.fdb().contains { $0.hasPrefix(unicast) }
        }
        second.waitForEnd()
        #expect(second.output.contains(" 0% packet loss"), "\(second.output)")
        #expect(try router.lastHandshake == handshake)
        #expect(try gateway.fdb().contains(router.floodEntry(.ffmuc)))
        #expect(try entries(to: router.address(.eui64), in: gateway).isEmpty)
        #expect(try gateway.peers().values.allSatisfy { !$0.contains(" ") && $0.hasPrefix("fe80::2") })
        #expect(try gateway.register(router.key) == "")
        #expect(try gateway.register(stranger) == "")
        #expect(try gateway.peers().count == 2)
    }

    @Test("A restart in the middle finds routers where they are")
    func restart() throws {
        let gateway = try gateway(Self.both)
        let router = try router(gateway, 1, .ffmuc)
        try wait(for: "the flood entry") { try gateway.fdb() == [router.floodEntry(.ffmuc)] }
        gateway.handler?.end(with: SIGKILL)
        try gateway.startHandler()
        #expect(try gateway.register(router.key) == "")
        #expect(try gateway.fdb() == [router.floodEntry(.ffmuc)])
        #expect(try router.ping(10).output.contains(" 0% packet loss"))
    }

    @Test("A sweep takes everything of a router: the peer with both addresses, and what leads to either of them")
    func sweep() throws {
        let gateway = try gateway("\(Self.both)\nStaleAfter=1s\nSweepInterval=1s")
        let router = try router(gateway, 1, .eui64)
        try router.use(.ffmuc)
        try wait(for: "the ping from the other address") { try router.ping(1).status == 0 }
        // Somebody behind it whom the kernel learned before it moved.
        let domain = gateway.domains[0]
        try Command.check(
            "bridge -n \(gateway.namespace) fdb add 0a:00:00:00:00:01 dev \(domain.vxlan) "
                + "dst \(router.address(.eui64)) via \(domain.wireGuard) dynamic extern_learn"
        )
        router.end()
        try wait(for: "the removal") {
            usleep(600_000)
            return try gateway.cleanup().output.contains("\(router.key) removed")
        }
        #expect(try gateway.peers().isEmpty)
        for profile in [AddressProfile.eui64, .ffmuc] {
            #expect(try entries(to: router.address(profile), in: gateway).isEmpty)
        }
    }

    // MARK: - From the gateway of shell scripts

    @Test(
        "From the gateway of shell scripts by the commands of MIGRATION.md: no ping is lost, sessions and the operator's peers stay"
    )
    func shellGateway() throws {
        let gateway = try GatewayFixture()
        let (domain, namespace) = (gateway.domains[0], gateway.namespace)
        try Command.check("ip -n \(namespace) address del \(GatewayFixture.gatewayAddress)/64 dev \(domain.wireGuard)")
        try Command.check(
            "ip -n \(namespace) address add \(GatewayFixture.gatewayAddress)/48 dev \(domain.wireGuard) nodad"
        )
        try Command.check("ip -n \(namespace) address add 10.1.0.254/24 dev \(domain.vxlan)")
        let (sister, banned, fresh) = (try newKey(), try newKey(), try newKey())
        let shell = try ShellGateway(
            gateway,
            disallowed: "\(sister)\n  \(try gateway.ownKey())  \n\nkey of the map host: \(banned)\r\n"
        )
        // Another gateway, as the operator's files have it.
        let wireGuard = domain.wireGuard
        try Command.check("wg set \(wireGuard) peer \(sister) endpoint 192.0.2.2:10010 allowed-ips fe80::5757:bb:2/128")
        let sisterEntry = "00:00:00:00:00:00 dst fe80::5757:bb:2 via \(wireGuard) self permanent"
        try Command.check(
            "bridge -n \(namespace) fdb append 00:00:00:00:00:00 dev \(domain.vxlan) dst fe80::5757:bb:2 via \(wireGuard)"
        )
        let routers = try [MeshRouter(gateway, 1), MeshRouter(gateway, 2)]
        for router in routers {
            #expect(try shell.register(router.key) == "")
            try router.use(.eui64)
            try router.connect()
            try wait(for: "the ping of router \(router.number)") { try router.ping(1).status == 0 }
        }
        // On a busy machine socat may end with its child before it has passed on what that said.
        try wait(for: "the refusal of the shell gateway") {
            try shell.register(banned) == "ERR: PROHIBITED_WGKEY\n"
        }
        let silent = try newKey()
        #expect(try shell.register(silent) == "")
        let handshakes = try routers.map { try $0.lastHandshake }
        let flood = Set(routers.map { $0.floodEntry(.eui64) } + [sisterEntry])
        #expect(try gateway.fdb().isSuperset(of: flood))

        let pings = try routers.map { try PingStream($0) }
        for ping in pings { try ping.waitForMore(20) }
        try shell.followPage()
        for ping in pings { try ping.waitForMore(100) }

        #expect(gateway.port == shell.port)
        // Kept as they are, and known.
        #expect(try gateway.register(routers[0].key) == "")
        #expect(try gateway.register(fresh) == "")
        for key in [banned, sister, try gateway.ownKey()] {
            #expect(try gateway.register(key) == "ERR: PROHIBITED_WGKEY\n")
        }
        let peers = try gateway.peers()
        #expect(Set(peers.keys) == Set(routers.map(\.key) + [sister, silent, fresh]))
        #expect(peers[sister] == "fe80::5757:bb:2/128")
        #expect(try gateway.fdb().isSuperset(of: flood))
        #expect(try gateway.cleanup().status == 0)
        for ping in pings { try ping.waitForMore(20) }
        #expect(try routers.map { try $0.lastHandshake } == handshakes)
        for ping in pings {
            let lost = ping.lost
            #expect(lost.isEmpty, "\(lost)")
            print("\(ping.count) pings while the gateway changed, \(lost.count) lost")
        }
    }
}

/// What the deployed scripts do, behind the socat that they are behind, without SO_REUSEADDR.
private final class ShellGateway {
    private let gateway: GatewayFixture
    private let listener: Daemon
    let port: UInt16
    private var list: String { "\(gateway.folder)/old/disallowed_keys" }

    init(_ gateway: GatewayFixture, disallowed: String) throws {
        self.gateway = gateway
        let (folder, domain) = (gateway.folder, gateway.domains[0])
        try FileManager.default.createDirectory(atPath: "\(folder)/old", withIntermediateDirectories: false)
        try disallowed.write(toFile: "\(folder)/old/disallowed_keys", atomically: true, encoding: .utf8)
        let script = """
            #!/bin/bash
            read -r -t 5 -n 64 domain
            [ "$domain" = \(domain.name) ] || { echo ERR: INVALID_DOMAIN; exit 1; }
            read -r -t 5 -n 64 key
            ! grep -q "$key" \(folder)/old/disallowed_keys || { echo ERR: PROHIBITED_WGKEY; exit 1; }
            address=$(\(Command.path(of: "kex-client")) derive "$key" | sed -n 's/^address //p')
            wg set \(domain.wireGuard) peer "$key" remove
            wg set \(domain.wireGuard) peer "$key" allowed-ips "$address/128"
            bridge -n \(gateway.namespace) fdb append 00:00:00:00:00:00 dev \(domain.vxlan) \\
                dst "$address" via \(domain.wireGuard)
            """
        try script.write(toFile: "\(folder)/old/handler", atomically: true, encoding: .utf8)
        chmod("\(folder)/old/handler", 0o700)
        listener = try Daemon(
            ["socat", "-d", "-d", "TCP6-LISTEN:0,max-children=100,fork", "EXEC:\(folder)/old/handler"],
            log: "\(folder)/old/socat.log"
        )
        port = UInt16(try listener.waitFor(#/listening on AF=10 \S*:(\d+)/#).1) ?? 0
    }

    /// One exchange as a router makes it; returns the reply.
    func register(_ key: String) throws -> String {
        let client = try TCPClient(port: port)
        try client.send("ffww01\n\(key)\n")
        return try client.reply()
    }

    /// Does what the page says, command by command; systemd is played.
    func followPage() throws {
        let page = try String(contentsOf: Checkout.file("docs/MIGRATION.md"), encoding: .utf8)
        let start = try #require(page.range(of: "## From the gateway of shell scripts\n"))
        let section = page[start.upperBound...].split(separator: "\n## ")[0]
        let blocks = section.matches(of: #/```\n((?s).*?)```\n/#).map { String($0.1) }
        try #require(blocks.count == 4 && blocks[0] == "apt install ./kex*.deb\n", "\(blocks)")
        for unit in blocks.joined().matches(of: #/kex[a-z]*[a-z-]*@?(?:\w*)\.(?:socket|timer)/#).map({ String($0.0) }) {
            let file = "systemd/" + unit.replacing(#/@\w*/#, with: "@")
            #expect(FileManager.default.fileExists(atPath: Checkout.file(file).path), "\(unit)")
        }
        // Where the test has its sockets; all else is the page's.
        let own = try String(contentsOfFile: "\(gateway.folder)/kex.conf", encoding: .utf8).split(separator: "[Domain")[
            0
        ]
        .split(separator: "\n").filter { !$0.hasPrefix("ProhibitedKeys") }.joined(separator: "\n")
        try FileManager.default.createDirectory(
            atPath: "\(gateway.folder)/kex.conf.d",
            withIntermediateDirectories: false
        )
        try own.write(toFile: "\(gateway.folder)/kex.conf.d/test.conf", atomically: true, encoding: .utf8)
        try run(blocks[1])
        #expect(
            try String(contentsOfFile: "\(gateway.folder)/prohibited-keys", encoding: .utf8).split(separator: "\n")
                .count
                == 3
        )
        for line in (blocks[2] + blocks[3]).split(separator: "\n") {
            switch line {
            case "systemctl disable --now wgkex-cleanup@ww01.timer", "systemctl enable kexd.socket",
                "systemctl enable --now kex-handler.socket kex-control.socket kex-cleanup@ffww01.timer":
                break
            case "systemctl start kex-handler": try gateway.startHandler()
            case "systemctl disable --now wgkex.service": listener.end(with: SIGTERM)
            case "until systemctl start kexd.socket; do sleep 5; done":
                try wait(for: "the port") { (try? gateway.startListener(on: "[::]:\(port)")) != nil }
            default: try run(String(line))
            }
        }
    }

    private func run(_ script: String) throws {
        let domain = gateway.domains[0]
        let names = [
            ("/etc/kex/", "\(gateway.folder)/"), ("/etc/wgkex/", "\(gateway.folder)/old/"),
            ("WireGuard=wgww01", "WireGuard=\(domain.wireGuard)"), ("VXLAN=vxww01", "VXLAN=\(domain.vxlan)"),
            (":10012", ":\(port)"),
            ("kex-handler ", "\(Command.path(of: "kex-handler")) --config \(gateway.folder)/kex.conf "),
        ]
        let own = names.reduce(script) { $0.replacing($1.0, with: $1.1) }
        let result = try Command.run("bash", ["-euc", own])
        #expect(result.status == 0, "\(own)\n\(result)")
    }
}

/// Pings through the tunnel, a hundred a second, until it is given up.
private final class PingStream {
    private let process: Daemon

    init(_ router: MeshRouter) throws {
        process = try Daemon(
            ["ip", "netns", "exec", router.namespace, "ping", "-n", "-i", "0.01", "10.1.0.254"],
            log: "\(router.gateway.folder)/ping\(UUID().uuidString).log"
        )
    }

    private var answered: [Int] { process.output.matches(of: #/icmp_seq=(\d+) /#).compactMap { Int($0.1) } }
    var count: Int { answered.count }

    /// Those before the last answer that have none.
    var lost: Set<Int> {
        let answered = answered
        return Set(1...(answered.max() ?? 1)).subtracting(answered)
    }

    func waitForMore(_ more: Int) throws {
        let before = count
        try wait(for: "\(more) more pings") { count >= before + more }
    }
}
