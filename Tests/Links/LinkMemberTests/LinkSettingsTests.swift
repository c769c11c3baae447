import LinkMember
import NetworkAddresses
import Testing

@Suite("What the operator says")
struct LinkSettingsTests {
    @Test(
        "A pattern takes the whole name",
        arguments: [
            ("eth0", "eth0", true), ("eth0", "eth01", false), ("eth*", "eth", true), ("eth*", "eth12", true),
            ("*th0", "eth0", true), ("e*h*0", "eth0", true), ("e*h*1", "eth0", false), ("eth?", "eth0", true),
            ("eth?", "eth", false), ("eth[0-3]", "eth3", true), ("eth[0-3]", "eth4", false),
            ("eth[^0-3]", "eth4", true), ("eth[^0-3]", "eth0", false), ("[abe]th0", "eth0", true), ("\\*", "a", false),
            ("\\*", "*", true), ("*", "wlan0", true), ("docker*", "dock", false), ("[\\]]0", "]0", true),
        ]
    )
    func pattern(_ pattern: String, _ name: String, _ matches: Bool) throws {
        #expect(try #require(InterfacePattern(pattern)).matches(#require(InterfaceName(name))) == matches)
    }

    @Test(
        "What is no pattern",
        arguments: [
            "", "eth[", "eth[]", "eth[^]", "[z-a]", "[a-]", "eth\\", "[\\", "a b", "é",
            String(repeating: "a", count: 65),
        ]
    )
    func noPattern(_ text: String) { #expect(InterfacePattern(text) == nil) }

    @Test("The longest pattern")
    func longest() { #expect(InterfacePattern(String(repeating: "*", count: 64)) != nil) }

    @Test("What is hidden is hidden also if it is to be reported")
    func reported() throws {
        func reports(_ report: [String], _ hide: [String]) throws -> Bool {
            let settings = LinkSettings(
                reportInterfaces: report.compactMap { InterfacePattern($0) },
                hideInterfaces: hide.compactMap { InterfacePattern($0) }
            )
            return settings.reports(try #require(InterfaceName("eth0")))
        }
        #expect(try reports([], []))
        #expect(try reports(["eth*"], []))
        #expect(try !reports(["wlan*"], []))
        #expect(try !reports([], ["eth*"]))
        #expect(try !reports(["eth0"], ["eth*"]))
        #expect(try reports(["wlan*", "eth0"], ["docker*"]))
    }

    @Test("Levels of trust by their names")
    func trust() {
        for trust in Trust.allCases { #expect(Trust(trust.description) == trust) }
        #expect(Trust("allowedips") == .allowedIPs)
        #expect(Trust("Everything") == nil)
        #expect(Trust.allCases.sorted() == [.untrusted, .endpoint, .allowedIPs, .membership, .delegateTrust])
    }
}
