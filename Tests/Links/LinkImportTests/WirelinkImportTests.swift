import ConfigurationFiles
import LinkConfiguration
import LinkMember
import NetworkAddresses
import Testing
import WireGuardTypes

@testable import LinkImport

private let hub = "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw="
private let phone = "TszFS3oFRdhsJP3K0VOlklGMGYZy+oFCtlaghXJqW2g="

private let json = """
    {
        "iface": "wg7", "Port": 51999, "router": false, "chatty": true, "debug": null,
        "ReportIfaces": ["eth*", "wlan0"],
        "HideIfaces": [],
        "peers": [
            {
                "PublicKey": "\(hub)", "Name": "hub", "Trust": "membership", "FactExchanger": true,
                "Endpoints": ["hub.example.org:51820", "[2001:db8::1]:51820"],
                "AllowedIPs": ["10.0.0.9/24", "fd00::/64"]
            },
            {"PublicKey": "\\u0054\(phone.dropFirst())", "Basic": true}
        ]
    }
    """

private let yaml = """
    ---
    # as wirelink would read it
    iface: wg7
    port: 51999    # not WireGuard's
    router: false
    chatty: true
    ReportIfaces: ["eth*", wlan0]
    peers:
    - PublicKey: \(hub)
      Name: 'hub'
      Trust: Membership
      FactExchanger: true
      Endpoints:
        - hub.example.org:51820
        - "[2001:db8::1]:51820"
      AllowedIPs:
      - 10.0.0.9/24
      - fd00::/64
    -
      PublicKey: "\(phone)"
      Basic: true
    """

private let toml = """
    iface = "wg7"
    port = 51999
    router = false
    chatty = true
    ReportIfaces = ["eth*", 'wlan0']   # all of them

    [[peers]]
    PublicKey = "\(hub)"
    Name = "hub"
    Trust = "Membership"
    FactExchanger = true
    Endpoints = [
        "hub.example.org:51820",  # by name
        "[2001:db8::1]:51820",
    ]
    AllowedIPs = ["10.0.0.9/24", "fd00::/64"]

    [[peers]]
    PublicKey = "\(phone)"
    Basic = true
    """

private func read(_ text: String, path: String = "wirelink.wg7.json") throws(ConfigurationError) -> WirelinkImport {
    try WirelinkImport(bytes: Array(text.utf8), path: path)
}

@Suite("A configuration of wirelink") struct WirelinkImportTests {
    @Test("means the same in all three notations", arguments: [json, yaml, toml])
    func notations(text: String) throws {
        let wanted = try read(text)
        let expected = LinkSettings(
            factsPort: 51999,
            isRouter: false,
            isChatty: true,
            reportInterfaces: [InterfacePattern("eth*")!, InterfacePattern("wlan0")!],
            members: [
                MemberSettings(
                    publicKey: PublicKey(text: hub)!,
                    name: "hub",
                    trust: .membership,
                    isFactExchanger: true,
                    endpoints: ["hub.example.org:51820", "[2001:db8::1]:51820"].map {
                        HostPort($0, defaultPort: nil)!
                    },
                    allowedIPs: [IPPrefix("10.0.0.0/24")!, IPPrefix("fd00::/64")!]
                ),
                MemberSettings(publicKey: PublicKey(text: phone)!, isBasic: true),
            ]
        )
        #expect(wanted.configuration.settings == expected)
        #expect(wanted.interface == InterfaceName("wg7"))
        #expect(wanted.notes == [])
        // What is printed is read to the same.
        let printed = Array(wanted.configuration.description.utf8)
        #expect(try LinkConfiguration(bytes: printed, path: "wg7.conf").settings == expected)
    }

    @Test("that is empty says nothing", arguments: ["", "{}", "# nothing\n", "---\n", "{\"peers\": []}"])
    func empty(text: String) throws {
        #expect(try read(text).configuration == LinkConfiguration())
    }

    @Test("has noted what has no counterpart")
    func notes() throws {
        let text = """
            debug: true
            port: 0
            colour: blue
            peers:
              - PublicKey: \(hub)
                Name: a long name of a hub
                Endpoints: [hub.example.org:ssh, "192.0.2.1:1"]
                Weight: 3
            """
        let wanted = try read(text, path: "w.yaml")
        #expect(
            wanted.notes.map(\.description) == [
                "w.yaml:1: debug: start kex-link with --debug",
                "w.yaml:3: colour is not known, and left out",
                "w.yaml:6: name a long name of a hub is too long, or has other characters than letters and digits, "
                    + "and is left out",
                "w.yaml:7: endpoint hub.example.org:ssh: needs a host and the number of a port, and is left out",
                "w.yaml:8: Weight is not known, and left out",
            ]
        )
        #expect(wanted.configuration.settings.members[0].endpoints.map(\.description) == ["192.0.2.1:1"])
    }

    @Test(
        "that is not understood is told of, with its line",
        arguments: [
            ("{\"port\": 1", "w:1: expected a comma or }"),
            ("{\"port\": 1} 2", "w:1: something behind the end"),
            ("{\"port\": \"\\x\"}", "w:1: \\x in a text"),
            ("{\"peers\": \"x\n", "w:1: a text without its end"),
            ("{\"router\": \"yes\"}", "w:1: expected true or false"),
            ("{\"port\": 65536}", "w:1: port is no port"),
            ("{\"peers\": [{\"Name\": \"x\"}]}", "w:1: a peer without PublicKey"),
            ("{\"peers\": [\n{\"PublicKey\": \"x\"}]}", "w:2: PublicKey is not the key of a WireGuard peer"),
            ("iface: wg0\nport: *anchor\n", "w:2: not understood: *anchor"),
            ("iface: wg0\n  port: 1\n", "w:2: not understood: port: 1"),
            ("iface: |\n  wg0\n", "w:1: not understood: |"),
            ("iface: wg0\n\tport: 1\n", "w:2: a tab at the start of a line"),
            ("peers:\n- PublicKey: \(hub)\nport: 1\n- x\n", "w:4: not understood: - x"),
            ("[[peers]]\nPublicKey \"x\"\n", "w:2: not understood: PublicKey \"x\""),
            ("[[peers.a]]\n", "w:1: not understood: [[peers.a]]"),
            (String(repeating: "[", count: 20), "w:1: not understood: " + String(repeating: "[", count: 20)),
            ("{\"a\":" + String(repeating: "[", count: 20), "w:1: more than 16 values in each other"),
        ]
    )
    func mistakes(text: String, mistake: String) {
        let error = #expect(throws: ConfigurationError.self) { try read(text, path: "w") }
        #expect(error?.description == mistake)
    }

    @Test("never traps, whatever is cut off or changed", arguments: [json, yaml, toml])
    func garbage(text: String) {
        let bytes = Array(text.utf8)
        for count in 0..<bytes.count { _ = try? WirelinkImport(bytes: Array(bytes.prefix(count)), path: "w") }
        for index in bytes.indices {
            for character in "[]{}\"'-:=#\\ \n".utf8 + [0, 0xff] {
                var changed = bytes
                changed[index] = character
                _ = try? WirelinkImport(bytes: changed, path: "w")
            }
        }
    }
}
