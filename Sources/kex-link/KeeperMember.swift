internal import EventLoop
internal import Glibc
internal import Keys
internal import LinkChannel
internal import LinkConfiguration
internal import LinkFacts
internal import LinkKeeper
internal import LinkMember
internal import Logging
internal import NetworkAddresses
internal import PathProbe
internal import SourceLimits
internal import SystemCalls
internal import Systemd
internal import SystemPackage
internal import Time
internal import TrafficTap
internal import WireGuardTypes

/// The process without rights, as its keeper sees it.
final class MemberProcess {
    private var child: ChildProcess?
    private var end: KeeperEnd
    let token: UInt64
    let start: MonotonicTime
    /// What it has been given.
    var sockets: [MemberSocket.Purpose: GivenSocket] = [:]
    /// Whether it was told to leave the mesh, and whether it says that it has.
    var isToLeave = false
    var hasLeft = false

    /// Since when a snapshot waits for its answer; `nil` if none does.
    var awaitedSince: MonotonicTime?

    /// A member that takes nothing for so long, or says nothing to a snapshot, hangs.
    static let patience = Duration.seconds(10)
    /// How long it may take to leave the mesh.
    static let leaveTime = Duration.seconds(2)

    init(_ child: consuming ChildProcess, _ end: ChannelEnd, token: UInt64, start: MonotonicTime) {
        self.child = consume child
        self.end = KeeperEnd(end)
        self.token = token
        self.start = start
    }

    var channel: ChannelEnd { end.end }

    /// When it is to be ended because it hangs; `nil` if it does not.
    var stuckDeadline: MonotonicTime? {
        [channel.stuckSince, awaitedSince].compactMap(\.self).min().map { $0 + Self.patience }
    }

    func next(isAtEnd: inout Bool) throws(ChannelFailure) -> MemberFrame? { try end.next(isAtEnd: &isAtEnd) }

    /// Ends it, and says how it ended.
    ///
    /// - Parameter deadline: until when it may end by itself.
    func end(by deadline: MonotonicTime) -> ChildProcess.Ending? {
        guard let child = child.take() else { return nil }
        return child.end(by: deadline)
    }
}

/// What a socket of the member is for. One that is for the same need not be opened anew.
struct GivenSocket: Hashable {
    let port: UInt16
    let mark: UInt32
}

/// How many secrets a member gets: more than it can have use for is a sign that it was taken over.
struct SecretBudget {
    /// All members of a large mesh at once, and then newcomers.
    static let size = TokenBucket.Size(burst: 8192, interval: .milliseconds(50))
    private var bucket = TokenBucket()

    mutating func permits(now: MonotonicTime) -> Bool { bucket.take(Self.size, at: now.sinceStart) }
}

extension KeeperService {
    /// Starts the member if it is time to, and ends one that hangs.
    mutating func keepMember(now: MonotonicTime) {
        // A machine that slept has let nobody answer.
        if let member, let deadline = member.stuckDeadline, deadline <= now { serveMember(member.token) }
        if let deadline = member?.stuckDeadline, deadline <= now { loseMember("it hangs") }
        guard member == nil, let device, nextMember <= now else { return }
        do {
            try startMember(now: now)
            tellMember()
        } catch {
            member = nil
            nextMember = now + memberBackoff.next()
            log.log(KeeperEvent.memberEnded, .error, name, key: device.publicKey, "\(error)")
        }
    }

    private mutating func startMember(now: MonotonicTime) throws {
        let (here, there) = try Socket.pair(.sequentialPacket)
        let own = OwnedDescriptor(adopting: here)
        let other = OwnedDescriptor(adopting: there)
        lastToken += 1
        let account = settings.account
        var arguments = ["member", "--uid", "\(account.user)", "--gid", "\(account.group)", "--parent", "\(getpid())"]
        if log.logLevel <= .debug { arguments.append("--debug") }
        let child = try ChildProcess(
            name: "kex-link",
            arguments: arguments,
            environment: Self.memberEnvironment,
            descriptor: other.raw
        )
        let end = ChannelEnd(own, token: lastToken)
        try end.watch(on: loop)
        let orders = MemberOrders(interface: name, path: settings.path, text: orders)
        try end.enqueue(KeeperFrame.orders(orders).packets)
        let listener = try Socket.listen(
            atPath: files.socket(of: name),
            kind: .stream,
            permissions: [.ownerReadWrite, .groupReadWrite]
        )
        try end.enqueue(KeeperFrame.socket(MemberSocket(.status)).packets, with: SharedDescriptor(listener))
        member = MemberProcess(child, end, token: lastToken, start: now)
        interval = Self.usualInterval
    }

