import Netlink
package import SystemPackage

/// A kernel that records what it is asked and answers from a script.
package final class ScriptedKernel: NetlinkTransport {
    package enum Step: Sendable {
        case datagram([UInt8])
        case failure(Errno)
    }

    /// The port that all answers are for, unless a test wants another.
    package static let port: UInt32 = 7

    package private(set) var requests: [[UInt8]] = []
    private var steps: [Step]

    package init(_ steps: [Step]) { self.steps = steps }

    package var port: UInt32 { Self.port }
    package var isFinished: Bool { steps.isEmpty }

    package func send(_ bytes: [UInt8]) { requests.append(bytes) }

    package func receive(into buffer: inout [UInt8]) throws(Errno) -> Int {
        guard !steps.isEmpty else { throw .resourceTemporarilyUnavailable }
        switch steps.removeFirst() {
        case .failure(let error): throw error
        case .datagram(let bytes):
            guard bytes.count <= buffer.count else { throw .noSpace }
            buffer.replaceSubrange(0..<bytes.count, with: bytes)
            return bytes.count
        }
    }
}

/// One netlink message as the kernel sends it. All numbers are in the byte order of this machine.
package func message(
    type: UInt16,
    flags: UInt16 = 0,
    sequence: UInt32,
    port: UInt32 = ScriptedKernel.port,
    _ payload: [UInt8] = []
) -> [UInt8] {
    hostOrder(UInt32(16 + payload.count)) + hostOrder(type) + hostOrder(flags) + hostOrder(sequence) + hostOrder(port)
        + payload
}

/// NLMSG_ERROR: an acknowledgement, or with an errno a refusal. `text` comes as NLMSGERR_ATTR_MSG.
package func acknowledgement(sequence: UInt32, errno: Int32 = 0, text: String? = nil) -> [UInt8] {
    let request = [UInt8](repeating: 0, count: 16)
    let words = text.map { attribute(1, Array($0.utf8) + [0]) } ?? []
    return message(type: 2, flags: text == nil ? 0x100 : 0x300, sequence: sequence, hostOrder(-errno) + request + words)
}

/// NLMSG_DONE, the end of a dump.
package func done(sequence: UInt32, flags: UInt16 = 2, errno: Int32 = 0) -> [UInt8] {
    message(type: 3, flags: flags, sequence: sequence, hostOrder(-errno))
}

/// One attribute with its padding.
package func attribute(_ type: UInt16, _ payload: [UInt8]) -> [UInt8] {
    hostOrder(UInt16(4 + payload.count)) + hostOrder(type) + payload
        + [UInt8](repeating: 0, count: -payload.count & 3)
}

package func hostOrder(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value) { Array($0) }
}

/// Bytes written as hexadecimal pairs; what follows a semicolon in a line is a comment.
package func hex(_ text: String) -> [UInt8] {
    text.split(separator: "\n").flatMap { line in
        line.prefix { $0 != ";" }.split(separator: " ").map { pair in
            guard pair.count == 2, let byte = UInt8(pair, radix: 16) else { fatalError("not a byte: \(pair)") }
            return byte
        }
    }
}
