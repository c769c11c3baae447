import EUI64
import Foundation
import KexProtocol
import NetworkAddresses
import Surroundings
import Testing
import WireGuardTypes

@testable import kex_client

@Suite("kex-client up and down", .needsRoot) struct UpTests {
    @Test("make a tunnel that works, repair it, and take it away")
    func wholeLife() throws {
        let laboratory = try Laboratory()
        let exchange = try laboratory.exchange()
        let names = laboratory.names
        let file = try laboratory.file(gateways: laboratory.section(exchange: exchange.address))

        let up = try laboratory.client("up", file)
        #expect(up.status == 0, "\(up.errors)")
        #expect(up.errors == "")
        for step in ["made private key", "with wireguard-go", "registered in ffww01", "handshake with the gateway"] {
            #expect(up.output.contains(step), "\(up.output)")
        }
        print("kex-client up: \(up.time) s")

        // What the key says is what the interfaces have.
        let text = try laboratory.onRouter("wg show \(names.wireGuard) public-key").output
        let key = try #require(PublicKey(text: text.trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(exchange.received == ["ffww01\n\(key)\n"])
        let address = AddressProfile.eui64.linkLocalAddress(of: key)
        let addresses = try laboratory.onRouter("ip -br addr show dev \(names.wireGuard)").output
        #expect(addresses.contains(" \(address)/64"))
        #expect(addresses.split { $0.isWhitespace }.count == 3, "one address only: \(addresses)")
        let link = try laboratory.onRouter("ip -d link show \(names.vxlan)").output
        for word in [
            "\(AddressProfile.eui64.mac(of: key))", "mtu 1280", "vxlan id 99", "local \(address)",
            "dev \(names.wireGuard)", "dstport 8472", "UP",
        ] {
            #expect(link.contains(word), "\(word) in \(link)")
        }
        #expect(!link.contains("nolearning"))
        let fdb = try laboratory.onRouter("bridge fdb show dev \(names.vxlan)").output
        #expect(
            fdb.contains("00:00:00:00:00:00 dst \(Laboratory.gatewayAddress) via \(names.wireGuard) self permanent")
        )
        let peer = try laboratory.onRouter("wg show \(names.wireGuard) dump | tail -n +2").output.split(separator: "\t")
        #expect(peer[0] == laboratory.gatewayKey)
        #expect(peer[2] == "192.0.2.1:51820")
        #expect(peer[3] == "\(Laboratory.gatewayAddress)/128")
        #expect(peer[7].trimmingCharacters(in: .newlines) == "25")

        try laboratory.onRouter(
            "ip addr add 10.99.0.2/24 dev \(names.vxlan) && ping -q -c 2 -i 0.2 -W 2 10.99.0.1"
        )

        // Again: nothing is made anew, and the session goes on.
        let before = try laboratory.index(of: names.vxlan)
        let received = try laboratory.receivedBytes()
        let again = try laboratory.client("up", file)
        #expect(again.status == 0, "\(again.errors)")
        #expect(again.output.contains("session with the gateway: answered after"), "\(again.output)")
        #expect(!again.output.contains("made"))
        #expect(try laboratory.index(of: names.vxlan) == before)
        #expect(try laboratory.receivedBytes() >= received, "the peer was not made anew")

        // A lost interface comes back.
        try laboratory.onRouter("ip link del \(names.vxlan)")
        let repair = try laboratory.client("up", file)
        #expect(repair.status == 0, "\(repair.errors)")
        #expect(repair.output.contains("made VXLAN interface \(names.vxlan)"))
        #expect(!repair.output.contains("made WireGuard"))
        try laboratory.onRouter(
            "ip addr add 10.99.0.2/24 dev \(names.vxlan) && ping -q -c 2 -i 0.2 -W 2 10.99.0.1"
        )

