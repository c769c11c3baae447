import LinkFacts
import Testing
import WireGuardTypes

@Suite("Metadata of members") struct MetadataTests {
    private static let header = fromHex("4d00" + String(repeating: "11", count: 32))
    private static let key = PublicKey(hexadecimal: String(repeating: "11", count: 32))

    private func encoded(_ metadata: MemberMetadata) -> [UInt8] {
        Array(Fact(Self.key, .member(metadata), 0).encoded.dropFirst(Self.header.count))
    }

    private func read(_ value: [UInt8]) throws -> MemberMetadata {
        let facts = try Fact.facts(in: Self.header + value)
        guard facts.count == 1, case .member(let metadata) = facts[0].statement else {
            throw MalformedMetadata.short
        }
        return metadata
    }

    private func reason(_ value: [UInt8]) -> MalformedMetadata? {
        do throws(MalformedFact) {
            _ = try Fact.facts(in: Self.header + value)
            return nil
        } catch {
            if case .metadata(let reason) = error { return reason }
            Issue.record("\(error)")
            return nil
        }
    }

    @Test("has the bytes of the field, the name first and then by attribute")
    func forms() throws {
        let forms: [(MemberMetadata, String)] = [
            (MemberMetadata(), "00"),
            (try MemberMetadata(name: ""), "026e00"),
            (try MemberMetadata(name: "fred"), "066e0466726564"),
            (try MemberMetadata(name: "fred", other: [0x7a: [1, 2]]), "0a6e04667265647a020102"),
            (try MemberMetadata(isBasic: true), "03620101"),
            (try MemberMetadata(name: "alpha", isBasic: false), "0a6e05616c706861620100"),
            (
                try MemberMetadata(name: "x", isBasic: true, other: [0x61: [], 0xff: [0]]),
                "0b6e0178610062" + "0101ff0100"
            ),
        ]
        for (metadata, text) in forms {
            #expect(hexadecimal(encoded(metadata)) == text)
            #expect(try read(fromHex(text)) == metadata)
        }
    }

    @Test("is the same in whatever order it was written, and is written in one")
    func order() throws {
        let value = fromHex("0c" + "7a0101" + "620100" + "610166" + "6e0178")
        let metadata = try read(value)
        #expect(metadata == (try MemberMetadata(name: "x", isBasic: false, other: [0x61: [0x66], 0x7a: [1]])))
        #expect(hexadecimal(encoded(metadata)) == "0c" + "6e0178" + "610166" + "620100" + "7a0101")
    }

    @Test("keeps what it does not know, and relays it as it came")
    func unknown() throws {
        let text = "0c6e01787a03010203b10200ff"
        let metadata = try read(fromHex(text))
        #expect(metadata.name == "x")
        #expect(metadata.isBasic == nil)
        #expect(metadata.other == [0x7a: [1, 2, 3], 0xb1: [0, 0xff]])
        #expect(hexadecimal(encoded(metadata)) == text)
    }

    @Test("tells names apart that only look alike")
    func names() throws {
        let (composed, decomposed) = (try MemberMetadata(name: "\u{eb}"), try MemberMetadata(name: "e\u{308}"))
        #expect(composed.name == decomposed.name)
        #expect(composed != decomposed)
        #expect(hexadecimal(encoded(decomposed)) == "056e0365cc88")
    }

    @Test("may have lengths in more bytes than needed")
    func longLengths() throws {
        #expect(try read(fromHex("8000")) == MemberMetadata())
        #expect(try read(fromHex("848000" + "6e810078")) == (try MemberMetadata(name: "x")))
        #expect(hexadecimal(encoded(try read(fromHex("84006e810078")))) == "036e0178")
    }

    @Test("that is malformed is refused with the reason")
    func malformed() {
        let forms: [(String, MalformedMetadata)] = [
            ("", .short), ("80", .short),
            // More than there is
            ("01", .length(1)), ("066e04667265", .length(6)), ("ff01", .length(255)),
            // More than the field takes: 1 MiB and a byte; and more than any number
            ("81804000", .length(1_048_577)), ("ffffffffffffffffffff01", .length(.max)),
            ("016e", .attributeLength(0x6e)), ("026e80", .attributeLength(0x6e)),
            ("056e0466726564", .attributeOverrun(0x6e, 4)),
            ("026e01", .attributeOverrun(0x6e, 1)),
            ("0b6effffffffffffffffff01", .attributeOverrun(0x6e, .max)),
            ("066e01786e0178", .duplicateAttribute(0x6e)), ("047a007a00", .duplicateAttribute(0x7a)),
            ("036e01ff", .name), ("046e02c328", .name), ("056e03eda080", .name),
            ("026200", .basicFlag), ("0462020101", .basicFlag), ("03620102", .basicFlag), ("036201ff", .basicFlag),
        ]
        for (text, expected) in forms { #expect(reason(fromHex(text)) == expected, "\(text)") }
    }

    @Test("that is cut within its own length is refused everywhere but between attributes")
    func cut() {
        // The length says what is there, so only the attributes are cut.
        let whole = fromHex("6e0466726564" + "620101" + "7a020102")
        let ends = [0, 6, 9, 13]
        for count in 0...whole.count {
            let value = [UInt8(count)] + whole.prefix(count)
            #expect((reason(value) == nil) == ends.contains(count), "\(count) bytes")
        }
    }

    @Test("is as long as fits in a datagram, and no longer")
    func length() throws {
        let most = WireFormat.maximumMetadata - 3
        #expect(WireFormat.maximumMetadata == 2312)
        let longest = try MemberMetadata(other: [0x7a: [UInt8](repeating: 7, count: most)])
        let value = encoded(longest)
        #expect(value.count == WireFormat.maximumMetadata + 2)
        #expect(try read(value) == longest)
        #expect(throws: MalformedMetadata.length(2313)) {
            try MemberMetadata(other: [0x7a: [UInt8](repeating: 7, count: most + 1)])
        }
        #expect(reason(fromHex("8912") + [UInt8](repeating: 0, count: 2313)) == .length(2313))
        // It does fit, with a time to live of three bytes.
        var dice = Dice(seed: 2)
        let signer = Node.c.signer
        let fact = Fact(Self.key, .member(longest), 65535)
        let datagram = try signer.datagram(of: fact.encoded, for: Node.a.publicKey, using: &dice)
        #expect(datagram.count == WireFormat.maximumDatagram)
        let receiver = Node.a.signer
        #expect(try receiver.facts(in: datagram.span, from: Node.c.address).facts == [fact])
    }

    @Test("is checked when it is made, too")
    func made() {
        #expect(throws: MalformedMetadata.basicFlag) { try MemberMetadata(other: [0x62: [2]]) }
        #expect(throws: MalformedMetadata.name) { try MemberMetadata(other: [0x6e: [0xff]]) }
    }
}
