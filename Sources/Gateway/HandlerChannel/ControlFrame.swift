/// What the handler sends in answer to a sweep: events and ends as they come.
public enum SweepReport: Hashable, Sendable {
    case events([SweepEvent])
    case end(SweepEnd)
}

/// The frames of the socket for the operator's programs.
public enum ControlFrame {
    /// Replaces `bytes` by a frame of 1 to ``ChannelLimit/records`` requests.
    public static func encode(_ requests: some Collection<SweepRequest>, into bytes: inout [UInt8]) {
        Frame.encode(.sweep, requests, into: &bytes)
    }

    /// Replaces `bytes` by a frame of 1 to ``ChannelLimit/records`` events.
    public static func encode(_ events: some Collection<SweepEvent>, into bytes: inout [UInt8]) {
        Frame.encode(.sweepEvents, events, into: &bytes)
    }

    /// Replaces `bytes` by a frame of one end.
    public static func encode(_ end: SweepEnd, into bytes: inout [UInt8]) {
        Frame.encode(.sweepEnd, [end], into: &bytes)
    }

    /// What the handler may answer to a sweep.
    public static func report(in bytes: Span<UInt8>) throws(MalformedFrame) -> SweepReport {
        let (kind, count) = try Frame.header(of: bytes)
        switch kind {
        case .sweepEvents: return .events(try Frame.records(of: bytes, count: count))
        case .sweepEnd:
            guard count == 1 else { throw .recordCount(count) }
            return .end(try Frame.records(of: bytes, count: count, as: SweepEnd.self)[0])
        default: throw .unexpectedKind(kind.rawValue)
        }
    }
}
