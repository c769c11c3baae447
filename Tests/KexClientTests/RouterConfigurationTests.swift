import Checkout
import EUI64
import Foundation
import ConfigurationFiles
import KexProtocol
import NetworkAddresses
import Testing

@testable import kex_client

@Suite("The router's file") struct RouterConfigurationTests {
    private static let router = """
        [Router]
        Domain=ffww01
        PrivateKeyFile=/k
        WireGuard=wg0
        VXLAN=vx0
        VXLANId=99

        """
    private static let gateway = """
        [Gateway]
        Exchange=gw
        Endpoint=gw:10010
        PublicKey=TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw=
        LinkAddress=fe80::1

        """

    private func read(_ text: String) throws -> RouterConfiguration {
        let sections = try INIFile(bytes: Array(text.utf8), path: "r.conf").sections
        return try RouterConfiguration(sections: sections, path: "r.conf")
    }

    @Test("has defaults for all that the networks agree on")
    func defaults() throws {
        let router = try read(Self.router + Self.gateway)
        #expect(router.vxlanPort == 8472)
        #expect(router.addressProfile == .eui64)
        #expect(router.mtu == 1280)
        #expect(router.wireGuardMTU == 1420)
        #expect(router.firewallMark == nil)
        #expect(router.gateways.count == 1)
        #expect(router.gateways[0].exchange.port == 10012)
    }

    @Test(
        "is printed by --check-config as a file that is read to the same",
        arguments: [
            router + gateway, router + "FirewallMark=7\nMTU=1350\n" + gateway.replacing("=gw", with: "=[fe80::1]"),
        ]
    )
    func printout(text: String) throws {
        let router = try read(text)
        #expect(try read(router.description) == router)
    }

    @Test("is understood word for word")
    func values() throws {
        let router = try read(
            Self.router
                + "VXLANPort=4789\nAddressProfile=gluon\nMTU=1350\nWireGuardMTU=1420\nFirewallMark=1\n" + Self.gateway
        )
        #expect(router.domain.text == "ffww01")
        #expect(router.privateKeyFile == "/k")
        #expect(router.wireGuard.text == "wg0")
        #expect(router.vxlan.text == "vx0")
        #expect(router.vxlanIdentifier == 99)
        #expect(router.vxlanPort == 4789)
        #expect(router.addressProfile == .gluon)
        #expect(router.mtu == 1350)
        #expect(router.firewallMark == 1)
        #expect(router.gateways[0].endpoint == HostPort("gw:10010", defaultPort: nil))
        #expect("\(router.gateways[0].publicKey)" == "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw=")
        #expect("\(router.gateways[0].linkAddress)" == "fe80::1")
    }

    @Test("the example is valid")
    func example() throws {
        let router = try RouterConfiguration(path: Checkout.file("examples/router.conf").path)
        #expect(router.gateways.count == 2)
        #expect(router.vxlanIdentifier == 4_641_648)
    }

    @Test(
        "numbers are taken up to their limits",
        arguments: [
            "VXLANPort=1", "VXLANPort=65535", "MTU=1280\nWireGuardMTU=1350", "MTU=8930\nWireGuardMTU=9000",
            "FirewallMark=1", "FirewallMark=4294967295",
        ]
    )
    func withinLimits(lines: String) throws { _ = try read(Self.router + lines + "\n" + Self.gateway) }

    @Test("the network identifier has 24 bits", arguments: [("1", true), ("16777215", true), ("16777216", false)])
    func identifier(text: String, isTaken: Bool) throws {
        let file = Self.router.replacingOccurrences(of: "VXLANId=99", with: "VXLANId=\(text)") + Self.gateway
        #expect(((try? read(file)) != nil) == isTaken)
    }

    @Test(
        "mistakes in [Router] are named with their line",
        arguments: [
            ("VXLANPort=0", "r.conf:7: VXLANPort=0: expected a number from 1 to 65535"),
            ("VXLANPort=65536", "r.conf:7: VXLANPort=65536: expected a number from 1 to 65535"),
            ("VXLANPort=+1", "r.conf:7: VXLANPort=+1: expected a number from 1 to 65535"),
            ("MTU=1279", "r.conf:7: MTU=1279: expected a number from 1280 to 9000"),
            ("WireGuardMTU=9001", "r.conf:7: WireGuardMTU=9001: expected a number from 1280 to 9000"),
            ("WireGuardMTU=1349", "r.conf:1: MTU=1280 does not fit: WireGuardMTU=1349 leaves 1279"),
            ("MTU=1351", "r.conf:1: MTU=1351 does not fit: WireGuardMTU=1420 leaves 1350"),
            ("FirewallMark=0", "r.conf:7: FirewallMark=0: expected a number from 1 to 4294967295"),
            ("AddressProfile=x", "r.conf:7: AddressProfile=x: expected one of eui64, ffmuc, gluon"),
            ("Domain=b", "r.conf:7: a second Domain= in one section"),
            ("Colour=red", "r.conf:7: unknown key Colour"),
            ("[Router]", "r.conf:7: a second [Router]; a file describes one router"),
            ("[Rooter]", "r.conf:7: unknown section [Rooter]; known are [Router] and [Gateway]"),
            ("nonsense", "r.conf:7: expected [SECTION], KEY=VALUE or a comment"),
        ]
    )
    func routerMistakes(line: String, mistake: String) {
        let error = #expect(throws: ConfigurationError.self) { try read(Self.router + line + "\n" + Self.gateway) }
        #expect(error?.mistakes.count == 1, "\(error?.description ?? "")")
        #expect(error?.description.hasPrefix(mistake) == true, "\(error?.description ?? "")")
    }

