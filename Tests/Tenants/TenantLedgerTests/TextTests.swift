import NetworkAddresses
import TenantModel
import Testing

@testable import TenantLedger

@Suite("The text of a ledger") struct TextTests {
    @Test("is lines that people can read, and that the usual tools can check")
    func lines() throws {
        var ledger = Ledger()
        let allocation = Sample.allocation("2001:db8:0:10::/60")
        let member = Sample.member("acme/cellar")
        let segment = try ledger.prefix(for: member, from: [allocation], at: Sample.start)
        _ = try ledger.port(for: member, at: Sample.node("cellar"), wanted: 16402, at: Sample.start)
        _ = try ledger.relay(to: member, at: NodeName("farm")!, wanted: 16402, at: Sample.start)
        _ = ledger.release(member, at: Sample.start)
        let lines = String(ledger.unwritten).split(separator: "\n").map { $0.split(separator: " ") }
        let hashes = lines.map { $0.last! }
        // Made with: printf 'kex-ledger 1' | sha256sum | cut -c1-32
        #expect(lines[0].joined(separator: " ") == "kex-ledger 1 \(Ledger.root)")
        let time = "2026-11-29T06:30:00Z"
        let expected = [
            "\(time) take prefix acme cellar \(segment) of 2001:db8:0:10::/60",
            "\(time) take port acme cellar 16402",
            "\(time) take relay acme farm cellar 16402",
            "\(time) give prefix acme cellar \(segment) until 2026-12-29T06:30:00Z",
            "\(time) give port acme cellar 16402 until 2026-12-29T06:30:00Z",
            "\(time) give relay acme farm cellar 16402 until 2026-12-29T06:30:00Z",
        ]
        #expect(lines.dropFirst().map { $0.dropLast(2).joined(separator: " ") } == expected)
        #expect(lines.dropFirst().map { $0.dropLast().last! } == hashes.dropLast())
        #expect(Set(hashes).count == hashes.count)
    }

    @Test("says the same when it is read, in whatever portions of lines")
    func reading() throws {
        let text = try Sample.text()
        let whole = try Sample.ledger(text)
        var portions = Ledger()
        for line in text.split(separator: 0x0a, omittingEmptySubsequences: true) {
            #expect(try portions.readWhole(Array(line) + [0x0a]) == .nothing)
        }
        for ledger in [whole, portions] {
            #expect(ledger.all.count == 6)
            #expect(ledger.port(of: Sample.member("acme/node0"))?.leg == 0)
            #expect(ledger.prefix(of: Sample.member("acme/node1")) == nil)
            #expect(!ledger.isMerged && ledger.conflicts.isEmpty)
        }
        #expect(whole.all.map(\.line) == portions.all.map(\.line))
    }

