import BusConfiguration
import Checkout
import ConfigurationFiles
import EUI64
import Foundation
import HTTPConfiguration
import KexConfiguration
import KexProtocol
import NetworkAddresses
import TLSFiles
import Testing
import WireGuardTypes

@Suite("Configuration") final class ConfigurationTests {
    private let folder: Folder
    init() throws { folder = try Folder() }

    @Test("The commented example is what the defaults say, but for the prohibited keys")
    func example() throws {
        var expected = Configuration()
        expected.prohibitedKeys = "/etc/kex/prohibited-keys"
        expected.domains = [domain("ffww01", "wgww01", "vxww01")]
        let example = try FrontDoorConfiguration(path: repository("examples/kex.conf"))
        #expect(example.gateway == expected)
        #expect(example.http == HTTPSection() && example.bus == nil)
        #expect(try KeyFile.read(path: repository("examples/prohibited-keys")).count == 1)
    }

    @Test("With a bus, a domain without a word on a gateway is for others; after one word, the rest is missing")
    func remoteDomains() throws {
        let bus = "[Bus]\nBroker=x\n"
        func read(_ text: String) throws -> Configuration { try Configuration(path: folder.write(text)) }
        let first = try read("\(bus)[Domain a]\n[Domain b]\nStaleAfter=2h\n[Domain c]\nWireGuard=w\nVXLAN=v\n")
        #expect(first.domains == [domain("c", "w", "v")])
        let (a, b) = (DomainName("a")!, DomainName("b")!)
        #expect(
            first.remoteDomains == [
                Configuration.RemoteDomain(name: a, staleAfter: .seconds(3600)),
                Configuration.RemoteDomain(name: b, staleAfter: .seconds(7200)),
            ]
        )
        #expect(try read("\(first)") == first)
        let http = try folder.write("\(bus)[HTTP]\nNodeNameDomain=a\n[Domain a]\n")
        #expect(try FrontDoorConfiguration(path: http).gateway.domains.isEmpty)
        for text in ["[Domain a]\n", "\(bus)[Domain a]\nLinkAddress=fe80::1\n", "\(bus)[Domain a]\nWireGuard=w\n"] {
            #expect(throws: ConfigurationError.self) { try read(text) }
        }
    }

    @Test("What --check-config prints is read to the same")
    func printout() throws {
        let whole = try FrontDoorConfiguration(
            path: folder.write(
                """
                [Gateway]
                Listen=192.0.2.1:1
                Listen=[2001:db8::1]:65535
                HandlerSocket=/tmp/h
                ControlSocket=/tmp/c
                ProhibitedKeys=/tmp/p
                ExternalName=gw-01.example.net
                [HTTP]
                Listen=192.0.2.1
                Listen=[::1]:80
                TLSListen=192.0.2.1
                Certificate=/tmp/cert
                PrivateKey=/tmp/key
                NodeNameDomain=b
                NodeNamePath=/keyex.php
                [Domain a]
                WireGuard=wga
                VXLAN=vxa
                AddressProfile=gluon
                LinkAddress=fe80::5757:bb:1
                Fdb=flood
                MaximumPeers=7
                StaleAfter=90min
                SweepInterval=61s
                [Domain b]
                WireGuard=wgb
                VXLAN=vxb
                AddressProfile=ffmuc  eui64
                """
            )
        )
        let first = whole.gateway
        #expect(first.domains.map(\.name.text) == ["a", "b"])
        #expect(first.domains.map(\.addressProfiles) == [[.gluon], [.ffmuc, .eui64]])
        #expect(first.domains[0].fdb == .flood)
        #expect(first.domains[0].staleAfter == .seconds(5400))
        #expect(first.domains.map(\.linkAddress) == [IPv6Address("fe80::5757:bb:1"), nil])
        #expect(whole.http.listen == [Endpoint("192.0.2.1:8080"), Endpoint("[::1]:80")])
        #expect(whole.http.tlsListen == [Endpoint("192.0.2.1:8443")])
        #expect(try FrontDoorConfiguration(path: folder.write(whole.description)) == whole)
        // Whoever does not read [HTTP] prints it as it is written.
        let other = try Configuration(path: folder.write("\(whole)\n[HTTP]\nListen=192.0.2.7\n"))
        #expect("\(other)".contains("\nNodeNamePath=/keyex.php\nListen=192.0.2.7\n\n[Domain a]\n"))
        #expect(try Configuration(path: folder.write("\(other)")) == other)
    }

    @Test("Files of the folder come after, in the order of their names, and change single keys")
    func dropIns() throws {
        let main = try folder.write("[Gateway]\nListen=[::]:1\n[Domain a]\nWireGuard=wga\nVXLAN=vxa\nMaximumPeers=5\n")
        try folder.write("[Domain a]\nMaximumPeers=7\n", to: "kex.conf.d/20.conf")
        try folder.write("[Domain a]\nMaximumPeers=6\nFdb=mac\n", to: "kex.conf.d/10.conf")
        try folder.write("nonsense", to: "kex.conf.d/ignored.txt")
        let configuration = try Configuration(path: main)
        #expect(configuration.domains.count == 1)
        #expect(configuration.domains[0].maximumPeers == 7)
        #expect(configuration.domains[0].fdb == .mac)
    }

    @Test("A folder that is there and cannot be read is a mistake: the list of prohibited keys may be named in it")
    func unreadableDropIns() throws {
        let main = try folder.write("[Domain a]\nWireGuard=wga\nVXLAN=vxa\n")
        try folder.write("no folder", to: "kex.conf.d")
        let error = try #require(throws: ConfigurationError.self) { try Configuration(path: main) }
        #expect(error.description == "\(main).d: cannot read: Not a directory (errno 20)")
    }

    @Test(
        "Each mistake is told with file, line and reason",
        arguments: [
            ("[Gatway]", 1, "unknown section [Gatway]"),
            ("[Domain]", 1, "unknown section [Domain]"),
            ("[Domain a b]", 1, "unknown section [Domain a b]"),
            ("[Domain ä]", 1, "a domain name has"),
            ("Listen=[::]:1", 1, "Listen stands before the first section"),
            ("[Gateway]\n\nColour=blue", 3, "unknown key Colour"),
            ("[Domain a]\nWireguard=wga\nVXLAN=vxa\nFdb=x", 2, "unknown key Wireguard"),
            ("[Domain a]\nWireguard=wga\nVXLAN=vxa\nFdb=x", 4, "expected mac flood"),
            (
                "[Domain a]\nWireGuard=wga # mine\nVXLAN=vxa", 2,
                "a comment behind a value begins with a blank and a semicolon"
            ),
            ("[Gateway]\nListen=10012", 2, "expected ADDRESS:PORT"),
            ("[Gateway]\nListen=[::]:65536", 2, "expected ADDRESS:PORT"),
            ("[Gateway]\nHandlerSocket=run/x", 2, "expected an absolute path"),
            ("[Gateway]\nHandlerSocket=/" + String(repeating: "x", count: 107), 2, "expected an absolute path"),
            ("[Gateway]\nProhibitedKeys=keys", 2, "expected an absolute path"),
            ("[Gateway]\nwhat is this", 2, "expected [SECTION], KEY=VALUE or a comment"),
            ("[Gateway\nListen=[::]:1", 1, "expected [SECTION], KEY=VALUE or a comment"),
            ("[Domain a]\nWireGuard=wga", 1, "[Domain a] needs VXLAN="),
            ("[Domain a]", 1, "[Domain a] needs WireGuard= and VXLAN="),
            ("[Domain a]\nWireGuard=sixteencharacter\nVXLAN=vx", 2, "expected an interface name of 1 to 15 bytes"),
            ("[Domain a]\nWireGuard=x\nVXLAN=x", 3, "interface x is in use already, by domain a"),
            ("[Domain a]\nWireGuard=x\nVXLAN=y\n[Domain b]\nWireGuard=y\nVXLAN=z", 5, "in use already, by domain a"),
            ("[Domain a]\nWireGuard=x\nVXLAN=y\nAddressProfile=EUI64", 4, "expected one of eui64, ffmuc, gluon"),
            ("[Domain a]\nWireGuard=x\nVXLAN=y\nAddressProfile=", 4, "expected one of eui64, ffmuc, gluon, or several"),
            ("[Domain a]\nWireGuard=x\nVXLAN=y\nAddressProfile=eui64 x", 4, "expected one of eui64, ffmuc, gluon"),
            ("[Domain a]\nWireGuard=x\nVXLAN=y\nAddressProfile=gluon gluon", 4, "several of them during a migration"),
            ("[Domain a]\nWireGuard=x\nVXLAN=y\nLinkAddress=2001:db8::1", 4, "expected an address in fe80::/64"),
            ("[Domain a]\nWireGuard=x\nVXLAN=y\nLinkAddress=fe80::", 4, "expected an address in fe80::/64"),
            ("[Gateway]\nExternalName=a b", 2, "expected a host name that routers can look up"),
            ("[Gateway]\nExternalName=a_b", 2, "expected a host name that routers can look up"),
            (
                "[Gateway]\nExternalName=" + String(repeating: "x", count: 129), 2,
                "expected a host name that routers can look up"
            ),
            ("[Gateway]\nExternalName=gw01", 2, "expected a host name that routers can look up, with a dot in it"),
            ("[Gateway]\nExternalName=gw01.", 2, "expected a host name"),
            ("[Gateway]\nExternalName=localhost", 2, "expected a host name"),
            ("[Gateway]\nExternalName=gw01.LocalHost", 2, "expected a host name"),
            ("[Gateway]\nExternalName=localhost.localdomain", 2, "expected a host name"),
            ("[Gateway]\nExternalName=gw01.example.net:10012", 2, "expected a host name"),
            ("[Gateway]\nExternalName=gw01..net", 2, "expected a host name"),
            ("[Gateway]\nExternalName=gw01.-example.net", 2, "expected a host name"),
            ("[Gateway]\nExternalName=\(String(repeating: "x", count: 64)).net", 2, "expected a host name"),
            ("[Gateway]\nExternalName=192.0.2", 2, "expected a host name"),
            ("[Gateway]\nExternalName=127.0.1.1", 2, "an address that they can reach"),
            ("[Gateway]\nExternalName=0.0.0.0", 2, "an address that they can reach"),
            ("[Gateway]\nExternalName=169.254.1.1", 2, "an address that they can reach"),
            ("[Gateway]\nExternalName=224.0.0.1", 2, "an address that they can reach"),
            ("[Gateway]\nExternalName=::1", 2, "an address that they can reach"),
            ("[Gateway]\nExternalName=::", 2, "an address that they can reach"),
            ("[Gateway]\nExternalName=::ffff:127.0.0.1", 2, "an address that they can reach"),
            ("[Gateway]\nExternalName=fe80::1", 2, "an address that they can reach"),
            ("[Gateway]\nExternalName=ff02::1", 2, "an address that they can reach"),
            (
                "[Gateway]\nUnlimitedSources=::ffff:192.0.2.20/95", 2,
                "expected at most 64 addresses or prefixes of hosts"
            ),
            ("[Gateway]\nUnlimitedSources=::", 2, "expected at most 64 addresses"),
            ("[Gateway]\nUnlimitedSources=0.0.0.0", 2, "expected at most 64 addresses"),
            ("[Gateway]\nUnlimitedSources=::ffff:0.0.0.0", 2, "expected at most 64 addresses"),
            ("[Gateway]\nUnlimitedSources=ff00::/8", 2, "expected at most 64 addresses"),
            ("[Gateway]\nUnlimitedSources=192.0.2.1 239.0.0.1", 2, "expected at most 64 addresses"),
            ("[Gateway]\nListen=[::]:1\nListen=[::]:1", 3, "another line has that port of that address already"),
            ("[Gateway]\nListen=[::]:1\nListen=192.0.2.1:1", 3, "another line has that port"),
            ("[Gateway]\nListen=[2001:db8::1]:1\nListen=[::]:1", 3, "another line has that port"),
            ("[Gateway]\nListen=192.0.2.1:1\nListen=0.0.0.0:1", 3, "another line has that port"),
            ("[Gateway]\nListen=[::ffff:192.0.2.1]:1\nListen=192.0.2.1:1", 3, "another line has that port"),
            ("[HTTP]\nListen=[::]:443\nTLSListen=[::]:443", 3, "another line has that port"),
            ("[HTTP]\nListen=80", 2, "expected ADDRESS:PORT"),
            ("[HTTP]\nColour=blue", 2, "unknown key Colour; [HTTP] has Listen"),
            ("[HTTP]\nCertificate=cert", 2, "expected an absolute path"),
            ("[HTTP]\nNodeNameDomain=ä", 2, "expected the name of a domain"),
            ("[HTTP]\nNodeNamePath=/", 2, "expected the path of a URL"),
            ("[HTTP]\nNodeNamePath=/a?b", 2, "expected the path of a URL"),
            ("[HTTP]\nNodeNamePath=/api/v1/wg/key/exchange", 2, "none of those of other exchanges"),
            ("[HTTP]\nNodeNamePath=/api/add_key", 2, "NodeNamePath= needs NodeNameDomain="),
            ("[HTTP]\nNodeNamePath=/" + String(repeating: "x", count: 128), 2, "expected the path of a URL"),
            ("[Domain a]\nWireGuard=x\nVXLAN=y\nFdb=all", 4, "expected mac flood, flood, or mac"),
            (
                "[Domain a]\nWireGuard=x\nVXLAN=y\nFdb=mac\nFloodAfter=registration", 5,
                "Fdb=mac gives no place in the flood list"
            ),
            ("[Domain a]\nWireGuard=x\nVXLAN=y\nFdb=mac\nAddressProfile=eui64 ffmuc", 4, "Fdb=mac gives nothing"),
            ("[Domain a]\nWireGuard=x\nVXLAN=y\nMaximumPeers=0", 4, "expected a number from 1 to 65536"),
            ("[Domain a]\nWireGuard=x\nVXLAN=y\nMaximumPeers=65537", 4, "expected a number from 1 to 65536"),
            ("[Domain a]\nWireGuard=x\nVXLAN=y\nStaleAfter=3600", 4, "expected a time from 1s to 365d"),
            ("[Domain a]\nWireGuard=x\nVXLAN=y\nStaleAfter=0s", 4, "expected a time from 1s to 365d"),
            ("[Domain a]\nWireGuard=x\nVXLAN=y\nSweepInterval=366d", 4, "expected a time from 1s to 365d"),
            ("[Domain a]\nWireGuard=x\nVXLAN=y\nSweepInterval=99999999999999999d", 4, "expected a time"),
            ("[Bus]", 1, "[Bus] needs Broker="),
            ("[Bus]\nUser=u\n[Gateway]\n[Bus]\nColour=blue", 5, "unknown key Colour; [Bus] has Broker, User"),
            ("[Bus]\nBroker=", 2, "expected HOST:PORT"),
            ("[Bus]\nBroker=mqtt://broker", 2, "expected HOST:PORT"),
            ("[Bus]\nBroker=broker:0", 2, "expected HOST:PORT"),
            ("[Bus]\nBroker=broker:65536", 2, "expected HOST:PORT"),
            ("[Bus]\nBroker=broker:", 2, "expected HOST:PORT"),
            ("[Bus]\nBroker=::1:1883", 2, "expected HOST:PORT"),
            ("[Bus]\nBroker=" + String(repeating: "b", count: 181), 2, "expected HOST:PORT"),
            ("[Bus]\nBroker=b\nUser=", 3, "expected a name"),
            ("[Bus]\nBroker=b\nUser=u\nPasswordFile=p", 4, "expected an absolute path"),
            ("[Bus]\nBroker=b\nPasswordFile=/p", 3, "PasswordFile= needs User="),
            ("[Bus]\nBroker=b\nCAFile=/c\nCertificate=/c", 4, "Certificate= needs PrivateKey="),
            ("[Bus]\nBroker=b\nCAFile=/c\nPrivateKey=/c", 4, "PrivateKey= needs Certificate="),
            ("[Bus]\nBroker=b\nPrivateKey=/c\nCertificate=/c", 4, "Certificate= needs CAFile="),
            ("[Bus]\nBroker=b\nName=a/b", 3, "expected 1 to 64 letters"),
            ("[Bus]\nBroker=b\nName=" + String(repeating: "n", count: 65), 3, "expected 1 to 64 letters"),
            ("[Bus]\nBroker=b\nSocket=s", 3, "expected an absolute path of at most 107 bytes"),
            ("[Bus]\nBroker=b\nSigningKey=s", 3, "expected an absolute path"),
            ("[Bus]\nBroker=b\nTrustedKeys=s", 3, "expected an absolute path"),
            ("[Bus]\nBroker=b\nWeight=gw01", 3, "expected the name of a gateway and a number from 0 to 10000"),
            ("[Bus]\nBroker=b\nWeight=gw01 10001", 3, "expected the name of a gateway"),
            ("[Bus]\nBroker=b\nWeight=gw01 -1", 3, "expected the name of a gateway"),
            ("[Bus]\nBroker=b\nWeight=g/w 1", 3, "expected the name of a gateway"),
            (
                "[Bus]\nBroker=b\n" + (0...1024).map { "Weight=g\($0) 1\n" }.joined(), 1027,
                "weights of more than 1024 gateways"
            ),
            ("[Domain " + String(repeating: "a", count: 43) + "]", 1, "section name of more than 49 bytes"),
            ("[Gateway]\n" + String(repeating: "k", count: 49) + "=1", 2, "key of 49 bytes or more"),
            ("[Gateway]\n# " + String(repeating: "x", count: 196), 2, "line of more than 197 bytes"),
            ("[Gateway]\nListen=\0", 2, "NUL byte"),
        ]
    )
    func mistakes(text: String, line: Int, reason: String) throws {
        let path = try folder.write(text)
        let error = try #require(throws: ConfigurationError.self) { try FrontDoorConfiguration(path: path) }
        let mistake = try #require(error.mistakes.first { $0.reason.contains(reason) }, "\(error)")
        #expect(mistake.location == ConfigurationLocation(file: path, line: line))
        #expect(mistake.description.hasPrefix("\(path):\(line): "))
    }

    @Test("A program that does not read a section knows its keys, and leaves the values to the program that does")
    func otherSections() throws {
        let domain = "[Domain a]\nWireGuard=x\nVXLAN=y\n"
        for (section, known) in [("HTTP", "Listen, TLSListen, "), ("Bus", "Broker, User, ")] {
            let path = try folder.write("\(domain)[\(section)]\nColour=blue\n")
            func reason(_ read: () throws -> Void) throws -> String? {
                try #require(throws: ConfigurationError.self, performing: read).mistakes.map(\.description)
                    .first { $0.hasPrefix("\(path):5: unknown key Colour; [\(section)] has \(known)") }
            }
            let reasons = [
                try reason { _ = try Configuration(path: path) },
                try reason { _ = try MemberConfiguration(path: path) },
                try reason { _ = try FrontDoorConfiguration(path: path) },
            ]
            #expect(reasons[0] != nil && Set(reasons).count == 1)
        }
        let http = try folder.write("\(domain)[HTTP]\nListen=80\n")
        #expect(throws: Never.self) { try Configuration(path: http) }
        #expect(throws: Never.self) { try MemberConfiguration(path: http) }
        #expect(throws: ConfigurationError.self) { try FrontDoorConfiguration(path: http) }
        let bus = try folder.write("\(domain)[Bus]\nBroker=\n")
        #expect(throws: Never.self) { try Configuration(path: bus) }
        #expect(throws: ConfigurationError.self) { try MemberConfiguration(path: bus) }
        #expect(throws: ConfigurationError.self) { try FrontDoorConfiguration(path: bus) }
    }

    @Test("Mistakes come in the order of the files and their lines, whatever is read first")
    func order() throws {
        let path = try folder.write("[Domain a]\nVXLAN=y\n[HTTP]\nListen=1\n[Gateway]\nListen=1\n")
        try folder.write("[Bus]\nColour=blue\n[Gateway]\nListen=1\n", to: "kex.conf.d/1.conf")
        let error = try #require(throws: ConfigurationError.self) { try FrontDoorConfiguration(path: path) }
        #expect(
            error.mistakes.map { "\($0.location)".replacing(folder.path, with: "") }
                == ["/kex.conf:1", "/kex.conf:4", "/kex.conf:6"] + [1, 2, 4].map { "/kex.conf.d/1.conf:\($0)" }
        )
    }

    @Test("The section of the bus, in one part or in several, with TLS or without")
    func bus() throws {
        let domain = "[Domain a]\nWireGuard=wga\nVXLAN=vxa\n"
        func bus(_ text: String) throws -> BusSection? {
            let configuration = try MemberConfiguration(path: folder.write(domain + text))
            #expect(try MemberConfiguration(path: folder.write(configuration.description)) == configuration)
            return configuration.bus
        }
        #expect(try bus("") == nil)
        let plain = try #require(try bus("[Bus]\nBroker=broker.example.net\n"))
        #expect(plain.broker.description == "broker.example.net:1883")
        #expect(plain.socket == "/run/kex/bus.sock")
        #expect(plain.tls == nil && plain.user == nil && plain.name == nil && plain.weights.isEmpty)
        let whole = try #require(
            try bus(
                """
                [Bus]
                Broker=[2001:db8::1]
                User=gw
                PasswordFile=/p
                Certificate=/crt
                PrivateKey=/key
                Weight=gw01 30
                Weight=gw02 10000
                [Gateway]
                [Bus]
                CAFile=/ca
                Name=gw03.example.net
                Socket=/run/other.sock
                SigningKey=/s
                TrustedKeys=/t
                Weight=gw01  0
                """
            )
        )
        #expect((whole.broker.host, whole.broker.port) == ("2001:db8::1", 8883))
        let identity = TLSIdentityFiles(certificate: "/crt", privateKey: "/key")
        #expect(whole.tls == TLSClientFiles(authorities: "/ca", identity: identity))
        #expect((whole.user, whole.passwordFile, whole.name?.text) == ("gw", "/p", "gw03.example.net"))
        #expect((whole.socket, whole.signingKey, whole.trustedKeys) == ("/run/other.sock", "/s", "/t"))
        #expect(whole.weights == [GatewayName("gw01")!: 0, GatewayName("gw02")!: 10000])
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1:1883"), ("192.0.2.1:65535", "192.0.2.1:65535"), ("[::1]:1", "[::1]:1"),
            (String(repeating: "b", count: 180), String(repeating: "b", count: 180) + ":1883"),
        ] {
            #expect(try bus("[Bus]\nBroker=\(text)\n")?.broker.description == expected)
        }
    }

    @Test("Each socket has a path of its own")
    func sameSocket() throws {
        let names = ["HandlerSocket", "FleetSocket", "ControlSocket", "Socket of [Bus]"]
        for (index, name) in names.enumerated() {
            for other in names[..<index] {
                let lines = names[..<3].map { $0 == name || $0 == other ? "\($0)=/run/same\n" : "" }.joined()
                let bus = name == names[3] ? "[Bus]\nBroker=b\nSocket=/run/same\n" : ""
                let path = try folder.write("[Gateway]\n\(lines)[Domain a]\nWireGuard=wga\nVXLAN=vxa\n\(bus)")
                let error = try #require(throws: ConfigurationError.self) { try MemberConfiguration(path: path) }
                #expect(error.description == "\(path): \(other) and \(name) are the same path, /run/same")
            }
        }
    }

    @Test("The socket for kex-mqtt is beside that for front doors, unless it is named")
    func fleetSocket() throws {
        func path(_ lines: String) throws -> String {
            let file = try folder.write("[Gateway]\n\(lines)[Domain a]\nWireGuard=wga\nVXLAN=vxa\n")
            return try Configuration(path: file).fleetSocket
        }
        #expect(try path("") == "/run/kex/fleet.sock")
        #expect(try path("HandlerSocket=/run/gw2/handler.sock\n") == "/run/gw2/fleet.sock")
        #expect(try path("HandlerSocket=/h\n") == "/fleet.sock")
        #expect(try path("FleetSocket=/run/f\nHandlerSocket=/run/gw2/handler.sock\n") == "/run/f")
        // 107 bytes is what a path may have.
        let long = "/" + String(repeating: "f", count: 95) + "/"
        #expect(try path("HandlerSocket=\(long)h\n") == "\(long)fleet.sock")
        let error = try #require(throws: ConfigurationError.self) { try path("HandlerSocket=/f\(long)h\n") }
        #expect(error.description.contains("/f\(long)fleet.sock is too long for a socket: set FleetSocket="))
    }

    @Test("At their limits, names and lines are taken")
    func limits() throws {
        let name = String(repeating: "a", count: 42)
        let path = try folder.write(
            """
            # \(String(repeating: "x", count: 195))
            [Domain \(name)]
            WireGuard=fifteencharacte
              VXLAN=indented
            MaximumPeers=65536
            StaleAfter=1s
            SweepInterval=365d
            [Gateway]
            ExternalName=\(String(repeating: "x.", count: 63))xx
            [HTTP]
            NodeNameDomain=\(name)
            NodeNamePath=/\(String(repeating: "x", count: 127))
            """
        )
        let configuration = try FrontDoorConfiguration(path: path)
        #expect(configuration.gateway.externalName?.count == 128)
        #expect(configuration.http.nodeNamePath.count == 128)
        let domain = configuration.gateway.domains[0]
        #expect(domain.name.text == name)
        #expect(domain.wireGuard.text == "fifteencharacte")
        #expect(domain.vxlan.text == "indented")
        #expect(domain.maximumPeers == 65536)
    }

    @Test(
        "What only the whole can show is told with the file",
        arguments: [
            ("Certificate=/c", "one of Certificate and PrivateKey"),
            ("PrivateKey=/c", "one of Certificate and PrivateKey"),
            ("TLSListen=[::]:443", "TLSListen, which needs Certificate and PrivateKey"),
            ("NodeNameDomain=b", "NodeNameDomain of [HTTP] is b, and there is no [Domain b]"),
        ]
    )
    func wholes(line: String, reason: String) throws {
        let path = try folder.write("[HTTP]\n\(line)\n[Domain a]\nWireGuard=x\nVXLAN=y\n")
        let error = try #require(throws: ConfigurationError.self) { try FrontDoorConfiguration(path: path) }
        #expect(error.mistakes.map(\.location) == [ConfigurationLocation(file: path, line: nil)])
        #expect(error.description.contains(reason))
    }

    @Test("A source may be written as a mapped IPv4 address: it is that address")
    func mappedSources() throws {
        let text = "[Domain a]\nWireGuard=x\nVXLAN=y\n[Gateway]\nUnlimitedSources="
        let line = "::ffff:192.0.2.20 ::ffff:198.51.100.0/120 127.0.0.1 ::1 0.0.0.0/0 ::/0 fe80::1"
        let configuration = try Configuration(path: folder.write(text + line))
        #expect(
            configuration.unlimitedSources.map(\.description)
                == ["192.0.2.20/32", "198.51.100.0/24", "127.0.0.1/32", "::1/128", "0.0.0.0/0", "::/0", "fe80::1/128"]
        )
        #expect(configuration.unlimitedSources[0].contains(IPv6Address("::ffff:192.0.2.20")!))
        #expect(try Configuration(path: folder.write(configuration.description)) == configuration)
    }

    @Test("Several places to listen, as long as the kernel takes them side by side")
    func listeners() throws {
        let text = """
            [Gateway]
            Listen=192.0.2.1:1
            Listen=192.0.2.2:1
            Listen=[2001:db8::1]:1
            Listen=0.0.0.0:2
            Listen=[2001:db8::1]:2
            Listen=127.0.0.1:0
            Listen=127.0.0.1:0
            [HTTP]
            Listen=192.0.2.1:1
            [Domain a]
            WireGuard=x
            VXLAN=y
            """
        #expect(try FrontDoorConfiguration(path: folder.write(text)).gateway.listen.count == 7)
    }

    @Test(
        "Names and addresses under which routers find a gateway",
        arguments: [
            "gw01.example.net", "gw01.example.net.", "a.b", "1.2.3.x", "xn--bcher-kva.example", "192.0.2.1",
            "2001:db8::1",
        ]
    )
    func externalNames(name: String) throws {
        let text = "[Domain a]\nWireGuard=x\nVXLAN=y\n[Gateway]\nExternalName=\(name)\n"
        #expect(try Configuration(path: folder.write(text)).externalName == name)
    }

    @Test("A byte order mark is no part of the text; lines may end as on other systems; UTF-16 is one clear mistake")
    func encodings() throws {
        let text = "[Domain a]\nWireGuard=x\nVXLAN=y\n"
        let plain = try Configuration(path: folder.write(text))
        #expect(try Configuration(path: folder.write("\u{feff}" + text)) == plain)
        #expect(try Configuration(path: folder.write(text.replacing("\n", with: "\r\n"))) == plain)
        let main = try folder.write("\u{feff}" + text)
        try folder.write("\u{feff}[Domain a]\r\nMaximumPeers=7\r\n", to: "kex.conf.d/10.conf")
        #expect(try Configuration(path: main).domains[0].maximumPeers == 7)
        let keys = try folder.write("\u{feff}\(KeyFileTests.key)\r\n", to: "keys")
        #expect(try KeyFile.read(path: keys) == [PublicKey(text: KeyFileTests.key)!])
        for encoding in [String.Encoding.utf16LittleEndian, .utf16BigEndian] {
            try FileManager.default.removeItem(atPath: keys)
            try ("\u{feff}" + text).write(toFile: keys, atomically: true, encoding: encoding)
            let reason = "text in UTF-16, and only UTF-8 is read: iconv -f UTF-16 -t UTF-8 makes it"
            let error = try #require(throws: ConfigurationError.self) { try Configuration(path: keys) }
            #expect(error.description.hasPrefix("\(keys): \(reason)"))
            #expect(throws: ConfigurationError.self) { try KeyFile.read(path: keys) }
        }
    }

    @Test("All mistakes are told at once")
    func everyMistake() throws {
        let path = try folder.write("[Gateway]\nA=1\n[Other]\n[Domain a]\nB=2\n")
        let error = try #require(throws: ConfigurationError.self) { try Configuration(path: path) }
        #expect(error.mistakes.map(\.location.line) == [2, 3, 4, 5])
    }

    @Test("A file that is missing, a folder, or empty is a mistake")
    func unreadable() throws {
        for (path, reason) in [
            (folder.path + "/none", "No such file or directory (errno 2)"), (folder.path, "Is a directory (errno 21)"),
            (try folder.write(""), "no [Domain NAME] section"),
        ] {
            let error = try #require(throws: ConfigurationError.self) { try Configuration(path: path) }
            #expect(error.description.contains(reason))
        }
    }

    @Test("A file of keys of eight mebibytes is read, one byte more is not")
    func fileSize() throws {
        let line = "# " + String(repeating: "x", count: 61) + "\n"
        let whole = String(repeating: line, count: (1 << 23) / 64)
        #expect(try KeyFile.read(path: folder.write(whole)).isEmpty)
        let error = try #require(throws: ConfigurationError.self) {
            try KeyFile.read(path: folder.write(whole + "\n"))
        }
        #expect(error.description.contains("file of more than 8388608 bytes"))
    }
}

