internal import CLinux
internal import Glibc
public import SystemPackage

/// A program that the kernel runs on each packet before it takes room in a socket's buffer. Source: classic BPF of
/// `Documentation/networking/filter.rst`.
public struct SocketFilter: Hashable, Sendable {
    /// `struct sock_filter`, which has no equality.
    public struct Instruction: Hashable, Sendable {
        public let code: UInt16
        public let ifTrue: UInt8
        public let ifFalse: UInt8
        public let operand: UInt32

        public init(code: UInt16, ifTrue: UInt8 = 0, ifFalse: UInt8 = 0, operand: UInt32 = 0) {
            (self.code, self.ifTrue, self.ifFalse, self.operand) = (code, ifTrue, ifFalse, operand)
        }
    }

    public let instructions: [Instruction]

    /// - Parameter instructions: at most 4,096. Source: BPF_MAXINSNS of `linux/bpf_common.h`.
    public init(_ instructions: [Instruction]) { self.instructions = instructions }

    /// Gives a socket this filter for as long as it lives: whoever gets the descriptor cannot take it away. What has
    /// come before stays.
    ///
    /// Source: SO_ATTACH_FILTER and SO_LOCK_FILTER of socket(7).
    public func attach(to descriptor: FileDescriptor) throws(SystemCallError) {
        var instructions = instructions.map {
            sock_filter(code: $0.code, jt: $0.ifTrue, jf: $0.ifFalse, k: $0.operand)
        }
        let count = UInt16(instructions.count)
        _ = try check("attach a filter to", "descriptor \(descriptor.rawValue)") {
            unsafe instructions.withUnsafeMutableBufferPointer { instructions in
                var program = unsafe sock_fprog(len: count, filter: instructions.baseAddress)
                let size = unsafe socklen_t(MemoryLayout<sock_fprog>.size)
                return unsafe Int(setsockopt(descriptor.rawValue, SOL_SOCKET, SO_ATTACH_FILTER, &program, size))
            }
        }
        try Socket.set(SOL_SOCKET, SO_LOCK_FILTER, to: Int32(1), of: descriptor)
    }
}
