import Checkout
import Foundation
import Surroundings
import Testing

@Suite("kex-net export") struct ExportTests {
    /// The example of a farm, with what the ledger gives.
    private func farm() throws -> Workplace {
        let place = try Workplace()
        try place.write(
            try String(contentsOf: Checkout.file("examples/tenants/farm.yaml"), encoding: .utf8),
            to: "net.yaml"
        )
        try #require(try place.run("allocate", "net.yaml").status == 0)
        return place
    }

    private static let members = [
        "acme/farm-1", "acme/rented", "acme/cellar", "acme/flat-1", "acme/flat-2", "acme/van", "birch/farm-1",
        "birch/flat-1", "birch/cellar",
    ]

    @Test("writes files that wg-quick takes, for their owner only, without a private key")
    func files() throws {
        let place = try farm()
        for (index, member) in Self.members.enumerated() {
            let run = try place.run("export", "net.yaml", member, "--output", "wg\(index).conf")
            #expect(run.status == 0 && run.output == "", "\(member): \(run.errors)")
            let text = try place.text(of: "wg\(index).conf")
            #expect(!text.contains("PrivateKey") && text.contains("PostUp = wg set %i private-key /etc/wireguard/wg-"))
            #expect(try place.shell("stat -c %a wg\(index).conf") == "600\n")
            let stripped = try place.shell("wg-quick strip ./wg\(index).conf")
            #expect(stripped.contains("[Interface]") && !stripped.contains("PostUp"))
            #expect(stripped.matches(of: #/\[Peer\]/#).count == text.matches(of: #/\[Peer\]/#).count)
        }
        // A file that is there stays as it is.
        let again = try place.run("export", "net.yaml", "acme/van", "--output", "wg0.conf")
        #expect(again.status == 71)
    }