    /// What the member must know to write to the journal.
    private static var memberEnvironment: [String] {
        let name = "JOURNAL_STREAM"
        guard let stream = unsafe getenv(name) else { return [] }
        return ["\(name)=\(unsafe String(cString: stream))"]
    }

    /// Gives the member what it lacks: sockets, and the newest snapshot if it has taken the one before.
    mutating func tellMember() {
        guard member != nil, let device else { return }
        do throws(ChannelFailure) {
            try giveSockets(device)
            guard let end = member?.channel else { return }
            try end.flush(on: loop, now: .now)
            // One that is behind gets the next.
            guard end.isEmpty else { return }
            try end.enqueue(KeeperFrame.snapshot(device.snapshot).packets)
            if member?.awaitedSince == nil { member?.awaitedSince = .now }
            try end.flush(on: loop, now: .now)
        } catch {
            loseMember(error.isPeerGone ? nil : "\(error)")
        }
    }

    private mutating func giveSockets(_ device: KeeperDevice) throws(ChannelFailure) {
        let snapshot = device.snapshot
        let ports = FactsPorts(configured: configuration.settings.factsPort, snapshot: snapshot)
        var isWhole = true
        func facts(_ port: UInt16) throws(SystemCallError) -> OwnedDescriptor {
            try Socket.datagrams(at: .v6(device.publicKey.memberAddress, port: port, scope: device.index.number))
        }
        if let port = ports.main {
            try give(.facts, port: port, mark: 0, &isWhole) { () throws(SystemCallError) in try facts(port) }
        }
        if let port = ports.other {
            try give(.otherFacts, port: port, mark: 0, &isWhole) { () throws(SystemCallError) in try facts(port) }
        }
        let (port, mark) = (snapshot.listenPort, snapshot.firewallMark)
        if port != 0 {
            try give(.routes, port: port, mark: mark, &isWhole) { () throws(SystemCallError) in
                try RawSocket.openSourceFinder(mark: mark)
            }
            try give(.probesOverIPv4, port: port, mark: mark, &isWhole) { () throws(SystemCallError) in
                try RawSocket.open(.v4, port: port, mark: mark)
            }
            try give(.probesOverIPv6, port: port, mark: mark, &isWhole) { () throws(SystemCallError) in
                try RawSocket.open(.v6, port: port, mark: mark)
            }
        }
        if configuration.settings.linksOnDemand {
            let index = device.index
            try give(.traffic, port: 0, mark: 0, &isWhole) { () throws(SystemCallError) in
                try TrafficTap.open(on: index)
            }
        }
        if isWhole, socketLoss.permitsReturn(now: .now) {
            log.log(KeeperEvent.interfaceServed, .notice, name, "all sockets of \(name) are open")
        }
    }

    /// Opens a socket for the member, unless it has the same.
    private mutating func give(
        _ purpose: MemberSocket.Purpose,
        port: UInt16,
        mark: UInt32,
        _ isWhole: inout Bool,
        _ open: () throws(SystemCallError) -> OwnedDescriptor
    ) throws(ChannelFailure) {
        let wanted = GivenSocket(port: port, mark: mark)
        guard member?.sockets[purpose] != wanted else { return }
        let descriptor: SharedDescriptor
        do throws(SystemCallError) {
            descriptor = SharedDescriptor(try open())
        } catch {
            // It is tried again with each reading: the port may become free, the interface may be set up.
            isWhole = false
            if socketLoss.permits(loss: "\(error)", now: .now) {
                let advice = error.errno == .addressInUse ? "; does wirelink run for \(name)?" : ""
                log.log(KeeperEvent.socketFailed, .warning, name, "\(error)\(advice)")
            }
            return
        }
        try member?.channel.enqueue(KeeperFrame.socket(MemberSocket(purpose, port: port)).packets, with: descriptor)
        member?.sockets[purpose] = wanted
    }

