import ConfigurationFiles
import LinkConfiguration
import LinkMember
import NetworkAddresses
import Testing
import WireGuardTypes

private let hub = "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw="
private let other = "TszFS3oFRdhsJP3K0VOlklGMGYZy+oFCtlaghXJqW2g="

private func read(_ text: String) throws(ConfigurationError) -> LinkConfiguration {
    try LinkConfiguration(bytes: Array(text.utf8), path: "wg0.conf")
}

@Suite("The file of an interface") struct LinkConfigurationTests {
    @Test("says everything that there is to say, and is printed as it would be read")
    func everything() throws {
        let configuration = try read(
            """
            [Link]
            Port=51999
            Router=no
            Chatty=yes
            ReportInterfaces=eth* wlan0
            ReportInterfaces=en*
            HideInterfaces=docker*
            RelayPorts=50000-50999
            OnDemand=yes
            Idle=10min

            [Member hub]
            PublicKey=\(hub)
            Trust=Membership
            FactExchanger=yes
            Endpoint=hub.example.org:51820 [2001:db8::1]:51820
            AllowedIPs=10.0.0.9/24
            AllowedIPs=fd00::1/64 0.0.0.0/0

            [Member]
            PublicKey=\(other)
            Name=phone
            Basic=yes
            """
        )
        let expected = LinkSettings(
            factsPort: 51999,
            isRouter: false,
            isChatty: true,
            reportInterfaces: [InterfacePattern("eth*")!, InterfacePattern("wlan0")!, InterfacePattern("en*")!],
            hideInterfaces: [InterfacePattern("docker*")!],
            relayPorts: 50000...50999,
            members: [
                MemberSettings(
                    publicKey: PublicKey(text: hub)!,
                    name: "hub",
                    trust: .membership,
                    isFactExchanger: true,
                    endpoints: [
                        HostPort("hub.example.org:51820", defaultPort: nil)!,
                        HostPort("[2001:db8::1]:51820", defaultPort: nil)!,
                    ],
                    allowedIPs: [IPPrefix("10.0.0.0/24")!, IPPrefix("fd00::/64")!, IPPrefix("0.0.0.0/0")!]
                ),
                MemberSettings(publicKey: PublicKey(text: other)!, name: "phone", isBasic: true),
            ],
            linksOnDemand: true,
            idleTime: .seconds(600)
        )
        #expect(configuration.settings == expected)
        #expect(try read(configuration.description) == configuration)
    }

    @Test("may be empty, and then everything is as without it", arguments: ["", "[Link]\n", "; nothing\n"])
    func empty(text: String) throws {
        #expect(try read(text) == LinkConfiguration())
        #expect(try read(LinkConfiguration().description) == LinkConfiguration())
    }

    @Test(
        "has ports of the relay from the first to the last",
        arguments: [
            ("1-65535", 1...65535), ("7-7", 7...7), ("0-9", nil), ("9-8", nil), ("9", nil), ("1-65536", nil),
            ("1-2-3", nil), ("-9", nil), ("", nil),
        ] as [(String, ClosedRange<UInt16>?)]
    )
    func relayPorts(text: String, ports: ClosedRange<UInt16>?) throws {
        let file = "[Link]\nRelayPorts=\(text)\n"
        guard let ports else {
            let error = #expect(throws: ConfigurationError.self) { try read(file) }
            #expect(error?.description.contains("expected two ports from 1 to 65535, such as 50000-50999") == true)
            return
        }
        let configuration = try read(file)
        #expect(configuration.settings.relayPorts == ports)
        #expect(try read(configuration.description) == configuration)
    }

    @Test("has all its mistakes told at once, with their lines")
    func mistakes() {
        let error = #expect(throws: ConfigurationError.self) {
            try read(
                """
                [Link]
                Port=0
                Router=maybe
                ReportInterfaces=
                Idle=59s
                Speed=9
                [Link]
                [Hub]
                [Member a name]
                Trust=Total
                [Member hub]
                PublicKey=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
                Endpoint=hub
                AllowedIPs=10.0.0.0/33
                Name=other
                [Member one]
                PublicKey=\(hub)
                Basic=yes
                Basic=no
                [Member one]
                PublicKey=\(hub)
                """
            )
        }
        let yesOrNo = "expected yes or no"
        let name = "a name of 1 to 16 letters, digits, dots, hyphens and underscores"
        #expect(
            error?.description.split(separator: "\n").map(String.init) == [
                "wg0.conf:2: Port=0: expected a port from 1 to 65535",
                "wg0.conf:3: Router=maybe: \(yesOrNo)",
                "wg0.conf:4: ReportInterfaces=: expected patterns for names of interfaces, such as eth0 or docker*",
                "wg0.conf:5: Idle=59s: expected a time from 1min to 1d, such as 90s, 15min, 1h or 2d",
                "wg0.conf:6: unknown key Speed; [Link] has Port, Router, Chatty, ReportInterfaces, HideInterfaces, "
                    + "RelayPorts, OnDemand and Idle",
                "wg0.conf:7: [Link] is there already",
                "wg0.conf:8: unknown section [Hub]; there are [Link] and [Member NAME]",
                "wg0.conf:9: a name: expected \(name)",
                "wg0.conf:9: [Member a name] needs PublicKey=",
                "wg0.conf:10: Trust=Total: expected one of Untrusted, Endpoint, AllowedIPs, Membership, DelegateTrust",
                "wg0.conf:12: PublicKey=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=: expected a WireGuard public key",
                "wg0.conf:13: Endpoint=hub: expected hosts with their ports, such as hub.example.org:51820 or "
                    + "[2001:db8::1]:51820",
                "wg0.conf:14: AllowedIPs=10.0.0.0/33: expected prefixes such as 10.0.0.7/32 or fd00:7::/64",
                "wg0.conf:15: the name is in the section's line already",
                "wg0.conf:19: Basic= is there already",
                "wg0.conf:20: the name one is in wg0.conf:16 already",
                "wg0.conf:21: the key is in wg0.conf:17 already",
            ]
        )
    }

    @Test("names as many endpoints as are tried, and not one more")
    func endpoints() throws {
        func text(_ count: Int) -> String {
            let lines = (1...count).map { "Endpoint=192.0.2.\($0):1\n" }.joined()
            return "[Member]\nPublicKey=\(hub)\n\(lines)"
        }
        #expect(try read(text(LinkConfiguration.maximumEndpoints)).settings.members[0].endpoints.count == 16)
        #expect(throws: ConfigurationError.self) { try read(text(LinkConfiguration.maximumEndpoints + 1)) }
    }
}
