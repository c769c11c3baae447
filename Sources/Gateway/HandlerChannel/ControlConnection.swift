internal import PacketChannel
public import SystemCalls
internal import Time

/// A connection of an operator's program to `kex-handler`. It waits for each answer.
public struct ControlConnection: ~Copyable {
    /// Longest silence of a working handler. Userspace WireGuard takes up to a tenth of a second to list 10,000 peers
    /// (measured), and a domain that does not answer costs ten seconds.
    public static let patience = Duration.seconds(30)

    private let path: String
    private let connection: PacketConnection

    /// Why the handler could not be asked, or did not finish its answer.
    public enum Failure: Error, CustomStringConvertible {
        case socket(SystemCallError)
        case malformed(MalformedFrame)
        /// It closed the connection. The usual reason is that this user may not ask.
        case closed(path: String)
        case silent(path: String)

        public var description: String {
            switch self {
            case .socket(let error): "\(error)"
            case .malformed(let error): "the handler sent a malformed \(error)"
            case .closed(let path): "the handler closed \(path): see its log for the reason"
            case .silent(let path): "no answer on \(path) within \(ControlConnection.patience.components.seconds) s"
            }
        }
    }

    public init(path: String) throws(SystemCallError) {
        self.path = path
        connection = try PacketConnection(connectingTo: path, limit: ChannelLimit.frameSize)
    }

    /// Asks for a sweep and passes on what the handler reports, up to and without the end of all.
    ///
    /// - Parameter requests: 1 to ``ChannelLimit/records``.
    public func sweep(_ requests: [SweepRequest], _ take: (SweepReport) -> Void) throws(Failure) {
        var packet: [UInt8] = []
        ControlFrame.encode(requests, into: &packet)
        try send(packet)
        while true {
            let packet = try receive()
            let report: SweepReport
            do throws(MalformedFrame) {
                report = try ControlFrame.report(in: packet.span)
            } catch {
                throw .malformed(error)
            }
            if case .end(let end) = report, end.domain == nil { return }
            take(report)
        }
    }

    private func send(_ packet: [UInt8]) throws(Failure) {
        // A fresh connection has room for one packet.
        let isSent = try named { () throws(SystemCallError) in try connection.send(packet) }
        guard isSent else { throw .silent(path: path) }
    }

    private func receive() throws(Failure) -> ArraySlice<UInt8> {
        let hasCome = try named { () throws(SystemCallError) in
            try connection.wait(for: .readable, until: .now + Self.patience)
        }
        guard hasCome else { throw .silent(path: path) }
        let packet = try named { () throws(SystemCallError) in try connection.receive() }
        guard let packet, !packet.isEmpty else { throw .closed(path: path) }
        return packet
    }

    /// Runs `call` and gives its error the meaning that it has here.
    private func named<Result>(_ call: () throws(SystemCallError) -> Result) throws(Failure) -> Result {
        do throws(SystemCallError) {
            return try call()
        } catch {
            throw error.isPeerGone ? .closed(path: path) : .socket(error)
        }
    }
}
