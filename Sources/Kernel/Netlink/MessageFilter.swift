internal import CMNL

/// Which messages a ``NetlinkSubscription`` gets: a program that the kernel runs on each message before it takes room
/// in the socket's buffer. A message has to pass every test. One that is too short for a test does not pass.
///
/// Positions are in bytes from the start of the message, and values are the bytes in their order. Source: classic BPF
/// of `Documentation/networking/filter.rst`; an unprivileged process may attach one (SO_ATTACH_FILTER of socket(7)).
public struct MessageFilter: Hashable, Sendable {
    /// `struct sock_filter`, which has no equality.
    struct Instruction: Hashable, Sendable {
        let code: UInt16
        let ifTrue: UInt8
        let ifFalse: UInt8
        let operand: UInt32
    }

    /// Most instructions of a program. Source: BPF_MAXINSNS of `linux/bpf_common.h`.
    public static let maximumLength = 4096

    private var tests: [Instruction] = []

    /// Lets everything pass.
    public init() {}

    /// Lets pass what has this byte there.
    public mutating func require(byte: UInt8, at position: Int) {
        load(BPF_B, position)
        tests.append(jump(BPF_JEQ, UInt32(byte), ifTrue: 1, ifFalse: 0))
        tests.append(Self.drop)
    }

    /// Lets pass what has one of these bits set in a byte.
    public mutating func require(anyBitOf mask: UInt8, at position: Int) {
        load(BPF_B, position)
        tests.append(jump(BPF_JSET, UInt32(mask), ifTrue: 1, ifFalse: 0))
        tests.append(Self.drop)
    }

    /// Lets pass what has one of these bits set in a number of 16 bits, in the byte order of this machine.
    public mutating func require(anyBitOf mask: UInt16, at position: Int) {
        load(BPF_H, position)
        tests.append(jump(BPF_JSET, UInt32(mask.bigEndian), ifTrue: 1, ifFalse: 0))
        tests.append(Self.drop)
    }

    /// Lets pass what has this number of 16 bits there, in the byte order of this machine.
    public mutating func require(number: UInt16, at position: Int) {
        load(BPF_H, position)
        tests.append(jump(BPF_JEQ, UInt32(number.bigEndian), ifTrue: 1, ifFalse: 0))
        tests.append(Self.drop)
    }

    /// Stops what has these eight bytes there.
    public mutating func reject(_ bytes: UInt64, at position: Int) {
        load(BPF_W, position + 4)
        tests.append(jump(BPF_JEQ, UInt32(truncatingIfNeeded: bytes), ifTrue: 0, ifFalse: 3))
        load(BPF_W, position)
        tests.append(jump(BPF_JEQ, UInt32(truncatingIfNeeded: bytes >> 32), ifTrue: 0, ifFalse: 1))
        tests.append(Self.drop)
    }

    /// The whole program.
    var program: [Instruction] { tests + [Self.pass] }

    private mutating func load(_ size: Int32, _ position: Int) {
        tests.append(
            Instruction(code: UInt16(BPF_LD | size | BPF_ABS), ifTrue: 0, ifFalse: 0, operand: UInt32(position))
        )
    }

    private func jump(_ condition: Int32, _ operand: UInt32, ifTrue: UInt8, ifFalse: UInt8) -> Instruction {
        Instruction(code: UInt16(BPF_JMP | condition | BPF_K), ifTrue: ifTrue, ifFalse: ifFalse, operand: operand)
    }

    private static let drop = Instruction(code: UInt16(BPF_RET | BPF_K), ifTrue: 0, ifFalse: 0, operand: 0)
    private static let pass = Instruction(code: UInt16(BPF_RET | BPF_K), ifTrue: 0, ifFalse: 0, operand: .max)
}
