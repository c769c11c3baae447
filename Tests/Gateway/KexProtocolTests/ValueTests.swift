import KexProtocol
import Testing

@Suite("Domain names") struct DomainNameTests {
    @Test("take letters, digits, dots, hyphens and underscores", arguments: ["a", "ffww01", "A-b_c.9"])
    func legal(text: String) {
        #expect(DomainName(text)?.text == text)
    }

    @Test("take nothing else", arguments: ["", " ", "ff ww", "ffww01\n", "ff/ww", "ff\0", "ü", "ff:ww", "ff=", "ff\r"])
    func illegal(text: String) {
        #expect(DomainName(text) == nil)
    }

    @Test("are 42 bytes long at most")
    func length() {
        #expect(DomainName(String(repeating: "a", count: 42)) != nil)
        #expect(DomainName(String(repeating: "a", count: 43)) == nil)
    }
}

@Suite("Refusals") struct RefusalTests {
    @Test("have the words of the protocol on the wire")
    func words() {
        let codes = Refusal.allCases.map(\.code)
        let deployed = ["NO_DOMAIN", "INVALID_DOMAIN", "NO_WGKEY", "INVALID_WGKEY", "PROHIBITED_WGKEY"]
        #expect(codes == deployed + ["UNAVAILABLE", "ADDRESS_IN_USE", "DOMAIN_FULL", "RATE_LIMITED"])
        #expect(Refusal.noKey.reply == "ERR: NO_WGKEY\n")
    }

    @Test("are read from their reply, with and without its line feed", arguments: Refusal.allCases)
    func roundTrip(refusal: Refusal) {
        #expect(Refusal(reply: refusal.reply) == refusal)
        #expect(Refusal(reply: refusal.reply.dropLast()) == refusal)
    }

    @Test(
        "are not read from anything else",
        arguments: ["", "\n", "ERR: ", "ERR: NEW\n", "NO_DOMAIN", "ERR: NO_DOMAIN\n\n"]
    )
    func unknown(text: String) {
        #expect(Refusal(reply: text) == nil)
    }

    // 0 is success on the channel to the handler.
    @Test("have numbers that are not 0") func numbers() {
        #expect(Refusal.allCases.allSatisfy { $0.rawValue != 0 })
    }
}
