public import KexProtocol

/// The local sockets of `kex-handler`, and what may be asked at each. The socket says who asks, never the bytes that
/// were sent.
public enum HandlerSocket: CaseIterable, Sendable {
    /// For front doors: `kexd` and `kex-http`.
    case front
    /// For the one program that speaks with other gateways, `kex-mqtt`.
    case fleet
    /// For the operator's programs.
    case control

    /// `FileDescriptorName=` of its socket unit.
    public var name: String {
        switch self {
        case .front: "handler"
        case .fleet: "fleet"
        case .control: "control"
        }
    }

    /// The requests that are taken. `docs/PRIVSEP.md` has the same table.
    var requests: Set<Frame.Kind> {
        switch self {
        case .front: [.registrations, .statusRequests]
        case .fleet: [.remoteRegistrations, .statusRequests, .routerNews, .routerListRequest]
        case .control: [.sweep]
        }
    }
}

/// What the handler may be asked.
public enum HandlerRequest: Hashable, Sendable {
    /// Let in these routers, which came to a front door of this gateway.
    case registrations([RegistrationRequest])
    /// Let in these routers, which came to another gateway.
    case remoteRegistrations([RemoteRegistration])
    /// The states of these domains.
    case statuses(of: [DomainName])
    /// Reports of other gateways on routers. Each is answered.
    case news([RouterNews])
    /// All routers of a domain with their handshakes, and those that were removed on purpose.
    case routers(RouterListRequest)
    /// Look for silent routers.
    case sweeps([SweepRequest])

    /// Reads one frame.
    ///
    /// - Parameter socket: where the frame came in. Of a frame that is not for this socket only the header is read.
    public init(decoding bytes: Span<UInt8>, from socket: HandlerSocket) throws(MalformedFrame) {
        let (kind, count) = try Frame.header(of: bytes)
        guard socket.requests.contains(kind) else { throw .unexpectedKind(kind.rawValue) }
        switch kind {
        case .registrations: self = .registrations(try Frame.records(of: bytes, count: count))
        case .remoteRegistrations: self = .remoteRegistrations(try Frame.records(of: bytes, count: count))
        case .statusRequests:
            self = .statuses(of: try Frame.records(of: bytes, count: count, as: StatusRequest.self).map(\.domain))
        case .routerNews: self = .news(try Frame.records(of: bytes, count: count))
        case .routerListRequest:
            guard count == 1 else { throw .recordCount(count) }
            self = .routers(try Frame.records(of: bytes, count: count)[0])
        case .sweep:
            let requests: [SweepRequest] = try Frame.records(of: bytes, count: count)
            let domains = Set(requests.map(\.domain))
            guard domains.count == requests.count, !domains.contains(nil) || requests.count == 1 else {
                throw .record("a domain that is named twice")
            }
            self = .sweeps(requests)
        default: throw .unexpectedKind(kind.rawValue)
        }
    }

    /// Replaces `bytes` by a frame. A list in it must have 1 to ``ChannelLimit/records`` elements.
    public func encode(into bytes: inout [UInt8]) {
        switch self {
        case .registrations(let requests): RegistrationFrame.encode(requests, into: &bytes)
        case .remoteRegistrations(let requests): FleetFrame.encode(requests, into: &bytes)
        case .statuses(let domains): RegistrationFrame.encode(statusOf: domains, into: &bytes)
        case .news(let news): FleetFrame.encode(news, into: &bytes)
        case .routers(let request): FleetFrame.encode(request, into: &bytes)
        case .sweeps(let requests): ControlFrame.encode(requests, into: &bytes)
        }
    }
}
