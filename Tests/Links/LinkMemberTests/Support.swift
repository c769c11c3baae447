import LinkFacts
import LinkMessages
import NetworkAddresses
public import Time
import WireGuardTypes

@testable import LinkMember

extension MonotonicTime: ExpressibleByIntegerLiteral {
    /// Seconds.
    public init(integerLiteral seconds: UInt64) { self.init(nanoseconds: seconds * 1_000_000_000) }
}

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
}

/// The key of machine `number`, in the order of the numbers.
func key(_ number: Int) -> PublicKey {
    var bytes = [UInt8](repeating: 7, count: PublicKey.length)
    bytes[0] = UInt8(truncatingIfNeeded: number >> 16)
    bytes[1] = UInt8(truncatingIfNeeded: number >> 8)
    bytes[2] = UInt8(truncatingIfNeeded: number)
    return PublicKey(bytes: bytes.span)!
}

func prefix(_ text: String) -> IPPrefix { IPPrefix(text)! }
func endpoint(_ text: String) -> Endpoint { Endpoint(text)! }

extension Fact {
    init(_ subject: PublicKey, _ statement: Statement, _ seconds: UInt16 = 255) {
        self.init(subject: subject, statement, timeToLive: TimeToLive(seconds: seconds))
    }
}

extension Fact.Statement {
    static func at(_ text: String) -> Self { .endpoint(LinkMemberTests.endpoint(text)) }
    static func from(_ text: String) -> Self { .allowedIP(LinkMemberTests.prefix(text)) }
    static func boot(_ number: UInt8) -> Self { .alive(BootID(bytes: [UInt8](repeating: number, count: 16))!) }
    static var member: Self { .member(MemberMetadata()) }
    static func member(_ name: String, isBasic: Bool? = nil) -> Self {
        .member((try? MemberMetadata(name: name, isBasic: isBasic))!)
    }
}

func underlay(_ text: String, on interface: String = "eth0") -> UnderlayAddress {
    UnderlayAddress(interface: InterfaceName(interface)!, address: prefix(text))
}

/// Tests begin long after the machine was started, so that there is a past.
let beginning: MonotonicTime = 1_000_000
let wallClock: Int64 = 1_700_000_000