    @Test("with any bit of it flipped is refused, and the line is named")
    func flippedBits() throws {
        let text = try Sample.text()
        var line = 1
        for index in text.indices {
            for bit in 0..<8 {
                var damaged = text
                damaged[index] ^= 1 << UInt8(bit)
                var ledger = Ledger()
                let damage = #expect(throws: LedgerDamage.self, "bit \(bit) of byte \(index)") {
                    _ = try ledger.readWhole(damaged)
                }
                #expect(damage?.line == line, "bit \(bit) of byte \(index)")
            }
            if text[index] == 0x0a { line += 1 }
        }
        #expect(line == String(text).split(separator: "\n").count + 1)
    }

    @Test("without a byte, or with one too many, is refused, and the line is named")
    func bytes() throws {
        let text = try Sample.text()
        var line = 1
        for index in text.indices.dropLast() {
            var (without, with) = (text, text)
            without.remove(at: index)
            with.insert(0x20, at: index)
            for damaged in [without, with] {
                var ledger = Ledger()
                let damage = #expect(throws: LedgerDamage.self) { _ = try ledger.readWhole(damaged) }
                #expect(damage?.line == line, "byte \(index)")
            }
            if text[index] == 0x0a { line += 1 }
        }
    }

    @Test("without a line is refused, and the line that was written after it is named")
    func missingLine() throws {
        let lines = try Sample.text().split(separator: 0x0a).map { Array($0) + [0x0a] }
        for index in lines.indices.dropLast() {
            var without = lines
            without.remove(at: index)
            #expect(throws: LedgerDamage(line: index + 1, index == 0 ? .isNoLedger : .comesAfterNone)) {
                var ledger = Ledger()
                _ = try ledger.readWhole(without.flatMap(\.self))
            }
        }
    }

    @Test("says the same in any order of its lines, and with some of them twice: git merges so")
    func order() throws {
        let lines = try Sample.text().split(separator: 0x0a).map { Array($0) + [0x0a] }
        let expected = try Sample.ledger(try Sample.text())
        var random = SystemRandomNumberGenerator()
        for _ in 0..<50 {
            let mixed = lines.dropFirst().shuffled(using: &random) + lines.shuffled(using: &random).prefix(3)
            let text = lines[0] + mixed.filter { $0 != lines[0] }.flatMap(\.self)
            var ledger = try Sample.ledger(text)
            #expect(Set(ledger.all.map(\.holding)) == Set(expected.all.map(\.holding)))
            #expect(!ledger.isMerged && ledger.last == expected.last)
            // And it goes on.
            let member = Sample.member("third/late")
            _ = try ledger.prefix(for: member, from: [Sample.allocation("2001:db8:0:10::/60")], at: Sample.start)
            #expect(try Sample.ledger(text + ledger.unwritten).prefix(of: member) == ledger.prefix(of: member))
        }
    }

    @Test("cut off at any byte keeps its whole lines, and goes on from there")
    func cuts() throws {
        let text = try Sample.text()
        let allocation = Sample.allocation("2001:db8:0:10::/60")
        let member = Sample.member("third/late")
        for size in 0...text.count {
            let part = Array(text[..<size])
            var ledger = Ledger()
            let tail = try ledger.readWhole(part)
            let whole = part.lastIndex(of: 0x0a).map { $0 + 1 } ?? 0
            var mended = part
            switch tail {
            case .nothing: #expect(size == whole)
            case .lacksLineFeed:
                #expect(text[size] == 0x0a)
                mended.append(0x0a)
            case .unfinished(let count):
                #expect(count == size - whole && text[size] != 0x0a)
                mended.removeLast(count)
            }
            #expect(text.starts(with: mended))
            _ = try ledger.prefix(for: member, from: [allocation], at: Sample.start)
            let again = try Sample.ledger(mended + ledger.unwritten)
            #expect(again.prefix(of: member) != nil)
            #expect(again.lineCount == ledger.lineCount)
        }
    }

    @Test("with zeros where a disk lost its last bytes is cut off there")
    func zeros() throws {
        let text = try Sample.text()
        let last = try #require(text.dropLast().lastIndex(of: 0x0a)) + 1
        for kept in [last, last + 1, text.count - 2] {
            var ledger = Ledger()
            let part = text[..<kept] + [UInt8](repeating: 0, count: text.count - kept)
            #expect(try ledger.readWhole(part) == .unfinished(text.count - last))
        }
    }

    @Test(
        "of something else is refused, be it a line or the beginning of one",
        arguments: ["hello", "hello\n", "\n", "kex-state 1\n", "kex-ledger1\n", "networks:\n  acme:\n"]
    )
    func otherFiles(text: String) {
        var ledger = Ledger()
        #expect(throws: LedgerDamage(line: 1, .isNoLedger)) { _ = try ledger.readWhole(text.utf8) }
    }

    @Test("of another format says so")
    func otherFormat() {
        let header = "kex-ledger 2"
        var ledger = Ledger()
        #expect(throws: LedgerDamage(line: 1, .hasOtherFormat("2"))) {
            _ = try ledger.readWhole("\(header) \(LineHash(of: header.utf8))\n".utf8)
        }
    }

    @Test(
        "with a line that is whole and says nothing is refused",
        arguments: [
            "take", "take tag acme cellar 7", "take port acme cellar 0", "take port acme cellar 016402",
            "take port acme cellar 65536", "take port acme Cellar 16402", "take port acme cellar 16402 leg 0",
            "take port acme cellar 16402 leg 16", "take port acme cellar 16402 until 2026-12-29T06:30:00Z",
            "take prefix acme cellar 2001:db8:0:12::/64", "take prefix acme cellar 2001:db8:0:12::/63 of 2001:db8::/32",
            "take prefix acme cellar 2001:db8:0:12::/64 of 2001:db8:0:20::/60",
            "take prefix acme cellar 2001:db8:0:12::/64 of 2001:db8::/31",
            "take prefix acme cellar 2001:db8:0:12::/64 of 2001:db8:0:12::/63",
            "take prefix acme cellar 2001:db8:0:12::/64 of 2001:db8:0:11::/60",
            "take prefix acme cellar 2001:DB8:0:12::/64 of 2001:db8:0:10::/60",
            "give port acme cellar 16402", "give port acme cellar 16402 until 2026-12-29",
            "join", "join x", "take relay acme farm 16402",
        ]
    )
    func malformed(action: String) {
        let words = "2026-11-29T06:30:00Z \(action) \(Ledger.root)"
        let header = "\(LedgerLine.header) \(Ledger.root)\n"
        var ledger = Ledger()
        #expect(throws: LedgerDamage(line: 2, .isNoLine)) {
            _ = try ledger.readWhole("\(header)\(words) \(LineHash(of: words.utf8))\n".utf8)
        }
    }

    @Test("has nodes that are called like words of a line")
    func words() throws {
        var ledger = Ledger()
        let allocation = Sample.allocation("2001:db8:0:10::/60")
        for name in ["of/of", "until/leg", "take/until", "leg/prefix"] {
            let member = Sample.member(name)
            _ = try ledger.prefix(for: member, from: [allocation], at: Sample.start)
            _ = try ledger.port(for: member, at: Sample.node(member.node.text), wanted: 16384, at: Sample.start)
            _ = try ledger.relay(to: member, at: NodeName("until")!, wanted: 16384, at: Sample.start)
            _ = ledger.release(member, at: Sample.start)
        }
        #expect(try Sample.ledger(ledger.unwritten).lineCount == ledger.lineCount)
    }

    @Test("has lines shorter than the limit, and none longer is read")
    func lineLength() throws {
        let name = String(repeating: "x", count: TenantNameRule.maximumLength)
        let member = Sample.member("\(name)/\(name)")
        let line = LedgerLine(
            time: .latest,
            action: .give(.relay(65535, exit: member.node, member), until: .latest),
            before: Ledger.root
        )
        #expect(line.text.utf8.count < LedgerLine.maximumLength)
        #expect(try LedgerLine.parse(Array(line.text.utf8)[...]).0 == line)
        // A whole line of one byte less than the limit is one that says nothing; a longer one is not looked at.
        for (length, mistake) in [(511, LedgerLine.Mistake.isNoLine), (512, .isDamaged)] {
            let words = String(repeating: "x", count: length - LineHash.length - 1)
            #expect(throws: mistake) { try LedgerLine.parse(Array("\(words) \(LineHash(of: words.utf8))".utf8)[...]) }
        }
        let header = "\(LedgerLine.header) \(Ledger.root)\n"
        var ledger = Ledger()
        #expect(try ledger.readWhole((header + String(repeating: "x", count: 511)).utf8) == .unfinished(511))
        var other = Ledger()
        #expect(throws: LedgerDamage(line: 2, .isDamaged)) {
            _ = try other.readWhole((header + String(repeating: "x", count: 512)).utf8)
        }
    }
}