    @Test("writes for OpenWrt, BIRD and FRR what has the same peers and routes", arguments: members)
    func forms(member: String) throws {
        let place = try farm()
        let file = try place.run("export", "net.yaml", member).output
        let uci = try place.run("export", "net.yaml", member, "--format", "openwrt").output
        let keys = file.matches(of: #/PublicKey = (\S+)/#).map(\.1)
        #expect(keys == uci.matches(of: #/public_key='(\S+)'/#).map(\.1) && !keys.isEmpty)
        let routes = file.matches(of: #/route add (?:unreachable )?(\S+)/#).map(\.1)
        #expect(routes == uci.matches(of: #/\.target='(\S+)'/#).map(\.1) && !routes.isEmpty)
        let others = Set(routes.filter { !$0.hasSuffix("/0") })
        let bird = try place.run("export", "net.yaml", member, "--format", "bird").output
        #expect(Set(bird.matches(of: #/ route (\S+)/#).map(\.1)) == others)
        let frr = try place.run("export", "net.yaml", member, "--format", "frr").output
        #expect(Set(frr.matches(of: #/(?m)^ip(?:v6)? route (\S+)/#).map(\.1)) == others)
    }

    @Test("prints a private key only when asked, and takes none but the member's own")
    func privateKey() throws {
        let place = try farm()
        let keys = try place.shell("umask 077; wg genkey >own; wg genkey >other; wg pubkey <own").trimmingCharacters(
            in: .newlines
        )
        let document = try place.text(of: "net.yaml")
            .replacing("W/I1i5eGVdjIgQ8yOdphMS2/z6dRU1uBaQxJO98+d0k=", with: keys)
        try place.write(document, to: "net.yaml")
        let own = try place.text(of: "own").trimmingCharacters(in: .newlines)
        for format in ["wg-quick", "openwrt", "app", "qr"] {
            let options = ["export", "net.yaml", "acme/van", "--format", format, "--private-key"]
            let refused = try place.run(arguments: options + ["own"])
            #expect(refused.status == 64 && !refused.output.contains(own) && !refused.errors.contains(own))
            let wrong = try place.run(arguments: options + ["other", "--show-private-key"])
            #expect(wrong.status == 65 && wrong.output == "")
            #expect(!wrong.errors.contains(try place.text(of: "other").trimmingCharacters(in: .newlines)))
            let shown = try place.run(arguments: options + ["own", "--show-private-key"])
            #expect(shown.status == 0 && shown.output.contains(format == "qr" ? "█" : own))
            let written = try place.run(arguments: options + ["own", "--output", "\(format).conf"])
            #expect(written.status == 0 && written.output == "")
            #expect(try place.text(of: "\(format).conf") == shown.output)
            #expect(try place.shell("stat -c %a \(format).conf") == "600\n")
        }
        for format in ["app", "qr"] {
            let keyless = try place.run("export", "net.yaml", "acme/van", "--format", format, "--show-private-key")
            #expect(keyless.status == 64 && keyless.output == "")
            #expect(keyless.errors.contains("a phone's file without its key is of no use"))
        }
        // What an app makes routes of itself has no commands and no addresses of links.
        let app = try place.text(of: "app.conf")
        #expect(
            !app.contains("PostUp") && !app.contains("Table") && !app.contains("fe80::") && !app.contains("100.64.")
        )
        #expect(try place.run("export", "net.yaml", "acme/nobody").status == 65)
    }

    @Test("prints a code that a camera reads as the file for an app")
    func code() throws {
        let place = try farm()
        try place.shell("umask 077; wg genkey >own")
        let document = try place.text(of: "net.yaml").replacing(
            "W/I1i5eGVdjIgQ8yOdphMS2/z6dRU1uBaQxJO98+d0k=",
            with: try place.shell("wg pubkey <own").trimmingCharacters(in: .newlines)
        )
        try place.write(document, to: "net.yaml")
        let options = ["export", "net.yaml", "acme/van", "--private-key", "own", "--show-private-key", "--format"]
        let printed = try place.run(arguments: options + ["qr"])
        #expect(printed.status == 0)
        try place.write(Self.picture(ofPrinted: printed.output), to: "code.pbm")
        let read = try place.shell("zbarimg --quiet --raw code.pbm 2>/dev/null")
        let app = try place.run(arguments: options + ["app"]).output
        #expect(read.trimmingCharacters(in: .newlines) == app.trimmingCharacters(in: .newlines) && !app.isEmpty)
    }

    @Test("has no code for more than a code has room for")
    func tooMuch() throws {
        let place = try Workplace()
        try place.shell("umask 077; wg genkey >own")
        let others = (0..<40).map { "node-\($0)" }
        let key = try place.shell("wg pubkey <own").trimmingCharacters(in: .newlines)
        func made(_ number: Int) -> String {
            Data("\(number + 100)".utf8 + [UInt8](repeating: 0x2e, count: 29)).base64EncodedString()
        }
        try place.write(
            """
            format: 1
            allocations:
              - {number: 0, prefix: "2001:db8:1100::/48"}
            nodes:
            \(others.enumerated().map { "  \($1): {ipv6: {public: \"2001:db8::\($0)\"}}\n" }.joined())
            networks:
              acme:
                version: 1
                members:
            \(others.enumerated().map { "      \($1): \(made($0))\n" }.joined())
                  phone: {key: \(key), device: true}

            """,
            to: "net.yaml"
        )
        let run = try place.run(
            arguments: [
                "export", "net.yaml", "acme/phone", "--format", "qr", "--private-key", "own", "--show-private-key",
            ]
        )
        #expect(run.status == 65 && run.output == "")
        #expect(
            run.errors.contains(" bytes, and a QR code has room for 2953; `--format app` writes a file\n"),
            "\(run.errors)"
        )
    }

