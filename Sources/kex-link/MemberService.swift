internal import ConfigurationFiles
internal import EventLoop
internal import Glibc
internal import LinkChannel
internal import LinkConfiguration
internal import LinkMember
internal import Logging
internal import NetworkAddresses
internal import SystemCalls
internal import Systemd
internal import SystemPackage
internal import Time
internal import WireGuardTypes

/// The member of one interface: the process that reads what comes from the network, and has no rights. All decisions are
/// ``LinkMember``'s; here is only how they are carried out.
struct MemberService: ~Copyable {
    private var loop: EventLoop
    private var channel: MemberEnd
    /// `nil` until the keeper's first word.
    private var core: LinkMember?
    private var interface: InterfaceName?
    private var sockets: MemberSockets
    private var status: StatusServer
    private var lookups: NameLookups
    private let log: Logger
    private var budget = LineBudget()
    private var readInterval: Duration?
    private var hasLeft = false
    private var suspends = SuspendWatch(sinceStart: MonotonicTime.now.sinceStart, awake: awakeTime())

    private static let channelToken: UInt64 = 0
    private static let statusToken: UInt64 = 1
    private static let lookupToken: UInt64 = 2

    init(log: Logger) throws(SystemCallError) {
        let loop = try EventLoop()
        let end = ChannelEnd(OwnedDescriptor(adopting: ChildProcess.descriptor), token: Self.channelToken)
        try end.watch(on: loop)
        let lookups = try NameLookups()
        try loop.watch(lookups.descriptor, for: .readable, token: Self.lookupToken)
        self.loop = loop
        self.lookups = lookups
        self.log = log
        channel = MemberEnd(end)
        sockets = MemberSockets()
        status = StatusServer(listenerToken: Self.statusToken)
    }

    /// Serves until the keeper ends, or wants the member to.
    mutating func run() throws {
        while !hasLeft {
            let count = try loop.wait(until: nextDeadline)
            let now = MonotonicTime.now
            if suspends.noticesSleep(sinceStart: now.sinceStart, awake: awakeTime()) { core?.take(.resumed, at: now) }
            for index in 0..<count {
                let event = loop[index]
                switch event.token {
                case Self.channelToken: guard try serveKeeper() else { return }
                case Self.statusToken: try status.accept(on: loop, now: now)
                case Self.lookupToken:
                    if let result = lookups.take() {
                        core?.take(.found(result.endpoints, for: result.name), at: now)
                    }
                case StatusServer.firstToken...: try serveStatus(event.token, now: now)
                default:
                    for news in sockets.receive(event.token, on: loop, now: now) { core?.take(news, at: now) }
                }
            }
            try status.expire(on: loop, now: now)
            try work(now: now)
            sockets.endRound()
            sockets.expire(on: loop, now: now)
            try channel.end.flush(on: loop, now: now)
        }
    }

    private var nextDeadline: MonotonicTime? {
        [core?.nextDeadline, status.nextDeadline, sockets.nextDeadline].compactMap(\.self).min()
    }

    // MARK: - The keeper

    /// Takes what the keeper has sent.
    ///
    /// - Returns: `false` if it has ended.
    private mutating func serveKeeper() throws -> Bool {
        var isAtEnd = false
        while let (frame, descriptor) = try channel.next(isAtEnd: &isAtEnd) {
            let now = MonotonicTime.now
            switch frame {
            case .orders(let orders): try begin(orders)
            case .snapshot(let snapshot):
                core?.take(.device(snapshot), at: now)
                try ask(.taken)
            case .secret(let key, let secret): core?.take(.secret(key, secret), at: now)
            case .socket(let socket):
                guard let descriptor else { continue }
                if socket.purpose == .status {
                    try status.setListener(descriptor, on: loop)
                } else {
                    try sockets.take(descriptor, socket, on: loop)
                }
            case .changed(let keys): core?.take(.changed(keys), at: now)
            case .refused(let key, let reason): core?.take(.refused(key, reason: reason), at: now)
            case .held(let key): core?.take(.held(key), at: now)
            case .notHeld(let key, let reason): core?.take(.notHeld(key, reason: reason), at: now)
            case .leave:
                if let works = core?.leave(at: now) { try carryOut(works, now: now) }
                try channel.end.enqueue(MemberFrame.left.packets)
                try channel.end.flush(on: loop, now: now)
                hasLeft = true
            }
        }
        return !isAtEnd
    }

