import KexProtocol
import Testing
import WireGuardTypes

private let key = "I/Q7jOWvH9RGOBqF1tBPRXCbNLD0jEEUeSfHqbtd9wo="
private let domains = KnownDomains(["ffww01", "ffww02"].compactMap { DomainName($0) })

private let accepted = ExchangeParser.Progress.complete(
    Registration(domain: DomainName("ffww01")!, key: PublicKey(text: key)!)
)

/// What happens on a connection.
private enum Step {
    case bytes([UInt8])
    case end
    case deadline

    static func text(_ text: String) -> Step { .bytes(Array(text.utf8)) }
}

/// Feeds the steps to a new parser, as long as it waits.
private func progress(_ steps: [Step]) -> ExchangeParser.Progress {
    var parser = ExchangeParser()
    var progress = ExchangeParser.Progress.waiting
    for step in steps {
        guard case .waiting = progress else { break }
        switch step {
        case .bytes(let bytes): progress = parser.receive(bytes.span, domains: domains)
        case .end: progress = parser.end(domains: domains)
        case .deadline: progress = parser.deadline(domains: domains)
        }
    }
    return progress
}

/// An exchange and its result, however its bytes are cut.
struct Exchange: CustomTestStringConvertible, Sendable {
    let name: String
    let bytes: [UInt8]
    let isClosedAfterwards: Bool
    let result: ExchangeParser.Progress

    init(_ name: String, _ text: String, closed: Bool = false, _ result: ExchangeParser.Progress) {
        self.name = name
        bytes = Array(text.utf8)
        isClosedAfterwards = closed
        self.result = result
    }

    var testDescription: String { name }
}

private func padded(_ text: String, to length: Int) -> String {
    String(repeating: " ", count: length - text.utf8.count) + text
}

@Suite("Parsing an exchange") struct ExchangeParserTests {
    static let exchanges = [
        Exchange("the plain form", "ffww01\n\(key)\n", accepted),
        Exchange("no line feed behind the key, end", "ffww01\n\(key)", closed: true, accepted),
        Exchange("no line feed behind the key, nothing more yet", "ffww01\n\(key)", .waiting),
        Exchange("bytes behind the key", "ffww01\n\(key)\nmore\n\0", accepted),
        Exchange("blanks and tabs around both", " \tffww01\t \n\t \(key) \t\n", accepted),
        Exchange("the two lines in reverse", "\(key)\nffww01\n", accepted),
        Exchange("reversed, blanks and end", " \(key)\t\n ffww01", closed: true, accepted),

        Exchange("nothing and end", "", closed: true, .refused(.noDomain)),
        Exchange("an empty first line", "\n\(key)\n", .refused(.noDomain)),
        Exchange("a blank first line", " \t\n", .refused(.noDomain)),
        Exchange("reversed, empty second line", "\(key)\n\n", .refused(.noDomain)),
        Exchange("reversed, end behind the key", "\(key)\n", closed: true, .refused(.noDomain)),
        Exchange("only a key, end", key, closed: true, .refused(.noDomain)),

        Exchange("an unknown domain, at once", "ffww03\n", .refused(.invalidDomain)),
        Exchange("the beginning of a domain", "ffww0\n", .refused(.invalidDomain)),
        Exchange("a domain and one letter more", "ffww011\n", .refused(.invalidDomain)),
        Exchange("a domain in the wrong case", "FFWW01\n", .refused(.invalidDomain)),
        Exchange("a carriage return behind the domain", "ffww01\r\n", .refused(.invalidDomain)),
        Exchange("a blank inside the domain", "ffww 01\n", .refused(.invalidDomain)),
        Exchange("no text at all", "\u{1b}[2J\n", .refused(.invalidDomain)),
        Exchange("a zero byte in the domain, at once", "ff\0", .refused(.invalidDomain)),
        Exchange("reversed, an unknown domain", "\(key)\nffww03\n", .refused(.invalidDomain)),
        Exchange("reversed, a zero byte in the domain", "\(key)\nff\0", .refused(.invalidDomain)),
        Exchange("a bad key in the first line", "\(key.dropLast(2))p=\n", .refused(.invalidDomain)),

        Exchange("domain and end", "ffww01", closed: true, .refused(.noKey)),
        Exchange("domain, line feed and end", "ffww01\n", closed: true, .refused(.noKey)),
        Exchange("an empty second line", "ffww01\n\n", .refused(.noKey)),
        Exchange("a blank second line", "ffww01\n \t \n", .refused(.noKey)),

        Exchange("a key cut short", "ffww01\n\(key.dropLast())\n", .refused(.invalidKey)),
        Exchange("a key with unused bits set", "ffww01\n\(key.dropLast(2))p=\n", .refused(.invalidKey)),
        Exchange("a vertical bar as 43rd character", "ffww01\n\(key.dropLast(2))|=\n", .refused(.invalidKey)),
        Exchange("a carriage return behind the key", "ffww01\n\(key)\r\n", .refused(.invalidKey)),
        Exchange("a zero byte in the key, at once", "ffww01\n\(key.prefix(4))\0", .refused(.invalidKey)),
        Exchange("two domains", "ffww01\nffww02\n", .refused(.invalidKey)),
        Exchange("part of a key and end", "ffww01\nI/Q7", closed: true, .refused(.invalidKey)),

        Exchange("a first line of 63 bytes", padded("ffww01", to: 63) + "\n\(key)\n", accepted),
        Exchange("a first line of 64 bytes", padded("ffww01", to: 64) + "\n\(key)\n", accepted),
        Exchange("a 65th byte in the first line, at once", padded("ffww01", to: 65), .refused(.invalidDomain)),
        Exchange("a second line of 63 bytes", "ffww01\n" + padded(key, to: 63) + "\n", accepted),
        Exchange("a second line of 64 bytes", "ffww01\n" + padded(key, to: 64) + "\n", accepted),
        Exchange("a 65th byte in the second line, at once", "ffww01\n" + padded(key, to: 65), .refused(.invalidKey)),
        Exchange("64 bytes and the end", "ffww01\n" + padded(key, to: 64), closed: true, accepted),
        Exchange("the key right behind 64 bytes", padded("ffww01", to: 64) + key, .refused(.invalidDomain)),
        Exchange("reversed, a 65th byte in the domain", key + "\n" + padded("a", to: 65), .refused(.invalidDomain)),
        Exchange("a 65th byte that is blank", padded("ffww01", to: 64) + " ", .refused(.invalidDomain)),
        Exchange("64 bytes and no more yet", padded("ffww01", to: 64), .waiting),
    ]