@Suite("Key file") final class KeyFileTests {
    private let folder: Folder
    init() throws { folder = try Folder() }

    static let key = "o52Ge+Rpj4CUSitVag9mS7pSXUesNM0ESnvj/wwehkg="

    @Test("Keys are taken with blanks around them, comments and empty lines left out")
    func keys() throws {
        let path = try folder.write("# ours\n\n \t\(Self.key) \r\n\(Self.key) # gateway 1\n")
        #expect(try KeyFile.read(path: path) == [PublicKey(text: Self.key)!])
    }

    @Test(
        "Everything else is a mistake with its line",
        arguments: ["x", "\(key) \(key)", "\(key)x", "o52Ge", "key=\(key)", String(repeating: "A", count: 44)]
    )
    func mistakes(line: String) throws {
        let path = try folder.write("\(Self.key)\n\(line)\n")
        let error = try #require(throws: ConfigurationError.self) { try KeyFile.read(path: path) }
        #expect(error.description == "\(path):2: not a WireGuard public key")
    }

    @Test("A missing file is a mistake")
    func missing() throws {
        #expect(throws: ConfigurationError.self) { try KeyFile.read(path: "/nonexistent/keys") }
    }
}

@Suite("Durations") struct DurationTests {
    @Test("A number and a unit", arguments: [("1s", 1), ("90s", 90), ("15min", 900), ("1h", 3600), ("2d", 172_800)])
    func readable(text: String, seconds: Int) {
        #expect(ConfiguredDuration.parse(text) == .seconds(seconds))
    }

    @Test("Nothing else", arguments: ["", "1", "h", "-1s", "+1s", "1 h", "1h30min", "1.5h", "1m", "1H", "١s"])
    func unreadable(text: String) { #expect(ConfiguredDuration.parse(text) == nil) }

    @Test("The largest whole unit is printed", arguments: ["59s", "1min", "61s", "90min", "1h", "25h", "1d"])
    func printed(text: String) throws {
        #expect(ConfiguredDuration.text(of: try #require(ConfiguredDuration.parse(text))) == text)
    }
}

// MARK: - What the tests share

func repository(_ path: String) -> String { Checkout.file(path).path }

private func domain(_ name: String, _ wireGuard: String, _ vxlan: String) -> Configuration.Domain {
    Configuration.Domain(
        name: DomainName(name)!,
        wireGuard: InterfaceName(wireGuard)!,
        vxlan: InterfaceName(vxlan)!
    )
}

/// A folder that goes when the suite that owns it goes: after each test.
final class Folder {
    let path = NSTemporaryDirectory() + "kex-" + UUID().uuidString

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    @discardableResult
    func write(_ text: String, to name: String = "kex.conf") throws -> String {
        let file = path + "/" + name
        let folder = (file as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        return file
    }
}