    /// What a terminal shows as a picture, each module of four by four dots.
    private static func picture(ofPrinted text: String) -> String {
        var rows: [[Bool]] = []
        for line in text.split(separator: "\n") {
            let blocks = line.replacing("\u{1b}[97;40m", with: "").replacing("\u{1b}[0m", with: "")
            rows.append(blocks.map { $0 == " " || $0 == "▄" })
            rows.append(blocks.map { $0 == " " || $0 == "▀" })
        }
        let dots = rows.flatMap { row in
            Array(
                repeating: row.flatMap { Array(repeating: $0 ? "1" : "0", count: 4) }.joined(separator: " "),
                count: 4
            )
        }
        return "P1\n\((rows.first?.count ?? 0) * 4) \(dots.count)\n\(dots.joined(separator: "\n"))\n"
    }

    @Test("gives two machines that have nothing else what they need to reach each other", .needsRoot)
    func machines() throws {
        let place = try Workplace()
        try place.shell("umask 077; for name in farm home; do wg genkey >$name; wg pubkey <$name >$name.pub; done")
        func key(_ name: String) throws -> String {
            try place.text(of: "\(name).pub").trimmingCharacters(in: .newlines)
        }
        try place.write(
            """
            format: 1
            allocations:
              - {number: 0, prefix: "2a02:1807:1::/48"}
            nodes:
              farm: {ipv4: {public: 198.51.100.1}, ipv6: {public: "2a02:1807::1"}}
              home: {ipv4: hidden}
            networks:
              mine:
                version: 1
                members:
                  farm: \(try key("farm"))
                  home: \(try key("home"))
                exit: farm

            """,
            to: "net.yaml"
        )
        try #require(try place.run("allocate", "net.yaml").status == 0)
        // The names of wireguard-go's sockets are the machine's.
        let number = UInt32.random(in: 0...0xffff)
        let names = ["farm": "kxe\(number)a", "home": "kxe\(number)b"]
        for (member, name) in names {
            let run = try place.run(
                arguments: [
                    "export", "net.yaml", "mine/\(member)", "--private-key", member, "--output", "\(name).conf",
                ]
            )
            try #require(run.status == 0, "\(run.errors)")
        }
        let farm = try #require(try place.text(of: "net.ledger").firstMatch(of: #/prefix mine farm (\S+)::\/64/#)?.1)
        let home = try #require(try place.text(of: "net.ledger").firstMatch(of: #/prefix mine home (\S+)::\/64/#)?.1)
        let script = """
            export WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go
            run() { ip netns exec kxe\(number)$1 "${@:2}"; }
            end() {
                for end in a b; do
                    run $end wg-quick down ./kxe\(number)$end.conf || true
                    ip netns del kxe\(number)$end || true
                done >/dev/null 2>&1
            }
            trap end EXIT
            for end in a b; do ip netns add kxe\(number)$end; run $end ip link set lo up; done
            ip -n kxe\(number)a link add eth type veth peer name eth netns kxe\(number)b
            ip -n kxe\(number)a address add 198.51.100.1/24 dev eth; ip -n kxe\(number)a link set eth up
            ip -n kxe\(number)b address add 198.51.100.2/24 dev eth; ip -n kxe\(number)b link set eth up
            for end in a b; do run $end wg-quick up ./kxe\(number)$end.conf >/dev/null 2>up.$end || { cat up.$end; exit 1; }; done
            run b ping -6 -c 3 -W 5 -I \(home)::1 \(farm)::1
            run a ping -6 -c 3 -W 5 -I \(farm)::1 \(home)::1
            run b ip -6 route get 2a02:1807:ffff::1 from \(home)::1
            run b ip -4 route add default via 198.51.100.1
            run b ip -4 route get 203.0.113.9 mark "$(run b wg show kxe\(number)b fwmark)"
            """
        let output = try place.shell(script)
        #expect(output.matches(of: #/3 received, 0% packet loss/#).count == 2, "\(output)")
        // What WireGuard itself sends goes by the machine's own way.
        #expect(output.contains("203.0.113.9 via 198.51.100.1 dev eth"), "\(output)")
        // The internet is behind the exit.
        #expect(output.contains("2a02:1807:ffff::1 from \(home)::1 via fe80::"), "\(output)")
    }
}