    private mutating func begin(_ orders: MemberOrders) throws(ConfigurationError) {
        let configuration = try LinkConfiguration(bytes: orders.text, path: orders.path)
        interface = orders.interface
        sockets.setRelayPorts(configuration.settings.relayPorts)
        core = LinkMember(settings: configuration.settings, seesTraffic: true)
    }

    // MARK: - Work

    private mutating func work(now: MonotonicTime) throws {
        // What is done may make more, once: who waits for a port of the relay is told of it.
        for _ in 0..<2 {
            guard let works = core?.work(at: now), !works.isEmpty else { return }
            try carryOut(works, now: now)
        }
    }

    private mutating func carryOut(_ works: [LinkWork], now: MonotonicTime) throws {
        var batch = ChangeBatch()
        for work in works {
            switch work {
            case .change(let changes):
                if let full = batch.add(changes) { try ask(.changes(full)) }
            case .hold(let key, let prefixes): try ask(.hold(key, prefixes))
            case .release(let key):
                if let changes = batch.take() { try ask(.changes(changes)) }
                try ask(.release(key))
            case .secretWanted(let key): try ask(.secretWanted(key))
            case .datagram(let bytes, let address, let port): sockets.send(bytes, to: address, port: port)
            case .probe(let bytes, let endpoint, let port): sockets.sendProbe(bytes, to: endpoint, from: port)
            case .openRelayPort(let key):
                let port = sockets.openRelayPort(of: key, on: loop)
                core?.take(.relayPort(key, port), at: now)
            case .closeRelayPort(let key): sockets.closeRelayPort(of: key)
            case .relayEnd(let key, let endpoint, let other):
                sockets.setRelayEnd(of: key, at: endpoint, towards: other, now: now)
            case .forgetRelay(let one, let other): sockets.forgetRelay(one, other)
            case .lookUp(let name): lookups.want(name)
            case .read(let interval):
                guard interval != readInterval else { continue }
                readInterval = interval
                try ask(.read(every: interval))
            case .readNow: try ask(.read(every: readInterval ?? KeeperService.usualInterval))
            case .log(let notice): write(notice)
            }
        }
        if let rest = batch.take() { try ask(.changes(rest)) }
    }

    private func ask(_ frame: MemberFrame) throws(ChannelFailure) { try channel.end.enqueue(frame.packets) }

    private mutating func write(_ notice: LinkNotice) {
        let level: Logger.Level =
            switch notice.level {
            case .info: .info
            case .notice: .notice
            case .warning: .warning
            }
        guard let interface, budget.permits(level, to: log) else { return }
        log.log(MemberEvent(notice.event), level, interface, key: notice.member, notice.text)
    }

    // MARK: - State

    private mutating func serveStatus(_ token: UInt64, now: MonotonicTime) throws(SystemCallError) {
        guard let interface else { return }
        let state = core?.status(at: now) ?? LinkStatus(members: [])
        try status.serve(token, on: loop) { form in
            switch form {
            case .json: state.json(of: interface)
            case .table: state.table()
            }
        }
    }
}

extension Invocation {
    /// The process that the keeper starts. It gives its rights up before it reads a byte.
    func runMember() throws(Failure) -> Int32 {
        let account = UserAccount(user: try number("uid"), group: try number("gid"))
        let parent = Int32(truncatingIfNeeded: try number("parent"))
        let log = log
        do {
            setProcessName("kex-link")
            try OwnRights.giveUp(for: account, parent: parent)
            // Signals for all processes of the terminal are the keeper's: it ends its member in order.
            let signals = try SignalReceiver(for: [.interrupt, .hangup])
            var service = try MemberService(log: log)
            try service.run()
            _ = signals.descriptor
            return EXIT_SUCCESS
        } catch {
            log.log(ServiceEvent.cannotServe, .error, "member: \(error)")
            return ExitStatus.system.rawValue
        }
    }
}
