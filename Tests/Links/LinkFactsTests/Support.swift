import Keys
import LinkFacts
import NetworkAddresses
public import Time
import WireGuardTypes

/// Bytes of hexadecimal text.
func fromHex(_ text: String) -> [UInt8] {
    let digits = text.map { UInt8($0.hexDigitValue!) }
    precondition(digits.count.isMultiple(of: 2))
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

extension MonotonicTime: ExpressibleByIntegerLiteral {
    /// Seconds.
    public init(integerLiteral seconds: UInt64) { self.init(nanoseconds: seconds * 1_000_000_000) }
}

extension PublicKey {
    init(hexadecimal text: String) {
        let bytes = fromHex(text)
        self.init(bytes: bytes.span)!
    }
}

extension Fact {
    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return bytes
    }

    init(_ subject: PublicKey, _ statement: Statement, _ seconds: UInt16 = 255) {
        self.init(subject: subject, statement, timeToLive: TimeToLive(seconds: seconds))
    }
}

extension GroupSigner {
    init(_ key: PrivateKey, knowing others: [PublicKey]) {
        self.init(publicKey: key.publicKey)
        for other in others { add((try? key.sharedSecret(with: other))!, of: other) }
    }
}

/// The three machines of the vectors: C is a router, the others are leaves.
struct Node {
    let privateKey: PrivateKey
    let publicKey: PublicKey
    let address: IPv6Address

    private init(_ secret: String, _ known: String, _ address: String) {
        privateKey = PrivateKey(bytes: fromHex(secret))!
        publicKey = PublicKey(hexadecimal: known)
        self.address = IPv6Address(address)!
    }

    /// Knows the other two, and itself.
    var signer: GroupSigner { GroupSigner(privateKey, knowing: [Node.a, .b, .c].map(\.publicKey)) }

    static let c = Node(
        "a86a0b97d338e0746108484020433afbea82e017a440671b336f626dcb35fb63",
        "57bd578e388f87d0bc39e7ddc7bd60a2f9c2a0cbc97275f3e40abbd37ab95227",
        "fe80::98f:8bc1:9fb9:5d9f"
    )
    static let a = Node(
        "20d247dcdc7e3c3268f52e850b920f999ced62dbb369c98e1953e13e2acece5c",
        "f2aacb8df2214712be30552a920242493a7870ca3b22d2851838d95352533707",
        "fe80::ffd9:c600:ced5:fec6"
    )
    static let b = Node(
        "905422f4b69dcd99e3ab0f8977c3ec32ec48a3df5bb002bbd120c4e01d5de861",
        "981c0bfe27eaa7ba3df2813380be9e509c07fa4e9a1ffc9fb11b75bb5bb36345",
        "fe80::f0ae:de4f:6372:8db0"
    )
}

/// Facts as the field writes them, with their bytes.
let vectors: [(fact: Fact, bytes: [UInt8])] = {
    let (c, a) = (Node.c.publicKey, Node.a.publicKey)
    let boot = BootID(bytes: fromHex("00112233445566778899aabbccddeeff"))!
    let (ofC, ofA) = (hexadecimal(c.bytes), hexadecimal(a.bytes))
    return [
        (Fact(c, .alive(boot)), fromHex("21ff01" + ofC + "00112233445566778899aabbccddeeff")),
        (Fact(c, .endpoint(Endpoint("203.0.113.9:51820")!)), fromHex("65ff01" + ofC + "cb007109ca6c")),
        (
            Fact(c, .endpoint(Endpoint("[2001:db8::9]:51820")!), 300),
            fromHex("45ac02" + ofC + "20010db8000000000000000000000009ca6c")
        ),
        (Fact(c, .allowedIP(IPPrefix("192.168.77.0/24")!), 127), fromHex("617f" + ofC + "c0a84d0018")),
        (
            Fact(c, .allowedIP(IPPrefix("fd00:77::/64")!), 128),
            fromHex("418001" + ofC + "fd00007700000000000000000000000040")
        ),
        (Fact(a, .plainMember, 0), fromHex("6d00" + ofA)),
        (
            Fact(a, .member((try? MemberMetadata(name: "alpha", isBasic: false))!), 65535),
            fromHex("4dffff03" + ofA + "0a6e05616c706861620100")
        ),
        (
            Fact(subject: a, .member(MemberMetadata()), timeToLive: TimeToLive(clamping: 70000)),
            fromHex("4dffff03" + ofA + "00")
        ),
    ]
}()

/// Knuth's linear congruential generator (The Art of Computer Programming, volume 2, section 3.3.4), upper half: the
/// same in each run.
struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 { UInt64(roll()) << 32 | UInt64(roll()) }

    private mutating func roll() -> UInt32 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt32(truncatingIfNeeded: state >> 32)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &self) }
    }

    mutating func key() -> PublicKey {
        let bytes = bytes(PublicKey.length)
        return PublicKey(bytes: bytes.span)!
    }

    mutating func pair() -> PrivateKey { PrivateKey(bytes: bytes(PublicKey.length))! }

    mutating func fact() -> Fact {
        let statement: Fact.Statement
        switch Int.random(in: 0..<7, using: &self) {
        case 0: statement = .alive(BootID(bytes: bytes(BootID.length))!)
        case 1: statement = .endpoint(.v4(IPv4Address(bytes: bytes(4))!, port: .random(in: 0...65535, using: &self)))
        case 2: statement = .endpoint(.v6(v6(), port: .random(in: 0...65535, using: &self)))
        case 3:
            let length = UInt8.random(in: 0...32, using: &self)
            statement = .allowedIP(IPPrefix(.v4(IPv4Address(bytes: bytes(4))!), length: length)!)
        case 4: statement = .allowedIP(IPPrefix(.v6(v6()), length: .random(in: 0...128, using: &self))!)
        case 5: statement = .plainMember
        default:
            var other: [UInt8: [UInt8]] = [:]
            for _ in 0..<Int.random(in: 0...3, using: &self) {
                other[.random(in: 128...255, using: &self)] = bytes(.random(in: 0...300, using: &self))
            }
            let name = [nil, "", "fred", "zoë"].randomElement(using: &self)!
            let isBasic = [nil, true, false].randomElement(using: &self)!
            statement = .member((try? MemberMetadata(name: name, isBasic: isBasic, other: other))!)
        }
        let seconds: [UInt16] = [0, 1, 127, 128, 255, 16383, 16384, 65535]
        return Fact(key(), statement, seconds.randomElement(using: &self)!)
    }

    private mutating func v6() -> IPv6Address { IPv6Address(bytes: [0x20] + bytes(15))! }
}

/// Gives the numbers that it is made with.
struct Loaded: RandomNumberGenerator {
    private var words: [UInt64]

    init(nonce: some Sequence<UInt8>) {
        let bytes = Array(nonce)
        words = stride(from: 0, to: bytes.count, by: 8).map { start in
            bytes[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) }
        }
    }

    mutating func next() -> UInt64 { words.removeFirst() }
}