    @Test("comes to the same result wherever the bytes are cut", arguments: exchanges)
    func cuts(exchange: Exchange) {
        let end: [Step] = exchange.isClosedAfterwards ? [.end] : []
        for cut in 0...exchange.bytes.count {
            let first = Array(exchange.bytes[..<cut])
            let second = Array(exchange.bytes[cut...])
            #expect(progress([.bytes(first), .bytes(second)] + end) == exchange.result, "cut at \(cut)")
        }
        let single = exchange.bytes.map { Step.bytes([$0]) }
        #expect(progress(single + end) == exchange.result, "byte by byte")
    }

    @Test(
        "waits for the byte that decides, and no longer",
        arguments: exchanges.filter { $0.name.hasSuffix("at once") }
    )
    func decidesAtOnce(exchange: Exchange) {
        #expect(progress([.bytes(Array(exchange.bytes.dropLast()))]) == .waiting)
        #expect(progress([.bytes(exchange.bytes)]) == exchange.result)
    }

    @Test("takes a line as far as it came when its time is over")
    func deadlines() {
        #expect(progress([.deadline]) == .refused(.noDomain))
        #expect(progress([.text(" "), .deadline]) == .refused(.noDomain))
        #expect(progress([.text("ffww"), .deadline]) == .refused(.invalidDomain))
        #expect(progress([.text("ffww01"), .deadline]) == .waiting)
        #expect(progress([.text("ffww01"), .deadline, .text("\(key)\n")]) == accepted)
        #expect(progress([.text("ffww01"), .deadline, .text(key), .deadline]) == accepted)
        #expect(progress([.text("ffww01"), .deadline, .text("\n")]) == .refused(.noKey))
        #expect(progress([.text("ffww01\n"), .deadline]) == .refused(.noKey))
        #expect(progress([.text("ffww01\n\(key)"), .deadline]) == accepted)
        #expect(progress([.text("ffww01\n\(key.dropLast(3))"), .deadline]) == .refused(.invalidKey))
        #expect(progress([.text(key), .deadline, .text("ffww01\n")]) == accepted)
        #expect(progress([.text("\(key)\n"), .deadline]) == .refused(.noDomain))
        #expect(progress([.text("ffww01"), .end]) == .refused(.noKey))
    }

    @Test("counts 64 bytes for the line after a deadline, too")
    func lengthAfterDeadline() {
        #expect(progress([.text("ffww01"), .deadline, .text(padded(key, to: 64) + "\n")]) == accepted)
        #expect(progress([.text("ffww01"), .deadline, .text(padded(key, to: 65))]) == .refused(.invalidKey))
    }

    @Test("names the line that is waited for")
    func line() {
        var parser = ExchangeParser()
        #expect(parser.line == .first)
        _ = parser.receive(Array("ffww".utf8).span, domains: domains)
        #expect(parser.line == .first)
        _ = parser.receive(Array("01\n".utf8).span, domains: domains)
        #expect(parser.line == .second)
    }

    @Test("says with every domain of the gateway which one it was")
    func domain() {
        let result = progress([.text("ffww02\n\(key)\n")])
        guard case .complete(let registration) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(registration.domain.text == "ffww02")
        #expect(registration.key.description == key)
    }
}