    @Test(
        "a missing or wrong line is named, with what was expected",
        arguments: [
            ("Domain=ffww01", "", "r.conf:1: [Router] needs Domain="),
            ("PrivateKeyFile=/k", "", "r.conf:1: [Router] needs PrivateKeyFile="),
            ("WireGuard=wg0", "", "r.conf:1: [Router] needs WireGuard="),
            ("VXLAN=vx0", "", "r.conf:1: [Router] needs VXLAN="),
            ("VXLANId=99", "", "r.conf:1: [Router] needs VXLANId="),
            ("Domain=ffww01", "Domain=a b", "r.conf:2: Domain=a b: expected"),
            ("PrivateKeyFile=/k", "PrivateKeyFile=k", "r.conf:3: PrivateKeyFile=k: expected an absolute path"),
            ("WireGuard=wg0", "WireGuard=sixteen-bytes-xx", "r.conf:4: WireGuard=sixteen-bytes-xx: expected"),
            ("VXLAN=vx0", "VXLAN=wg0", "r.conf:1: WireGuard= and VXLAN= name the same interface"),
            ("VXLANId=99", "VXLANId=0", "r.conf:6: VXLANId=0: expected a number from 1 to 16777215"),
            ("Exchange=gw", "", "r.conf:7: [Gateway] needs Exchange="),
            ("Endpoint=gw:10010", "", "r.conf:7: [Gateway] needs Endpoint="),
            ("Endpoint=gw:10010", "Endpoint=gw", "r.conf:9: Endpoint=gw: expected HOST:PORT"),
            ("Exchange=gw", "Exchange=gw:0", "r.conf:8: Exchange=gw:0: expected HOST"),
            ("PublicKey=TfxZ", "PublicKey=xTfxZ", "r.conf:10: PublicKey=xTfxZ"),
            (
                "LinkAddress=fe80::1", "LinkAddress=fe80::",
                "r.conf:11: LinkAddress=fe80::: expected an address in fe80::/64"
            ),
            ("LinkAddress=fe80::1", "LinkAddress=fe80:0:0:1::1", "r.conf:11: LinkAddress=fe80:0:0:1::1: expected"),
            ("LinkAddress=fe80::1", "LinkAddress=2001:db8::1", "r.conf:11: LinkAddress=2001:db8::1: expected"),
        ]
    )
    func wrongLines(old: String, new: String, mistake: String) {
        let file = (Self.router + Self.gateway).replacingOccurrences(of: old, with: new)
        let error = #expect(throws: ConfigurationError.self) { try read(file) }
        #expect(error?.mistakes.count == 1, "\(error?.description ?? "")")
        #expect(error?.description.hasPrefix(mistake) == true, "\(error?.description ?? "")")
    }

    @Test(
        "needs one router and at least one gateway, each key once",
        arguments: [
            (router, "r.conf: no [Gateway]"),
            (gateway, "r.conf: no [Router]"),
            ("", "r.conf: no [Router]\nr.conf: no [Gateway]"),
            (
                router + gateway + gateway,
                "r.conf:12: a second [Gateway] with the key TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw="
            ),
        ]
    )
    func wholes(file: String, mistakes: String) {
        let error = #expect(throws: ConfigurationError.self) { try read(file) }
        #expect(error?.description == mistakes)
    }

    @Test("all mistakes come at once")
    func all() {
        let error = #expect(throws: ConfigurationError.self) {
            try read("[Router]\nDomain=a b\nX=1\n[Gateway]\nEndpoint=gw\n[Y]\n")
        }
        #expect(error?.mistakes.map(\.location.line) == [3, 2, 1, 1, 1, 1, 4, 5, 4, 4, 6])
    }

    @Test("the program ends with 78 and prints file and line", arguments: ["up", "down"])
    func program(command: String) throws {
        let folder = try TemporaryFolder()
        let file = try folder.file("router.conf", "[Router]\nDomain=a b\n")
        let run = try Program.client(command, file)
        #expect(run.status == 78)
        #expect(run.errors.contains("kex-client: \(file):2: Domain=a b: expected"))
        let missing = try Program.client(command, folder.path + "/none.conf")
        #expect(missing.status == 78)
        #expect(missing.errors.contains("none.conf: cannot read: No such file or directory"))
    }
}
