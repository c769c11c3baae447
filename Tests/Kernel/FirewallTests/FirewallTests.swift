import Firewall
import Foundation
import KernelTestSupport
import Surroundings
import Testing

@Suite(.needsRoot) struct FirewallTests {
    private static func ruleset() throws -> String {
        try Firewall().run(["list ruleset"], "list", "all")
    }

    @Test func `a transaction is done as a whole or not at all`() throws {
        try requirePrivateNamespace()
        let firewall = try Firewall()
        try firewall.run(["add table ip kxone", "add set ip kxone here { type ipv4_addr; }"], "make", "kxone")
        #expect(try firewall.run(["list table ip kxone"], "list", "kxone").contains("set here"))
        let error = #expect(throws: FirewallError.self) {
            try firewall.run(
                ["add table ip kxtwo", "add element ip kxone here { 10.0.0.1 }", "add rule ip kxtwo none accept"],
                "fill",
                "kxtwo"
            )
        }
        #expect("\(try #require(error))" == "cannot fill kxtwo: Could not process rule: No such file or directory")
        #expect(try !Self.ruleset().contains("kxtwo") && !Self.ruleset().contains("10.0.0.1"))
        try firewall.run(["delete table ip kxone"], "delete", "kxone")
    }

    @Test func `what it does not understand is said in its own words, and it goes on`() throws {
        try requirePrivateNamespace()
        let firewall = try Firewall()
        for _ in 0..<2 {
            let error = #expect(throws: FirewallError.self) { try firewall.run(["nonsense"], "do", "it") }
            #expect(error?.reason.hasPrefix("syntax error") == true)
        }
        #expect(throws: FirewallError.self) { try firewall.run(["delete table ip kxnone"], "delete", "kxnone") }
        #expect(try firewall.run(["list tables"], "list", "tables") != "nonsense")
    }

    @Test func `a table with an owner goes when he goes`() throws {
        try requirePrivateNamespace()
        do {
            let firewall = try Firewall()
            try firewall.run(["add table ip kxowned { flags owner; }"], "make", "kxowned")
            #expect(try Self.ruleset().contains("kxowned"))
            #expect(throws: FirewallError.self) {
                try Firewall().run(["delete table ip kxowned"], "delete", "kxowned")
            }
            _ = firewall
        }
        #expect(try !Self.ruleset().contains("kxowned"))
    }
}
