/// What the handler answers the program that speaks with other gateways.
public enum FleetAnswer: Hashable, Sendable {
    case registrations([RegistrationAnswer])
    case statuses([DomainStatus])
    case news([RegistrationAnswer])
    case routers([RouterRecord])
    case removals([RouterRemoval])
    case routerListEnd(RouterListEnd)
}

/// The frames of the handler's socket for the program that speaks with other gateways.
public enum FleetFrame {
    /// Replaces `bytes` by a frame of 1 to ``ChannelLimit/records`` requests.
    public static func encode(_ requests: some Collection<RemoteRegistration>, into bytes: inout [UInt8]) {
        Frame.encode(.remoteRegistrations, requests, into: &bytes)
    }

    /// Replaces `bytes` by a frame of 1 to ``ChannelLimit/records`` news.
    public static func encode(_ news: some Collection<RouterNews>, into bytes: inout [UInt8]) {
        Frame.encode(.routerNews, news, into: &bytes)
    }

    /// Replaces `bytes` by a frame of 1 to ``ChannelLimit/records`` answers to news.
    public static func encode(toNews answers: some Collection<RegistrationAnswer>, into bytes: inout [UInt8]) {
        Frame.encode(.newsAnswers, answers, into: &bytes)
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

    /// What the handler may answer.
    public static func answer(in bytes: Span<UInt8>) throws(MalformedFrame) -> FleetAnswer {
        let (kind, count) = try Frame.header(of: bytes)
        switch kind {
        case .answers: return .registrations(try Frame.records(of: bytes, count: count))
        case .statuses: return .statuses(try Frame.records(of: bytes, count: count))
        case .newsAnswers: return .news(try Frame.records(of: bytes, count: count))
        case .routerRecords: return .routers(try Frame.records(of: bytes, count: count))
        case .routerRemovals: return .removals(try Frame.records(of: bytes, count: count))
        case .routerListEnd:
            guard count == 1 else { throw .recordCount(count) }
            return .routerListEnd(try Frame.records(of: bytes, count: count, as: RouterListEnd.self)[0])
        default: throw .unexpectedKind(kind.rawValue)
        }
    }
}
