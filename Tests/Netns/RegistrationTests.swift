import EUI64
import Foundation
import NetworkAddresses
import Surroundings
import Testing
import WireGuardTypes

/// What a registration changes in the kernel, as the system's own tools show it.
@Suite("Registrations", .needsRoot, .serialized) struct RegistrationTests {
    @Test(
        "A router gets its peer and its unicast entry when it registers, its place in the flood list when it is heard of"
    )
    func firstFrame() throws {
        let gateway = try GatewayFixture.running()
        let (wireGuard, key) = (gateway.domains[0].wireGuard, try gateway.makeRouter(1))
        let (address, mac) = (try address(of: key), AddressProfile.eui64.mac(of: try #require(PublicKey(text: key))))
        let unicast = "\(mac) dst \(address) via \(wireGuard) self permanent"
        let flood = "00:00:00:00:00:00 dst \(address) via \(wireGuard) self permanent"
        #expect(try gateway.register(key) == "")
        #expect(try gateway.peers() == [key: "\(address)/128"])
        usleep(600_000)
        #expect(try gateway.register(key) == "")
        #expect(try gateway.fdb() == [unicast])
        let start = Date()
        try gateway.connectRouter(1)
        try wait(for: "the flood entry") { try gateway.fdb() == [unicast, flood] }
        print("from the router's first packet to the flood entry: \(-start.timeIntervalSinceNow * 1000) ms")
        #expect(try gateway.register(key) == "")
        #expect(try gateway.fdb() == [unicast, flood])
    }

    @Test("With FloodAfter=registration a router gets everything when it registers, once")
    func effects() throws {
        let gateway = try GatewayFixture.running(settings: "FloodAfter=registration")
        let (wireGuard, key) = (gateway.domains[0].wireGuard, ExchangeTests.key)
        #expect(try gateway.peers().isEmpty)
        #expect(try gateway.fdb().isEmpty)
        for _ in 0..<3 {
            #expect(try gateway.register(key) == "")
            #expect(try gateway.peers() == [key: "fe80::a6:8fff:fe21:5465/128"])
            #expect(
                try gateway.fdb() == [
                    "02:a6:8f:21:54:65 dst fe80::a6:8fff:fe21:5465 via \(wireGuard) self permanent",
                    "00:00:00:00:00:00 dst fe80::a6:8fff:fe21:5465 via \(wireGuard) self permanent",
                ]
            )
        }
    }

    @Test(
        "The profile and the kind of entries are the domain's",
        arguments: [
            ("AddressProfile=ffmuc\nFdb=mac", "fe80::2a6:8fff:fe21:5465", ["02:a6:8f:21:54:65"]),
            (
                "AddressProfile=gluon\nFdb=flood\nFloodAfter=registration", "fe80::268:63ff:fef3:8912",
                ["00:00:00:00:00:00"]
            ),
        ]
    )
    func settings(settings: String, address: String, macs: [String]) throws {
        let gateway = try GatewayFixture.running(settings: settings)
        #expect(try gateway.register(ExchangeTests.key) == "")
        #expect(try gateway.peers() == [ExchangeTests.key: "\(address)/128"])
        let entries = macs.map { "\($0) dst \(address) via \(gateway.domains[0].wireGuard) self permanent" }
        #expect(try gateway.fdb() == Set(entries))
    }

    @Test("Keys that must not register are refused, and change nothing")
    func prohibited() throws {
        let (prohibited, fixed, secret) = (try newKey(), try newKey(), try newKey())
        let gateway = try GatewayFixture(prohibited: "\(prohibited)\n")
        let wireGuard = gateway.domains[0].wireGuard
        try Command.check("wg set \(wireGuard) peer \(fixed) allowed-ips fe80::5757:bb:2/128")
        let own = try address(of: secret)
        try Command.check(
            "wg set \(wireGuard) peer \(secret) allowed-ips \(own)/128 preshared-key /dev/stdin",
            input: try newKey()
        )
        let before = try gateway.peers()
        #expect(before.count == 2)
        try gateway.startHandler()
        try gateway.startListener()
        for key in [prohibited, fixed, secret, try gateway.ownKey()] {
            #expect(try gateway.register(key) == "ERR: PROHIBITED_WGKEY\n")
        }
        #expect(try gateway.peers() == before)
        #expect(try gateway.fdb().isEmpty)
    }

    @Test("An address that is another peer's stays there")
    func collision() throws {
        let gateway = try GatewayFixture()
        let (owner, key) = (try newKey(), try newKey())
        let (wireGuard, address) = (gateway.domains[0].wireGuard, try address(of: key))
        try Command.check("wg set \(wireGuard) peer \(owner) allowed-ips \(address)/128")
        try gateway.startHandler()
        try gateway.startListener()
        #expect(try gateway.register(key) == "ERR: ADDRESS_IN_USE\n")
        #expect(try gateway.peers() == [owner: "\(address)/128"])
    }

    @Test("The domain is full at its limit of routers that were heard of; who is in can come again")
    func full() throws {
        let gateway = try GatewayFixture.running(settings: "MaximumPeers=1")
        let router = try gateway.makeConnectedRouter(1)
        #expect(try gateway.register(newKey()) == "ERR: DOMAIN_FULL\n")
        #expect(try gateway.register(router) == "")
        #expect(try gateway.peers().count == 1)
    }

    @Test("A registration of which the fdb refuses a part is taken back whole")
    func rollback() throws {
        let gateway = try GatewayFixture(domains: ["ffww01"], settings: "FloodAfter=registration")
        let domain = gateway.domains[0]
        // Room for one MAC address: the unicast entry takes it, the flood list does not get in.
        try Command.check("ip -n \(gateway.namespace) link delete \(domain.vxlan)")
        try gateway.makeVXLAN(domain, options: "maxaddress 1")
        try gateway.startHandler()
        try gateway.startListener()
        let key = try newKey()
        #expect(try gateway.register(key) == "ERR: UNAVAILABLE\n")
        // The peer goes when a refresh has shown that it is the router's still.
        try wait(for: "the end of the peer") { try gateway.peers().isEmpty }
        #expect(try gateway.fdb().isEmpty)
        #expect(gateway.handler?.output.contains("could not register \(key)") == true)
        #expect(gateway.handler?.output.contains("No space left on device") == true)
        // Two MACs have room for both; the next router needs a third.
        try Command.check("ip -n \(gateway.namespace) link delete \(domain.vxlan)")
        try gateway.makeVXLAN(domain, options: "maxaddress 2")
        #expect(try gateway.register(key) == "")
        let before = try (gateway.peers(), gateway.fdb())
        #expect(before.0.count == 1 && before.1.count == 2)
        #expect(try gateway.register(newKey()) == "ERR: UNAVAILABLE\n")
        try wait(for: "the end of the peer") { try gateway.peers() == before.0 }
        #expect(try gateway.fdb() == before.1)
    }

    @Test("What somebody else took away is made again at the next registration")
    func repair() throws {
        let gateway = try GatewayFixture.running(settings: "FloodAfter=registration")
        let (domain, key) = (gateway.domains[0], ExchangeTests.key)
        #expect(try gateway.register(key) == "")
        let complete = try (gateway.peers(), gateway.fdb())
        let destination = "dev \(domain.vxlan) dst fe80::a6:8fff:fe21:5465 via \(domain.wireGuard)"
        let damages = [
            "wg set \(domain.wireGuard) peer \(key) remove",
            "bridge -n \(gateway.namespace) fdb delete 02:a6:8f:21:54:65 \(destination)",
            "bridge -n \(gateway.namespace) fdb delete 00:00:00:00:00:00 \(destination)",
        ]
        for damage in damages {
            try Command.check(damage)
            // The handler uses a snapshot for two seconds at most.
            try wait(for: "the repair of: \(damage)") {
                #expect(try gateway.register(key) == "")
                return try gateway.peers() == complete.0 && gateway.fdb() == complete.1
            }
        }
    }

    @Test(
        "A missing interface is named with the command that makes it; the other domain works; when it is there, both do"
    )
    func missingInterface() throws {
        let gateway = try GatewayFixture(domains: ["ffww01", "ffww02"])
        let domain = gateway.domains[0]
        try Command.check("ip -n \(gateway.namespace) link delete \(domain.vxlan)")
        try gateway.startHandler()
        try gateway.startListener()
        let output = try #require(gateway.handler?.output)
        #expect(output.contains("there is no interface \(domain.vxlan); make it, for instance with: ip link add"))
        #expect(output.contains("ready: 1 of 2 domains in service"))
        let key = try newKey()
        #expect(try gateway.register(key) == "ERR: UNAVAILABLE\n")
        #expect(try gateway.register(key, domain: "ffww02") == "")
        #expect(try gateway.peers().isEmpty)
        try gateway.makeVXLAN(domain)
        try wait(for: "the domain to be in service") { try gateway.register(key) == "" }
        #expect(try gateway.peers().keys.contains(key))
        #expect(try gateway.fdb().count == 1)
        // And gone again, WireGuard and all: no silence, which would be success.
        try Command.check("ip -n \(gateway.namespace) link delete \(domain.wireGuard)")
        try wait(for: "the handler to notice") { try gateway.register(newKey()) == "ERR: UNAVAILABLE\n" }
        #expect(try gateway.register(newKey(), domain: "ffww02") == "")
    }

    @Test("Interfaces of two domains that were mixed up, or that are down, are out of service with the remedy")
    func mixedUp() throws {
        let gateway = try GatewayFixture(domains: ["ffww01", "ffww02"])
        let (first, second) = (gateway.domains[0], gateway.domains[1])
        try Command.check("ip -n \(gateway.namespace) link delete \(first.vxlan)")
        try gateway.makeVXLAN(first, over: second.wireGuard)
        try gateway.startHandler()
        let output = try #require(gateway.handler?.output)
        #expect(
            output.contains("\(first.vxlan) does not run over \(first.wireGuard): make it with dev \(first.wireGuard)")
        )
        #expect(output.contains("ready: 1 of 2 domains in service"))
        try gateway.startListener()
        try Command.check("ip -n \(gateway.namespace) link set \(second.vxlan) down")
        try wait(for: "the handler to notice") {
            try gateway.register(ExchangeTests.key, domain: "ffww02") == "ERR: UNAVAILABLE\n"
        }
        let remedy = "\(second.vxlan) is down; set it up with: ip link set \(second.vxlan) up"
        #expect(gateway.handler?.output.contains(remedy) == true)
        try Command.check("ip -n \(gateway.namespace) link set \(second.vxlan) up")
        try wait(for: "the domain to be in service") {
            try gateway.register(ExchangeTests.key, domain: "ffww02") == ""
        }
    }