@Suite("Times in a ledger") struct LedgerTimeTests {
    /// Made with: date -u -d @SECONDS +%FT%TZ
    @Test(
        "are what date(1) says",
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (951_782_399, "2000-02-28T23:59:59Z"), (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"), (1_709_164_800, "2024-02-29T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"), (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_795_933_800, "2026-11-29T06:30:00Z"), (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] as [(Int64, String)]
    )
    func vectors(seconds: Int64, text: String) {
        #expect(LedgerTime(seconds: seconds).description == text)
        #expect(LedgerTime(text)?.seconds == seconds)
    }

    @Test("have one text each, through four hundred years of days")
    func days() throws {
        var last = ""
        for day in 0..<Int64(146_097) {
            let time = LedgerTime(seconds: day * 86400 + day % 86400)
            #expect(LedgerTime(time.description) == time && last < time.description)
            last = time.description
        }
    }

    @Test(
        "are not read in another form",
        arguments: [
            "", "2026-11-29", "2026-11-29T06:30:00", "2026-11-29 06:30:00Z", "2026-11-29T06:30:00z",
            "2026-11-31T06:30:00Z", "2025-02-29T00:00:00Z", "2026-00-10T00:00:00Z", "2026-13-10T00:00:00Z",
            "2026-11-00T00:00:00Z", "2026-11-29T24:00:00Z", "2026-11-29T23:60:00Z", "2026-11-29T23:59:60Z",
            "1969-12-31T23:59:59Z", "2026-11-29T06:30:0xZ", "+026-11-29T06:30:00Z",
        ]
    )
    func malformed(text: String) { #expect(LedgerTime(text) == nil) }

    @Test("end where their text does")
    func ends() {
        #expect(LedgerTime(seconds: -1).seconds == 0)
        #expect(LedgerTime(seconds: .max) == .latest)
        #expect(LedgerTime.latest + .seconds(1) == .latest)
        #expect(LedgerTime.latest + .seconds(Int64.max) == .latest)
        #expect(LedgerTime(seconds: 5) + .seconds(-6) == LedgerTime(seconds: 0))
    }
}
