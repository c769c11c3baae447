import Checkout
import Foundation
import Glibc
import LinkFacts
import NetworkAddresses
import Testing
import WireGuardTypes

/// What `Tests/Links/member.py` prints of a fact.
private func line(_ fact: Fact) -> String {
    let says =
        switch fact.statement {
        case .alive(let boot): "alive \(hexadecimal(boot.bytes))"
        case .endpoint(.v4(let address, let port)): "endpoint \(address) \(port)"
        case .endpoint(.v6(let address, let port, _)): "endpoint \(address) \(port)"
        case .allowedIP(let prefix): "allowed \(prefix)"
        case .plainMember: "plain member"
        case .member(let metadata): (["member"] + attributes(metadata)).joined(separator: " ")
        }
    return " | \(fact.timeToLive.seconds) \(hexadecimal(fact.subject.bytes)) \(says)"
}

private func attributes(_ metadata: MemberMetadata) -> [String] {
    var all = metadata.other
    if let name = metadata.name { all[UInt8(ascii: "n")] = Array(name.utf8) }
    if let isBasic = metadata.isBasic { all[UInt8(ascii: "b")] = [isBasic ? 1 : 0] }
    return all.sorted { $0.key < $1.key }.map { "\(hexadecimal([$0.key]))=\(hexadecimal($0.value))" }
}

/// Runs the other implementation to its end.
private func member(_ arguments: String, input: String = "") throws -> [String] {
    // Files and not pipes, which could fill up.
    let folder = FileManager.default.temporaryDirectory.appending(path: "kex-facts-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (asked, answered) = (folder.appending(path: "asked"), folder.appending(path: "answered"))
    try Data(input.utf8).write(to: asked)
    let program = Checkout.file("Tests/Links/member.py").path
    // Foundation's `Process` sometimes misses the end of one of two programs that run at the same time.
    let status = system("exec '\(program)' \(arguments) <'\(asked.path)' >'\(answered.path)'")
    try #require(status == 0)
    return try String(contentsOf: answered, encoding: .utf8).split(separator: "\n").map(String.init)
}

@Suite("Another implementation") struct OtherImplementationTests {
    @Test("is understood")
    func heard() throws {
        let lines = try member("make 1 100")
        #expect(lines.count == 100)
        var count = 0
        for text in lines {
            let words = text.split(separator: " ", maxSplits: 2)
            let secret = try #require(PrivateKey(bytes: fromHex(String(words[0]))))
            let source = try #require(IPv6Address(String(words[1])))
            let parts = words[2].split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            let datagram = fromHex(String(parts[0]))
            // Each line has keys of its own; the signer's is behind the attribute and the time to live.
            let key = PublicKey(hexadecimal: hexadecimal(datagram[2..<34]))
            let receiver = GroupSigner(secret, knowing: [key])
            let facts = try receiver.facts(in: datagram.span, from: source).facts
            #expect(facts.map(line).joined() == (parts.count > 1 ? " " + parts[1] : ""))
            count += facts.count
        }
        #expect(count > 100)
    }

    @Test("understands")
    func spokenTo() throws {
        var dice = Dice(seed: 9)
        var (asked, expected): ([String], [String]) = ([], [])
        for (from, to) in [(Node.a, Node.b), (Node.b, Node.c), (Node.c, Node.a)] {
            let signer = from.signer
            let facts = (0..<60).map { _ in dice.fact() }
            for group in FactGroups(facts).groups {
                var datagram = try signer.datagram(of: group, for: to.publicKey, using: &dice)
                for isChanged in [false, true] {
                    if isChanged { datagram[datagram.count - 1] ^= 1 }
                    let secret = hexadecimal(to.privateKey.bytes)
                    asked.append("\(secret) \(from.address) \(hexadecimal(datagram))")
                    expected.append(isChanged ? "refused" : try Fact.facts(in: group).map(line).joined())
                }
            }
        }
        #expect(expected.count > 20)
        #expect(try member("read", input: asked.map { $0 + "\n" }.joined()) == expected)
    }
}
