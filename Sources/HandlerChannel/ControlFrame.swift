internal import KexProtocol

/// What the handler sends in answer to a sweep: events and ends as they come.
public enum SweepReport: Hashable, Sendable {
    case events([SweepEvent])
    case end(SweepEnd)
}

/// What may be asked on the socket for the operator's programs.
public enum ControlRequest: Hashable, Sendable {
    case sweeps([SweepRequest])
    /// What other gateways say of routers: each is answered as a registration is.
    case news([RouterNews])
    /// All routers of this domain, and their handshakes.
    case routers(RouterListRequest)
}

/// What the handler answers to news and to a question for routers.
public enum ControlAnswer: Hashable, Sendable {
    case news([RegistrationAnswer])
    case routers([RouterRecord])
    case removals([RouterRemoval])
    case routerListEnd(RouterListEnd)
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

    /// Replaces `bytes` by a frame of 1 to ``ChannelLimit/records`` news.
    public static func encode(_ news: some Collection<RouterNews>, into bytes: inout [UInt8]) {
        Frame.encode(.routerNews, news, into: &bytes)
    }

    /// Replaces `bytes` by a frame that asks for the routers of a domain.
    public static func encode(_ request: RouterListRequest, into bytes: inout [UInt8]) {
        Frame.encode(.routerListRequest, [request], into: &bytes)
    }

    /// Replaces `bytes` by a frame of 1 to ``ChannelLimit/records`` routers.
    public static func encode(_ routers: some Collection<RouterRecord>, into bytes: inout [UInt8]) {
        Frame.encode(.routerRecords, routers, into: &bytes)
    }

    /// Replaces `bytes` by a frame of 1 to ``ChannelLimit/records`` removals.
    public static func encode(_ removals: some Collection<RouterRemoval>, into bytes: inout [UInt8]) {
        Frame.encode(.routerRemovals, removals, into: &bytes)
    }

    /// Replaces `bytes` by a frame of one end.
    public static func encode(_ end: RouterListEnd, into bytes: inout [UInt8]) {
        Frame.encode(.routerListEnd, [end], into: &bytes)
    }

    /// What an operator's program, or the bus, may send.
    public static func request(in bytes: Span<UInt8>) throws(MalformedFrame) -> ControlRequest {
        let (kind, count) = try Frame.header(of: bytes)
        switch kind {
        case .sweep:
            let requests: [SweepRequest] = try Frame.records(of: bytes, count: count)
            let domains = Set(requests.map(\.domain))
            guard domains.count == requests.count, !domains.contains(nil) || requests.count == 1 else {
                throw .record("a domain that is named twice")
            }
            return .sweeps(requests)
        case .routerNews: return .news(try Frame.records(of: bytes, count: count))
        case .routerListRequest:
            guard count == 1 else { throw .recordCount(count) }
            return .routers(try Frame.records(of: bytes, count: count)[0])
        default: throw .unexpectedKind(kind.rawValue)
        }
    }

    /// What the handler may answer to news and to a question for routers.
    public static func answer(in bytes: Span<UInt8>) throws(MalformedFrame) -> ControlAnswer {
        let (kind, count) = try Frame.header(of: bytes)
        switch kind {
        case .answers: return .news(try Frame.records(of: bytes, count: count))
        case .routerRecords: return .routers(try Frame.records(of: bytes, count: count))
        case .routerRemovals: return .removals(try Frame.records(of: bytes, count: count))
        case .routerListEnd:
            guard count == 1 else { throw .recordCount(count) }
            return .routerListEnd(try Frame.records(of: bytes, count: count, as: RouterListEnd.self)[0])
        default: throw .unexpectedKind(kind.rawValue)
        }
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