    // MARK: - What it asks for

    /// Most wishes of the member that are looked at in one round of the loop.
    private static let wishesPerRound = 16

    /// Takes what the member has sent.
    mutating func serveMember(_ token: UInt64) {
        guard member?.token == token else { return }
        do throws(ChannelFailure) {
            var isAtEnd = false
            // Others have their turn between its wishes, of which there may be many.
            for _ in 0..<Self.wishesPerRound {
                guard let frame = try member?.next(isAtEnd: &isAtEnd) else { break }
                try answer(frame)
            }
            if isAtEnd {
                loseMember(nil)
                return
            }
            try member?.channel.flush(on: loop, now: .now)
        } catch {
            loseMember(error.isPeerGone ? nil : "\(error)")
        }
    }

    private mutating func answer(_ frame: MemberFrame) throws(ChannelFailure) {
        switch frame {
        case .changes(let changes): try make(changes)
        case .hold(let key, let prefixes): try holdPackets(to: key, prefixes)
        case .release(let key): releasePackets(to: key)
        case .secretWanted(let key):
            guard let device else { return }
            guard secretBudget.permits(now: .now) else {
                let words = "the member wants more secrets than there are members"
                budget.log(KeeperEvent.changeRefused, .warning, name, words, to: log)
                return
            }
            let secret = try? device.privateKey.sharedSecret(with: key)
            try send(.secret(key, secret))
        case .read(let wanted):
            interval = min(max(wanted, Self.intervals.lowerBound), Self.intervals.upperBound)
            // Who asks for it wants to know soon.
            read(within: min(interval, Self.changePause))
        case .taken: member?.awaitedSince = nil
        case .left: member?.hasLeft = true
        }
    }

    func send(_ frame: KeeperFrame) throws(ChannelFailure) { try member?.channel.enqueue(frame.packets) }

    // MARK: - Its end

    /// The member ended, or is to be ended: it starts anew after a pause.
    ///
    /// - Parameter reason: why it is ended; `nil` if it ended by itself.
    private mutating func loseMember(_ reason: String?) {
        guard let lost = member else { return }
        member = nil
        let now = MonotonicTime.now
        memberBackoff.worked(for: now - lost.start)
        nextMember = now + memberBackoff.next()
        // Its end of the channel is gone a moment before the process is.
        let ending = lost.end(by: reason == nil ? now + .milliseconds(500) : now)
        // One that was told to leave has done so.
        if !(lost.isToLeave && lost.hasLeft) {
            let words = reason ?? ending.map { "it \($0)" } ?? "it is gone"
            log.log(KeeperEvent.memberEnded, .error, name, "the member of \(name) starts again: \(words)")
        }
        if let device { takeAwayMade(device.wireGuard, device.index) }
        endHolds()
    }

    /// Ends the member at once, and takes away what it made.
    mutating func endMember() {
        guard let ended = member else { return }
        member = nil
        _ = ended.end(by: .now)
        if let device { takeAwayMade(device.wireGuard, device.index) }
        endHolds()
    }

    /// Lets the member leave the mesh, and ends it.
    mutating func endMemberInOrder() throws(SystemCallError) {
        let deadline = MonotonicTime.now + MemberProcess.leaveTime
        do throws(ChannelFailure) {
            member?.isToLeave = true
            try send(.leave)
            try member?.channel.flush(on: loop, now: .now)
        } catch {
            loseMember(error.isPeerGone ? nil : "\(error)")
        }
        while let token = member?.token, member?.hasLeft == false, .now < deadline {
            for index in 0..<(try loop.wait(until: deadline)) where loop[index].token == token { serveMember(token) }
        }
        endMember()
        if let device { takeAwayMade(device.wireGuard, device.index) }
        Socket.removeFile(at: files.socket(of: name))
    }
}