        // Another key does not fit the interfaces that are there: it is refused before anything is changed.
        let keyFile = laboratory.folder.path + "/router.key"
        try Laboratory.sh("cp \(keyFile) \(keyFile).kept && wg genkey > \(keyFile)")
        let changed = try laboratory.client("up", file)
        #expect(changed.status == 71)
        #expect(changed.errors.contains("interface \(names.vxlan) was made for another key; take it away first"))
        #expect(try laboratory.onRouter("wg show \(names.wireGuard) public-key").output == text)
        #expect(try laboratory.onRouter("ip -br addr show dev \(names.wireGuard)").output == addresses)
        try Laboratory.sh("mv \(keyFile).kept \(keyFile)")

        let down = try laboratory.client("down", file)
        #expect(down.status == 0, "\(down.errors)")
        #expect(try laboratory.interfaces.isEmpty)
        #expect(!FileManager.default.fileExists(atPath: "/run/wireguard/\(names.wireGuard).sock"))
        let nothing = try laboratory.client("down", file)
        #expect(nothing.status == 0)
        #expect(nothing.output == "there is no \(names.vxlan)\nthere is no \(names.wireGuard)\n")

        // The key is still the router's own.
        #expect(try laboratory.client("up", file).output.contains("\(key)"))
    }

    @Test("take no session for alive that the gateway has lost: shake hands anew")
    func lostSession() throws {
        let laboratory = try Laboratory()
        let exchange = try laboratory.exchange()
        let file = try laboratory.file(gateways: laboratory.section(exchange: exchange.address))
        #expect(try laboratory.client("up", file).status == 0)
        // The gateway's machine begins anew: it knows its key, and no session.
        let (gateway, name) = (laboratory.gateway, laboratory.names.gatewayWireGuard)
        try Laboratory.sh(
            "ip netns exec \(gateway) wg set \(name) peer $(ip netns exec \(gateway) wg show \(name) peers) remove"
        )
        let again = try laboratory.client("up", file)
        #expect(again.status == 0, "\(again.errors)")
        #expect(
            again.output.contains("session with the gateway: no answer in it, shaking hands anew"),
            "\(again.output)"
        )
        #expect(again.output.contains("handshake with the gateway: there after"), "\(again.output)")
        try laboratory.onRouter("ping -q -c 1 -W 5 \(Laboratory.gatewayAddress)%\(laboratory.names.wireGuard)")
        // It has another key: there is no handshake, so none is reported.
        try Laboratory.sh("wg genkey | ip netns exec \(gateway) wg set \(name) private-key /dev/stdin")
        let dead = try laboratory.client("up", "--wait", "3", file)
        #expect(dead.status == 69)
        #expect(dead.errors.contains("no handshake with 192.0.2.1:51820 in 3 s"), "\(dead.errors)")
    }

    @Test("say that IPv6 is off, and what turns it on", arguments: [false, true])
    func withoutIPv6(isThere: Bool) throws {
        let laboratory = try Laboratory()
        let name = laboratory.names.wireGuard
        let exchange = try laboratory.exchange()
        let file = try laboratory.file(gateways: laboratory.section(exchange: exchange.address))
        try laboratory.onRouter(
            "sysctl -qw net.ipv6.conf.all.disable_ipv6=1" + (isThere ? "; wireguard-go \(name) >/dev/null 2>&1" : "")
        )
        let up = try laboratory.client("up", file)
        #expect(up.status == 71)
        #expect(!up.errors.contains("as root"), "\(up.errors)")
        let command = try #require(up.errors.firstMatch(of: #/turn it on and try again: (.*)\n/#)?.1)
        try laboratory.onRouter(String(command))
        let again = try laboratory.client("up", file)
        #expect(again.status == 0, "\(again.errors)")
    }

    @Test("register before the peer is set")
    func order() throws {
        let laboratory = try Laboratory()
        let (router, wireGuard) = (laboratory.router, laboratory.names.wireGuard)
        let seen = Seen()
        let exchange = try FakeGateway(
            .admits { _, _ in
                let run = try? Laboratory.sh("ip netns exec \(router) wg show \(wireGuard) peers; echo looked")
                seen.text = run?.output ?? ""
            },
            on: "192.0.2.1",
            namespace: laboratory.gateway
        )
        let file = try laboratory.file(gateways: laboratory.section(exchange: exchange.address))
        let up = try laboratory.client("up", "--wait", "0", file)
        #expect(up.status == 0, "\(up.errors)")
        #expect(seen.text == "looked\n")
    }

    @Test("leave nothing when no gateway accepts, with 65 for a refusal and 69 for silence")
    func takenBack() throws {
        let laboratory = try Laboratory()
        for (behaviour, status) in [
            (FakeGateway.Behaviour.answers(Refusal.domainFull.reply), 65), (.silent, 69),
        ] as [(FakeGateway.Behaviour, Int32)] {
            let exchange = try FakeGateway(behaviour, on: "192.0.2.1", namespace: laboratory.gateway)
            let file = try laboratory.file(gateways: laboratory.section(exchange: exchange.address))
            let up = try laboratory.client("up", "--timeout", "1", file)
            #expect(up.status == status)
            for name in [laboratory.names.wireGuard, laboratory.names.vxlan] {
                #expect(up.errors.contains("\(name) was taken back"), "\(up.errors)")
            }
            #expect(try laboratory.interfaces.isEmpty)
            #expect(FileManager.default.fileExists(atPath: laboratory.folder.path + "/router.key"))
            Thread.sleep(forTimeInterval: 0.3)  // wireguard-go needs a moment to end
        }
    }

    @Test("keep what was there before when no gateway accepts")
    func kept() throws {
        let laboratory = try Laboratory()
        let exchange = try laboratory.exchange()
        let file = try laboratory.file(gateways: laboratory.section(exchange: exchange.address))
        #expect(try laboratory.client("up", file).status == 0)
        exchange.stop()
        Thread.sleep(forTimeInterval: 0.2)
        let again = try laboratory.client("up", "--timeout", "1", file)
        #expect(again.status == 69)
        #expect(again.errors.contains("\(laboratory.names.wireGuard) was there before and stays"))
        #expect(try laboratory.interfaces.count == 2)
    }

    @Test("keep the interfaces when the handshake does not come, and say what to check")
    func noHandshake() throws {
        let laboratory = try Laboratory()
        let exchange = try laboratory.exchange()
        let stranger = "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw="
        let file = try laboratory.file(gateways: laboratory.section(exchange: exchange.address, key: stranger))
        let up = try laboratory.client("up", "--wait", "1", file)
        #expect(up.status == 69)
        #expect(up.errors.contains("no handshake with 192.0.2.1:51820 in 1 s"))
        #expect(up.errors.contains("check that UDP"))
        #expect(try laboratory.interfaces.count == 2)
    }

    @Test("leave the old gateway when it refuses and another accepts")
    func change() throws {
        let laboratory = try Laboratory()
        let (old, new) = (try laboratory.exchange(), try laboratory.exchange())
        let oldKey = "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw="
        let oldSection = laboratory.section(exchange: old.address, key: oldKey, address: "fe80::5757:bb:2")
        let first = try laboratory.file(gateways: oldSection)
        #expect(try laboratory.client("up", "--wait", "0", first).status == 0)
        let refusing = try FakeGateway(
            .answers(Refusal.domainFull.reply),
            on: "192.0.2.1",
            namespace: laboratory.gateway
        )
        let second = try laboratory.file(
            gateways: laboratory.section(exchange: refusing.address, key: oldKey, address: "fe80::5757:bb:2"),
            laboratory.section(exchange: new.address)
        )
        let up = try laboratory.client("up", second)
        #expect(up.status == 0, "\(up.errors)")
        #expect(refusing.received.count == 1, "the present gateway is asked first")
        let peers = try laboratory.onRouter("wg show \(laboratory.names.wireGuard) peers").output
        #expect(peers == laboratory.gatewayKey + "\n")
        let fdb = try laboratory.onRouter("bridge fdb show dev \(laboratory.names.vxlan)").output
        #expect(!fdb.contains("fe80::5757:bb:2"))
        #expect(fdb.contains(Laboratory.gatewayAddress))
    }

    @Test("stay with the gateway that the router has")
    func sticky() throws {
        let laboratory = try Laboratory()
        let (here, there) = (try laboratory.exchange(), try laboratory.exchange())
        let other = laboratory.section(
            exchange: there.address,
            key: "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw=",
            address: "fe80::5757:bb:2"
        )
        let alone = try laboratory.file(gateways: laboratory.section(exchange: here.address))
        #expect(try laboratory.client("up", alone).status == 0)
        let both = try laboratory.file(gateways: other, laboratory.section(exchange: here.address))
        for _ in 0..<6 { #expect(try laboratory.client("up", both).status == 0) }
        #expect(there.received.isEmpty)
    }

    @Test("leave alone what only has the same name", arguments: ["WireGuard", "VXLAN"])
    func strangers(which: String) throws {
        let laboratory = try Laboratory()
        let name = which == "VXLAN" ? laboratory.names.vxlan : laboratory.names.wireGuard
        try laboratory.onRouter("ip link add \(name) type bridge")
        let exchange = try laboratory.exchange()
        let file = try laboratory.file(gateways: laboratory.section(exchange: exchange.address))
        for command in ["up", "down"] {
            let run = try laboratory.client(command, file)
            #expect(run.status == 71)
            #expect(run.errors.contains("interface \(name) is there and is not a \(which) interface"))
            #expect(try laboratory.interfaces == [name], "and nothing half-made stays")
        }
    }

    @Test("say what to install where there is no WireGuard at all")
    func noWireGuard() throws {
        let laboratory = try Laboratory()
        let file = try laboratory.file(gateways: laboratory.section(exchange: "192.0.2.1"))
        let run = try laboratory.onRouter("PATH=/nonexistent exec \(Program.clientPath) up \(file)", mayFail: true)
        #expect(run.status == 71)
        #expect(run.errors.contains("apt install wireguard-go"))
    }

    @Test("need root, and say so")
    func root() throws {
        let laboratory = try Laboratory()
        let file = try laboratory.file(gateways: laboratory.section(exchange: "192.0.2.1"))
        try laboratory.onRouter("wg genkey > \(laboratory.folder.path)/router.key; chmod 755 \(laboratory.folder.path)")
        try laboratory.onRouter(
            "chmod 644 \(laboratory.folder.path)/router.key; ip link add \(laboratory.names.vxlan) type vxlan id 1 dstport 1"
        )
        let run = try laboratory.onRouter(
            "setpriv --reuid 65534 --clear-groups --bounding-set -all \(Program.clientPath) down \(file)",
            mayFail: true
        )
        #expect(run.status == 71)
        #expect(run.errors.contains("run kex-client as root"), "\(run.errors)")
    }

    @Test("register an interface's own key")
    func interface() throws {
        let laboratory = try Laboratory()
        let exchange = try laboratory.exchange()
        let name = laboratory.names.wireGuard
        try laboratory.onRouter("wireguard-go \(name) >/dev/null 2>&1")
        let command = ["register", "--gateway", exchange.address, "--domain", "a", "--interface", name]
        func register() throws -> ProgramRun {
            try Program.run("/usr/sbin/ip", ["netns", "exec", laboratory.router, Program.clientPath] + command)
        }
        let keyless = try register()
        #expect(keyless.status == 71)
        #expect(keyless.errors.contains("interface \(name) has no key yet"))
        let remedy = try #require(keyless.errors.firstMatch(of: #/no key yet; one is: (.*)\n/#)?.1)
        try laboratory.onRouter(String(remedy))
        #expect(try register().status == 0)
        let key = try laboratory.onRouter("wg show \(name) public-key").output
        #expect(exchange.received == ["a\n\(key)"])
    }

    @Test("name the interface that is missing")
    func missingInterface() throws {
        let run = try Program.client("register", "--gateway", "127.0.0.1:1", "--domain", "a", "--interface", "kexnone")
        #expect(run.status == 71)
        #expect(run.errors.contains("kexnone"))
    }
}

/// What a thread of a test has seen.
private final class Seen: @unchecked Sendable {
    // Written by one thread before the other reads: the program's end lies between.
    var text = ""
}
