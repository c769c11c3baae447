import Testing

@testable import Systemd

@Suite("Log lines") struct ServiceLogTests {
    @Test("have nothing in them but printable ASCII", arguments: ["a\nb", "a\u{1b}b", "a\0b", "a\u{7f}b", "a\rb"])
    func printable(text: String) { #expect(ServiceLog.printable(text) == "a?b") }

    @Test("keep what is printable") func kept() { #expect(ServiceLog.printable(" az~") == " az~") }

    @Test("have 1024 bytes at most", arguments: [1023, 1024, 1025])
    func length(count: Int) {
        #expect(ServiceLog.printable(String(repeating: "x", count: count)).utf8.count == min(count, 1024))
    }
}
