internal import Glibc

/// Bytes that must not be seen: they are overwritten when nobody needs them any more, and nothing prints them.
///
/// They lie in memory of their own, so that no copy stays behind when an array grows or moves.
@safe public final class SecretBytes: @unchecked Sendable {
    // `@unchecked`, because nobody writes to the memory after ``init(_:)``.
    private let memory: UnsafeMutablePointer<UInt8>
    public let count: Int

    /// Copies `bytes`. Whoever has them overwrites his own with ``wipe(_:)``.
    public init(_ bytes: some Collection<UInt8>) {
        count = bytes.count
        unsafe memory = .allocate(capacity: count)
        for (index, byte) in bytes.enumerated() { unsafe (memory + index).initialize(to: byte) }
    }

    deinit {
        unsafe explicit_bzero(memory, count)
        unsafe memory.deallocate()
    }

    /// Lends the ``count`` bytes.
    public func withBytes<Result>(_ body: (UnsafePointer<UInt8>) -> Result) -> Result {
        unsafe body(UnsafePointer(memory))
    }

    /// A copy, to be overwritten by whoever takes it.
    public var copy: [UInt8] { unsafe Array(UnsafeBufferPointer(start: memory, count: count)) }

    /// Overwrites bytes. The compiler does not leave it out.
    public static func wipe(_ bytes: inout [UInt8]) {
        unsafe bytes.withUnsafeMutableBytes { bytes in
            if let start = bytes.baseAddress { unsafe explicit_bzero(start, bytes.count) }
        }
    }
}

extension SecretBytes: Hashable {
    /// Takes the same time wherever the difference is.
    public static func == (left: SecretBytes, right: SecretBytes) -> Bool {
        guard left.count == right.count else { return false }
        return (0..<left.count).reduce(UInt8(0)) { unsafe $0 | left.memory[$1] ^ right.memory[$1] } == 0
    }

    public func hash(into hasher: inout Hasher) {
        unsafe hasher.combine(bytes: UnsafeRawBufferPointer(start: memory, count: count))
    }
}

extension SecretBytes: Secret {}
