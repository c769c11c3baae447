import Checkout
import Foundation
import Testing

@Suite("kex-net plan, graph and upstream") struct PlanTests {
    private let farm = Checkout.file("examples/tenants/farm.yaml").path

    @Test("check --paths prints the path of each pair, or why there is none") func paths() throws {
        let run = try Workplace().run("check", "--paths", farm)
        let lines = run.output.split(separator: "\n").map(String.init)
        for line in [
            "cellar → flat-1 IPv6: path: cellar, WireGuard, farm-1, WireGuard, flat-1",
            "cellar → flat-1 IPv6: path: cellar, WireGuard over a relay, flat-1",
            "flat-1 → flat-2 IPv4: path: flat-1, VXLAN, flat-2",
            "internet → tcp port 8080 of the exit IPv4: path: farm-1, WireGuard, cellar",
        ] { #expect(lines.contains(line), "\(line)") }
        #expect(
            lines.contains { $0.hasPrefix("internet → cellar IPv6: no path: because the firewall of farm-1 stops") }
        )
        #expect(run.status == 0)
    }

    @Test("plan says how pairs are connected, and who reads along; of one node what is about it") func plan() throws {
        let place = try Workplace()
        let whole = try place.run("plan", farm)
        #expect(whole.status == 0)
        #expect(whole.errors.contains("9 members have no prefix yet"))
        let one = try place.run("plan", "--node", "cellar", farm)
        #expect(
            one.output.contains(
                "  cellar and flat-1: neither is public in a family that the other speaks: through farm-1"
            )
        )
        #expect(one.output.contains("node cellar\n") && !one.output.contains("node farm-1\n"))
        #expect(one.output.count < whole.output.count)
    }

    @Test("plan --json is JSON, of all nodes or of one") func json() throws {
        let place = try Workplace()
        for (arguments, count) in [([], 6), (["--node", "van"], 1)] {
            let run = try place.run(arguments: ["plan", "--json"] + arguments + [farm])
            let value = try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any]
            #expect(value?["format"] as? Int == 1)
            #expect((value?["nodes"] as? [Any])?.count == count)
        }
    }

    @Test("a node or a network that is not there is one line and status 65") func missing() throws {
        let place = try Workplace()
        let node = try place.run("plan", "--node", "nobody", farm)
        #expect(node.status == 65 && node.output.isEmpty)
        #expect(node.errors == "nobody is in no network; these are: cellar, farm-1, flat-1, flat-2, rented, van\n")
        let network = try place.run("graph", farm)
        #expect(network.status == 65 && network.output.isEmpty)
        #expect(network.errors == "name one of the networks with --network: acme, birch\n")
    }

    @Test("graph draws one network as SVG or Mermaid") func graph() throws {
        let place = try Workplace()
        let picture = try place.run("graph", "--network", "acme", farm)
        #expect(picture.output.hasPrefix("<svg ") && picture.status == 0)
        _ = try XMLDocumentShape(picture.output)
        let text = try place.run("graph", "--network", "birch", "--format", "mermaid", farm)
        #expect(text.output.hasPrefix("flowchart TB\n") && text.output.contains("stroke-dasharray: 1 5"))
    }

    @Test("upstream lists a route for each member, and those that left are gone") func upstream() throws {
        let place = try Workplace()
        let run = try place.run("upstream", "--format", "bird", farm)
        #expect(run.output.split(separator: "\n").count { $0.contains(" via 2001:db8:1100::") } == 9)
        #expect(run.status == 0)
    }

    @Test("a member that has left is unreachable at the exit until its quarantine ends") func withdrawn() throws {
        let place = try Workplace()
        let document = try String(contentsOfFile: farm, encoding: .utf8)
        try place.write(document, to: "net.yaml")
        #expect(try place.run("allocate", "net.yaml").status == 0)
        #expect(try !place.run("plan", "--node", "farm-1", "net.yaml").output.contains("unreachable"))
        let rest = document.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.contains("      van: ") }
        try place.write(rest.joined(separator: "\n"), to: "net.yaml")
        #expect(try place.run("release", "net.yaml", "acme/van").status == 0)
        let plan = try place.run("plan", "--node", "farm-1", "net.yaml").output
        #expect(plan.split(separator: "\n").count { $0.contains("route unreachable 2001:db8:1100:") } == 1)
    }
}

/// Elements that are closed in the order in which they were opened.
private struct XMLDocumentShape {
    struct Mistake: Error { let text: String }

    init(_ text: String) throws {
        var open: [Substring] = []
        for part in text.split(separator: "<").dropFirst(text.hasPrefix("<") ? 0 : 1) {
            guard let end = part.firstIndex(of: ">") else { throw Mistake(text: String(part)) }
            let tag = part[..<end]
            let name = tag.drop { $0 == "/" }.prefix { $0.isLetter }
            if tag.hasPrefix("/") {
                guard open.popLast() == name else { throw Mistake(text: String(part)) }
            } else if !tag.hasSuffix("/") {
                open.append(name)
            }
        }
        guard open.isEmpty else { throw Mistake(text: "\(open)") }
    }
}
