import LinkFacts
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@Suite("Facts") struct FactTests {
    @Test("Each has the bytes that the field writes, and is read from them", arguments: vectors.indices)
    func vector(index: Int) throws {
        let (fact, bytes) = vectors[index]
        #expect(fact.encoded == bytes)
        #expect(fact.encodedLength == bytes.count)
        #expect(try Fact.facts(in: bytes) == [fact])
    }

    @Test("Lengths with a time to live of two bytes are those of the field")
    func lengths() {
        let boot = BootID(bytes: [UInt8](repeating: 0, count: 16))!
        let statements: [(Fact.Statement, Int)] = [
            (.alive(boot), 51), (.endpoint(Endpoint("192.0.2.1:1")!), 41), (.endpoint(Endpoint("[::1]:1")!), 53),
            (.allowedIP(IPPrefix("0.0.0.0/0")!), 40), (.allowedIP(IPPrefix("::/0")!), 52), (.plainMember, 35),
            (.member(MemberMetadata()), 36),
        ]
        for (statement, length) in statements {
            let fact = Fact(Node.a.publicKey, statement)
            #expect(fact.encodedLength == length)
            #expect(fact.encoded.count == length)
        }
    }

    @Test("Several are read one behind another, and none from nothing")
    func several() throws {
        #expect(try Fact.facts(in: vectors.flatMap(\.bytes)) == vectors.map(\.fact))
        #expect(try Fact.facts(in: []) == [])
    }

    @Test("Random ones come back as they were")
    func roundTrip() throws {
        var dice = Dice(seed: 1)
        for _ in 0..<5000 {
            let fact = dice.fact()
            #expect(try Fact.facts(in: fact.encoded) == [fact])
            #expect(fact.encodedLength == fact.encoded.count)
        }
    }

    @Test("What is cut anywhere is refused for the part that is missing", arguments: vectors.indices)
    func cut(index: Int) {
        let bytes = vectors[index].bytes
        let number = bytes.dropFirst().firstIndex { $0 & 0x80 == 0 }!
        for count in 1..<bytes.count {
            let part: MalformedFact.Part = count <= number ? .timeToLive : count <= number + 32 ? .subject : .value
            let expected: [MalformedFact]
            if part == .value, bytes[0] == UInt8(ascii: "M") {
                let length = UInt64(bytes[number + 33])
                expected = [.metadata(.short), .metadata(.length(length))]
            } else {
                expected = [.short(part)]
            }
            do throws(MalformedFact) {
                _ = try Fact.facts(in: Array(bytes.prefix(count)))
                Issue.record("\(count) bytes are read")
            } catch {
                #expect(expected.contains(error), "\(count) bytes: \(error)")
            }
        }
    }

    private func reason(_ text: String) -> MalformedFact? {
        do throws(MalformedFact) {
            _ = try Fact.facts(in: fromHex(text))
            return nil
        } catch {
            return error
        }
    }

    private static let key = String(repeating: "11", count: 32)

    @Test("Attributes of nobody are refused, and what came before them")
    func attributes() {
        let known: Set<UInt8> = [0x00, 0x21, 0x65, 0x45, 0x61, 0x41, 0x6d, 0x4d, 0x53]
        for attribute in UInt8.min...UInt8.max where !known.contains(attribute) {
            #expect(reason(hexadecimal([attribute]) + "00" + Self.key) == .unknownAttribute(attribute))
        }
        #expect(reason("ff") == .unknownAttribute(0xff))
        #expect("\(MalformedFact.unknownAttribute(0xff))" == "unknown attribute 0xff")
        #expect(reason("00") == .legacyPing)
        #expect(reason("0000" + Self.key) == .legacyPing)
        #expect("\(MalformedFact.legacyPing)".contains("legacy"))
        #expect(reason("5300" + Self.key) == .nestedGroup)
        #expect(reason("6d00" + Self.key + "7a00" + Self.key) == .unknownAttribute(0x7a))
        #expect(reason("6d00" + Self.key + "6d") == .short(.timeToLive))
    }

    @Test("A time to live is at most 65535 s, in as many bytes as somebody likes")
    func timeToLive() throws {
        func seconds(_ number: String) throws -> UInt16? {
            try Fact.facts(in: fromHex("6d" + number + Self.key)).first?.timeToLive.seconds
        }
        #expect(try seconds("00") == 0)
        #expect(try seconds("7f") == 127)
        #expect(try seconds("8001") == 128)
        #expect(try seconds("ffff03") == 65535)
        // Longer than needed
        #expect(try seconds("8000") == 0)
        #expect(try seconds("ff8100") == 255)
        #expect(try seconds("ffff838000") == 65535)
        #expect(try seconds("81808080808080808000") == 1)
        let tooMuch: [(String, UInt64)] = [
            ("808004", 65536), ("ffff07", 131071), ("ffffffffffffffff7f", UInt64(Int64.max)),
            ("ffffffffffffffffff01", .max), ("ffffffffffffffffff02", .max), ("8080808080808080808000", .max),
            ("ffffffffffffffffffffff", .max),
        ]
        for (number, value) in tooMuch {
            #expect(reason("6d" + number + Self.key) == .timeToLive(value), "\(number)")
        }
        #expect("\(MalformedFact.timeToLive(65536))".contains("range"))
        #expect(reason("6d") == .short(.timeToLive))
        #expect(reason("6dff") == .short(.timeToLive))
    }

    @Test("Addresses of IPv4 in the form of IPv6, and prefixes that are too long, are refused")
    func addresses() throws {
        let mapped = "00000000000000000000ffffcb007109"
        let address = IPv6Address("::ffff:203.0.113.9")!
        #expect(reason("4500" + Self.key + mapped + "ca6c") == .mappedAddress(address))
        #expect(reason("4100" + Self.key + mapped + "80") == .mappedAddress(address))
        #expect(reason("6100" + Self.key + "c0a84d0021") == .prefixLength(33))
        #expect(reason("6100" + Self.key + "c0a84d00ff") == .prefixLength(255))
        #expect(reason("4100" + Self.key + "fd00007700000000000000000000000081") == .prefixLength(129))
        // What is behind the prefix stays.
        let fact = Fact(PublicKey(hexadecimal: Self.key), .allowedIP(IPPrefix("192.168.77.5/24")!), 0)
        #expect(try Fact.facts(in: fromHex("6100" + Self.key + "c0a84d0518")) == [fact])
        #expect(reason("6100" + Self.key + "c0a84d0020") == nil)
        #expect(reason("4100" + Self.key + "fd00007700000000000000000000000080") == nil)
    }

    @Test("What is said is in a form that receivers take")
    func normalized() throws {
        let key = Node.a.publicKey
        func said(_ statement: Fact.Statement) throws -> Fact.Statement {
            let fact = Fact(key, statement)
            #expect(try Fact.facts(in: fact.encoded) == [fact])
            return fact.statement
        }
        let mapped = IPv6Address("::ffff:192.0.2.1")!
        let v4 = IPv4Address("192.0.2.1")!
        let local = IPv6Address("fe80::1")!
        #expect(try said(.endpoint(.v6(mapped, port: 1))) == .endpoint(.v4(v4, port: 1)))
        #expect(try said(.endpoint(.v6(local, port: 1, scope: 3))) == .endpoint(.v6(local, port: 1)))
        for length in UInt8.min...128 {
            guard case .allowedIP(let prefix) = try said(.allowedIP(IPPrefix(.v6(mapped), length: length)!)) else {
                Issue.record("not an allowed IP")
                continue
            }
            if length >= 96 {
                #expect(prefix == IPPrefix(.v4(v4), length: length - 96))
            } else {
                #expect(prefix.length == length)
                #expect(prefix.contains(IPv6Address(high: 0, low: 0)) == (length <= 80))
            }
        }
        #expect(
            try said(.allowedIP(IPPrefix(.v6(mapped), length: 88)!))
                == .allowedIP(IPPrefix(.v6(IPv6Address("::ff00:0:0")!), length: 88)!)
        )
    }

    @Test("The key of a fact is all that it says but its time, and of the sign of life not even which start")
    func keys() {
        let (a, b) = (Node.a.publicKey, Node.b.publicKey)
        func boot(_ byte: UInt8) -> BootID { BootID(bytes: [UInt8](repeating: byte, count: 16))! }
        #expect(Fact(a, .alive(boot(1))).key == Fact(a, .alive(boot(2)), 7).key)
        #expect(Fact(a, .alive(boot(1))).key != Fact(b, .alive(boot(1))).key)
        #expect(Fact(a, .plainMember, 1).key == Fact(a, .plainMember, 2).key)
        #expect(Fact(a, .plainMember).key != Fact(a, .member(MemberMetadata())).key)
        #expect(
            Fact(a, .endpoint(Endpoint("192.0.2.1:1")!)).key != Fact(a, .endpoint(Endpoint("192.0.2.1:2")!)).key
        )
        #expect(
            Fact(a, .allowedIP(IPPrefix("192.0.2.1/24")!)).key != Fact(a, .allowedIP(IPPrefix("192.0.2.0/24")!)).key
        )
        #expect(Fact(a, .plainMember).key.subject == a)
    }
}

@Suite("Times to live") struct TimeToLiveTests {
    @Test("are cut to whole seconds and to what can be said")
    func rounding() {
        let now = MonotonicTime(sinceStart: .seconds(1_000_000))
        func left(_ time: Duration) -> UInt16 {
            TimeToLive(until: MonotonicTime(sinceStart: now.sinceStart + time), at: now).seconds
        }
        #expect(left(.seconds(255)) == 255)
        #expect(left(.milliseconds(254_999)) == 254)
        #expect(left(.milliseconds(1)) == 0)
        #expect(left(.zero) == 0)
        #expect(left(.milliseconds(-1)) == 0)
        #expect(left(.seconds(-1_000_000)) == 0)
        #expect(left(.seconds(65535)) == 65535)
        #expect(left(.seconds(65536)) == 65535)
        #expect(left(.seconds(1 << 32)) == 65535)
        #expect(TimeToLive(clamping: -1) == .none)
        #expect(TimeToLive(clamping: 65536).seconds == 65535)
    }

    @Test("begin when a fact is received")
    func expiry() {
        #expect(TimeToLive.usual.expiry(receivedAt: 1000) == 1255)
        #expect(TimeToLive.none.expiry(receivedAt: 1) == 1)
    }
}
