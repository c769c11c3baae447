internal import KexProtocol
internal import SystemCalls
internal import SystemPackage

/// Room for the bytes of one receive of an exchange, used again for the next.
struct ExchangeBuffer {
    private var bytes: [UInt8]

    /// - Parameter size: in bytes.
    init(size: Int) { bytes = [UInt8](repeating: 0, count: size) }

    /// Receives what is there, without waiting.
    mutating func receive(from descriptor: FileDescriptor) throws(SystemCallError) -> Socket.Received {
        try Socket.receive(from: descriptor, into: &bytes)
    }

    /// Copies what is there, and leaves it there.
    mutating func peek(from descriptor: FileDescriptor) throws(SystemCallError) -> Socket.Received {
        try Socket.peek(from: descriptor, into: &bytes)
    }

    /// Takes away this many of the bytes that were peeked at. Bytes that came behind them stay.
    mutating func discard(_ count: Int, from descriptor: FileDescriptor) throws(SystemCallError) {
        var span = bytes.mutableSpan
        var all = unsafe span.mutableBytes
        var part = all._mutatingExtracting(first: count)
        _ = try Socket.receive(from: descriptor, into: &part)
    }

    /// Whether as much was received as there is room for, so that more may be there.
    func isFull(_ count: Int) -> Bool { count == bytes.count }

    /// Gives the first `count` bytes to `parser`.
    func feed(_ count: Int, to parser: inout ExchangeParser, domains: KnownDomains) -> ExchangeParser.Progress {
        parser.receive(bytes.span.extracting(0..<count), domains: domains)
    }
}