    @Test("An unknown interface kind is refused by name")
    func notVXLAN() throws {
        let gateway = try GatewayFixture(domains: ["ffww01"])
        let domain = gateway.domains[0]
        try Command.check("ip -n \(gateway.namespace) link delete \(domain.vxlan)")
        try Command.check("ip -n \(gateway.namespace) link add \(domain.vxlan) type bridge")
        try gateway.startHandler()
        #expect(gateway.handler?.output.contains("interface \(domain.vxlan) is not a VXLAN interface") == true)
    }
}

@Suite("Sweeps", .needsRoot, .serialized) struct SweepTests {
    @Test("A key silent in two sweeps goes, entries first; static peers and fresh keys stay")
    func sweep() throws {
        let gateway = try GatewayFixture.running(settings: "StaleAfter=1h\nSweepInterval=1s")
        let (wireGuard, vxlan) = (gateway.domains[0].wireGuard, gateway.domains[0].vxlan)
        let (silent, fixed) = (ExchangeTests.key, try newKey())
        try Command.check("wg set \(wireGuard) peer \(fixed) allowed-ips fe80::5757:bb:2/128")
        let staticEntry = "dev \(vxlan) dst fe80::5757:bb:2 via \(wireGuard)"
        try Command.check("bridge -n \(gateway.namespace) fdb append 00:00:00:00:00:00 \(staticEntry)")
        #expect(try gateway.register(silent) == "")
        // A learned entry of the same router goes too, or the kernel would not announce it again. This one is marked as
        // somebody else's, or it would be a sign of life.
        try Command.check(
            "bridge -n \(gateway.namespace) fdb add 0a:00:00:00:00:01 dev \(vxlan) "
                + "dst fe80::a6:8fff:fe21:5465 via \(wireGuard) dynamic extern_learn"
        )

        let dry = try gateway.cleanup("--dry-run")
        #expect(dry.output.contains("ffww01 \(silent) would be marked stale: no handshake yet"))
        let first = try gateway.cleanup("ffww01")
        #expect(first.output.contains("ffww01 \(silent) marked stale: no handshake yet; a sweep 1s from now"))
        #expect(first.output.contains("ffww01: 1 router checked"))
        #expect(
            try gateway.cleanup().output.contains(
                "still stale: no handshake yet; marked less than 1s ago, so not removed yet"
            )
        )
        #expect(try gateway.peers().count == 2)
        usleep(1_100_000)
        #expect(try gateway.cleanup("--dry-run").output.contains("would be removed: no handshake yet, in two sweeps"))
        #expect(try gateway.peers().count == 2)
        let last = try gateway.cleanup()
        #expect(last.status == 0)
        #expect(last.output.contains("ffww01 \(silent) removed: no handshake yet, in two sweeps"))
        #expect(try gateway.peers() == [fixed: "fe80::5757:bb:2/128"])
        try wait(for: "the end of what was learned of the router") {
            try !Command.check("bridge -n \(gateway.namespace) fdb show dev \(vxlan)").contains(
                "fe80::a6:8fff:fe21:5465"
            )
        }
        #expect(try gateway.fdb() == ["00:00:00:00:00:00 dst fe80::5757:bb:2 via \(wireGuard) self permanent"])
        #expect(try gateway.cleanup().output == "ffww01: 0 routers checked\n")
    }

    @Test("A registration between the sweeps takes the mark away")
    func registeredAgain() throws {
        let gateway = try GatewayFixture.running(settings: "SweepInterval=1s")
        #expect(try gateway.register(ExchangeTests.key) == "")
        #expect(try gateway.cleanup().output.contains("marked stale"))
        usleep(1_100_000)
        #expect(try gateway.register(ExchangeTests.key) == "")
        #expect(try gateway.cleanup().output.contains("marked stale"))
        #expect(try gateway.peers().count == 1)
    }

    @Test("What went wrong is said, with the status of its kind")
    func errors() throws {
        let gateway = try GatewayFixture(domains: ["ffww01"])
        let noHandler = try gateway.cleanup()
        #expect(noHandler.status == 69)
        #expect(noHandler.errors.contains("cannot connect to \(gateway.folder)/control.sock: No such file"))
        #expect(noHandler.errors.contains("Is kex-handler running"))
        #expect(try gateway.cleanup("elsewhere").status == 64)
        try gateway.startHandler()
        try Command.check("ip -n \(gateway.namespace) link delete \(gateway.domains[0].wireGuard)")
        let noDevice = try gateway.cleanup()
        #expect(noDevice.status == 69)
        #expect(noDevice.errors.contains("ffww01: not swept: there is no interface"))
    }
}

func newKey() throws -> String {
    let privateKey = try Command.check("wg genkey")
    return try Command.check("wg pubkey", input: privateKey).trimmingCharacters(in: .newlines)
}

/// A key of nobody, at no cost: a number below 2^255, as a router's is.
func anyKey() -> String {
    Data((0..<32).map { UInt8.random(in: 0...($0 == 31 ? 0x7e : 255)) }).base64EncodedString()
}

private func address(of key: String) throws -> IPv6Address {
    AddressProfile.eui64.linkLocalAddress(of: try #require(PublicKey(text: key)))
}
