import Checkout
import Foundation
import Keys
import LinkMessages
import NetworkAddresses
import PathProbe
import Testing
import Time
import WireGuardTypes

/// The vectors of docs/PROTOCOL.md, which another implementation made.
@Suite struct VectorTests {
    private static let c = fromHex("a86a0b97d338e0746108484020433afbea82e017a440671b336f626dcb35fb63")
    private static let a = fromHex("20d247dcdc7e3c3268f52e850b920f999ced62dbb369c98e1953e13e2acece5c")
    private static let boot: UInt64 = 0x0102_0304_0506_0708

    private static func fromHex(_ text: some StringProtocol) -> [UInt8] {
        let digits = text.compactMap { $0.hexDigitValue.map(UInt8.init) }
        return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    /// The bytes of the block behind a line of the page. What stands behind two blanks is for people.
    private static func block(behind line: String) throws -> [UInt8] {
        let page = try String(contentsOf: Checkout.file("docs/PROTOCOL.md"), encoding: .utf8)
        let start = try #require(page.range(of: line))
        let block = page[start.upperBound...].split(separator: "```", omittingEmptySubsequences: false)[1]
        return block.split(separator: "\n").flatMap { line in
            fromHex(line.drop { $0 == " " }.split(separator: "  ")[0])
        }
    }

    private static func keys() throws -> (c: PrivateKey, a: PrivateKey) {
        (try #require(PrivateKey(bytes: c)), try #require(PrivateKey(bytes: a)))
    }

    /// Runs the other implementation.
    private static func vectors() throws -> [String: [UInt8]] {
        let file = FileManager.default.temporaryDirectory.appending(path: "kex-vectors-\(UUID())")
        defer { try? FileManager.default.removeItem(at: file) }
        let program = Checkout.file("Tests/Links/sealed.py").path
        try #require(system("exec '\(program)' >'\(file.path)'") == 0)
        let text = try String(contentsOf: file, encoding: .utf8)
        let lines = text.split(separator: "\n").map { $0.split(separator: " ") }
        return Dictionary(uniqueKeysWithValues: lines.map { (String($0[0]), fromHex($0[1])) })
    }

    @Test func `the page has what the other implementation makes`() throws {
        let vectors = try Self.vectors()
        #expect(try Self.block(behind: "A vector of a message") == vectors["message"])
        #expect(try Self.block(behind: "A vector of a probe") == vectors["probe"])
    }

    @Test func `the message is read, and made`() throws {
        let (c, a) = try Self.keys()
        let datagram = try Self.block(behind: "A vector of a message")
        let secret = try a.sharedSecret(with: c.publicKey)
        var reader = MessageSealer(secret: secret, own: a.publicKey, other: c.publicKey, boot: 2)
        let candidate = Call.Candidate(.interface, Endpoint("10.77.0.1:51820")!)
        let call = LinkMessage.call(Call(wantsAnswer: true, factsPort: 51821, candidates: [candidate]))
        #expect(try reader.open(datagram) == call)
        #expect(reader.otherBoot == Self.boot)
        var writer = MessageSealer(secret: secret, own: c.publicKey, other: a.publicKey, boot: Self.boot)
        var nonce = Nonce(byte: 0x40)
        #expect(writer.seal(call, using: &nonce) == datagram)
    }

    @Test func `the probe is an answer`() throws {
        let (c, a) = try Self.keys()
        let datagram = try Self.block(behind: "A vector of a probe")
        var table = ProbeTable(own: c.publicKey, boot: Self.boot)
        #expect(table.add(a.publicKey, secret: try c.sharedSecret(with: a.publicKey)))
        let source = try #require(Endpoint("192.0.2.7:51820"))
        #expect(table.request(to: a.publicKey, at: nil, now: .start)?.counter == 1)
        let expected = ProbeTable.Event.answer(from: a.publicKey, counter: 1, observed: Endpoint("10.77.0.1:51820"))
        #expect(try table.read(datagram.span, from: source, at: .start) == expected)
    }
}

/// Bytes that rise by one.
private struct Nonce: RandomNumberGenerator {
    var byte: UInt8

    mutating func next() -> UInt64 {
        var word: UInt64 = 0
        for _ in 0..<8 {
            word = word << 8 | UInt64(byte)
            byte += 1
        }
        return word
    }
}
