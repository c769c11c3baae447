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

    /// Gives the first `count` bytes to `parser`.
    func feed(_ count: Int, to parser: inout ExchangeParser, domains: KnownDomains) -> ExchangeParser.Progress {
        parser.receive(bytes.span.extracting(0..<count), domains: domains)
    }
}
