import LinkFacts
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

@Suite("What a machine of ours says of itself") struct OurBootTests {
    @Test("It has these bytes")
    func bytes() throws {
        let boot = OurBoot(port: 0xca6d, relays: true, random: 0x0102_0304_0506_0708)
        #expect(boot.bootID.bytes == [0x6b, 0x65, 0x78, 0x4c, 1, 1, 0xca, 0x6d, 1, 2, 3, 4, 5, 6, 7, 8])
        #expect(OurBoot(boot.bootID) == boot)
        let other = OurBoot(port: 1, relays: false, random: .max)
        #expect(OurBoot(other.bootID) == other)
    }

    @Test("Another magic or version is not ours; flags may come")
    func others() throws {
        func read(_ change: (inout [UInt8]) -> Void) throws -> OurBoot? {
            var bytes = OurBoot(port: 7, relays: false, random: 9).bootID.bytes
            change(&bytes)
            return OurBoot(try #require(BootID(bytes: bytes)))
        }
        #expect(try read { _ in } != nil)
        for index in 0..<4 { #expect(try read { $0[index] ^= 1 } == nil) }
        #expect(try read { $0[4] = 2 } == nil)
        #expect(try read { $0[5] = 0xfe } == OurBoot(port: 7, relays: false, random: 9))
        #expect(try read { $0[5] = 0xff } == OurBoot(port: 7, relays: true, random: 9))
    }

    @Test("How long a fact holds among ours is told by numbers that no clock reaches")
    func lasting() {
        #expect(TimeToLive(lasting: .own).seconds == 65534)
        #expect(TimeToLive(lasting: .observed).seconds == 65533)
        for seconds in UInt16(65532)...65535 {
            let time = TimeToLive(seconds: seconds)
            #expect(time.lastingOrigin.map { TimeToLive(lasting: $0) } == time)
        }
        #expect(TimeToLive(seconds: 65531).lastingOrigin == nil)
        #expect(TimeToLive.usual.lastingOrigin == nil)
        #expect(TimeToLive.none.lastingOrigin == nil)
    }
}

@Suite("Which endpoints make sense") struct TunnelNetworksTests {
    private let networks: TunnelNetworks = {
        var snapshot = DeviceSnapshot(publicKey: key(0), listenPort: 51820, wallClock: 0)
        snapshot.tunnelAddresses = [prefix("10.7.0.1/24"), prefix("fd00::1/64"), prefix("fe80::1/64")]
        snapshot.underlayAddresses = [underlay("10.7.0.129/25"), underlay("192.0.2.1/24")]
        return TunnelNetworks(snapshot)
    }()

    @Test(
        "None through the tunnel, and none that means nothing elsewhere",
        arguments: [
            ("192.0.2.9:1", true), ("203.0.113.1:51820", true), ("[2001:db8::1]:7", true), ("[fd01::1]:7", true),
            // In the tunnel's network, and in another interface's as well.
            ("10.7.0.9:7", false), ("10.7.0.200:7", true), ("[fd00::9]:7", false),
            ("192.0.2.9:0", false), ("127.0.0.1:7", false), ("[::1]:7", false), ("0.0.0.0:7", false), ("[::]:7", false),
            ("169.254.1.1:7", false), ("[fe80::9]:7", false), ("224.0.0.1:7", false), ("255.255.255.255:7", false),
            ("[ff02::1]:7", false),
        ]
    )
    func allows(_ text: String, _ isAllowed: Bool) { #expect(networks.allows(endpoint(text)) == isAllowed) }

    @Test(
        "Bits behind the prefix",
        arguments: [
            ("10.1.2.3/24", "10.1.2.0/24"), ("10.1.2.3/0", "0.0.0.0/0"), ("10.1.2.3/32", "10.1.2.3/32"),
            ("2001:db8:1:2:3:4:5:6/64", "2001:db8:1:2::/64"), ("2001:db8:1:2:3:4:5:6/48", "2001:db8:1::/48"),
            ("2001:db8::3:4:5:6/96", "2001:db8::3:4:0:0/96"), ("2001:db8::1/128", "2001:db8::1/128"),
            ("1::1/0", "::/0"),
        ]
    )
    func masked(_ text: String, _ masked: String) { #expect(prefix(text).masked == prefix(masked)) }
}

@Suite("Routers") struct RouterTests {
    @Test(
        "A router may send from a network",
        arguments: [
            (["169.254.0.0/16"], false), (["fe80::/10"], false), (["fe80::1/128"], false), (["100.64.0.0/24"], true),
            (["2000::/64"], true), (["100.64.0.1/32"], false), (["2000::1/128"], false), ([], false),
            (["10.0.0.1/32", "10.1.0.0/16"], true), (["0.0.0.0/0"], true), (["::/0"], true),
        ]
    )
    func router(_ allowedIPs: [String], _ isRouter: Bool) {
        #expect(Peer(publicKey: key(1), allowedIPs: allowedIPs.map { prefix($0) }).isRouter == isRouter)
    }

    /// Each peer's allowed IP; those that begin with `+` were made by the program.
    private func isRouter(_ peers: [String], given: Bool? = nil) -> Bool {
        var mesh = Mesh()
        mesh.addOurs(key(0), LinkSettings(isRouter: given), at: "192.0.2.1/24")
        for (index, text) in peers.enumerated() {
            let isMade = text.first == "+"
            mesh.addPeer(key(index + 1), to: key(0), [String(isMade ? text.dropFirst() : text[...])], isMade: isMade)
        }
        mesh.run(for: .seconds(1))
        return mesh.machines[key(0)]?.exchange.isRouter ?? false
    }

    @Test("This machine is one if the operator says so, or made peers of two that are none")
    func own() {
        #expect(isRouter(["10.0.0.2/32", "10.0.0.3/32"]))
        #expect(!isRouter(["10.0.0.2/32", "10.0.0.0/24"]))
        #expect(!isRouter(["10.0.0.2/32", "10.0.0.0/24", "10.0.0.3/32"]))
        // The field takes these three for routers. A leaf that lost its only router would be one.
        #expect(!isRouter([]))
        #expect(!isRouter(["10.0.0.2/32"]))
        #expect(!isRouter(["+10.0.0.2/32", "+10.0.0.3/32", "10.0.0.4/32"]))
        #expect(isRouter([], given: true))
        #expect(isRouter(["10.0.0.0/24"], given: true))
        #expect(!isRouter(["10.0.0.2/32", "10.0.0.3/32"], given: false))
    }
}
