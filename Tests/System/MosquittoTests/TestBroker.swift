import EventLoop
import Foundation
import Mosquitto
import NetworkAddresses
import Patience
import SystemCalls
import SystemPackage
import Time

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A folder that goes with its owner.
final class Folder {
    let path = "/tmp/kex-broker-\(UUID().uuidString)"

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to name: String) throws -> String {
        try text.write(toFile: "\(path)/\(name)", atomically: false, encoding: .utf8)
        return "\(path)/\(name)"
    }

    /// Runs a program in the folder; it must succeed.
    func run(_ program: String, _ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/\(program)")
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: path)
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure("\(program) \(arguments): \(process.terminationStatus)")
        }
    }
}

/// A mosquitto on loopback, at a port that was free a moment ago.
final class TestBroker {
    let port: UInt16
    private let folder = Result { try Folder() }
    private let configuration: String
    private var process: pid_t?

    /// - Parameter lines: of the configuration, those about the listener and who may use it.
    init(_ lines: String = "allow_anonymous true\n") throws {
        let socket = try Socket.listen(on: .v4(.init(value: 0x7f00_0001), port: 0))
        port = try Socket.localAddress(of: socket.raw).endpoint!.port
        // As root it would become a user who may not read the folder.
        let user = geteuid() == 0 ? "user root\n" : ""
        let text = "\(user)listener \(port) 127.0.0.1\nmax_queued_messages 0\n\(lines)"
        configuration = try folder.get().write(text, to: "mosquitto.conf")
    }

    deinit { stop(SIGKILL) }

    func start() throws {
        process = try spawn("/usr/sbin/mosquitto", "-c", configuration)
        let deadline = MonotonicTime.now + .seconds(Patience.program)
        while !isListening {
            guard .now < deadline else { throw Failure("mosquitto does not listen") }
            usleep(5000)
        }
    }

    /// Starts a program without a terminal and with no signal blocked: the threads of the tests block them, and a child
    /// of theirs would never hear of SIGTERM.
    private func spawn(_ arguments: String...) throws -> pid_t {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for number in 0...2 as ClosedRange<Int32> {
            posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0)
        }
        var words = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var number: pid_t = 0
        let result = posix_spawn(&number, arguments[0], &actions, &attributes, &words, environ)
        guard result == 0 else { throw Failure("cannot start \(arguments): \(Errno(rawValue: result))") }
        return number
    }

    private var isListening: Bool {
        guard let probe = try? Socket.startConnecting(to: .v4(.init(value: 0x7f00_0001), port: port)),
            (try? Socket.wait(for: .writable, of: probe.raw, until: .now + .seconds(1))) == true
        else { return false }
        // While nobody listens, a connection can meet itself: its own port may be the one that it goes to.
        guard (try? Socket.localAddress(of: probe.raw).endpoint?.port) != port else { return false }
        return (try? Socket.pendingError(of: probe.raw)) == .some(nil)
    }

    func stop(_ signal: Int32 = SIGTERM) {
        guard let process else { return }
        kill(process, signal)
        waitpid(process, nil, 0)
        self.process = nil
    }
}

/// A link with a loop of its own, and all that it told.
final class TestClient {
    var loop: EventLoop
    var link: BrokerLink
    private(set) var events: [BrokerEvent] = []
    /// Longest time that the loop was not at its wait.
    private(set) var longestRound = Duration.zero
    private(set) var rounds = 0

    init(_ settings: BrokerSettings) throws {
        loop = try EventLoop()
        link = BrokerLink(settings, token: 7)
    }

    convenience init(
        _ broker: TestBroker,
        _ name: String,
        _ change: (inout BrokerSettings) -> Void = { _ in }
    ) throws {
        var settings = BrokerSettings(host: "127.0.0.1", port: broker.port, clientID: name)
        change(&settings)
        try self.init(settings)
    }

    /// One round of the loop.
    func step(until deadline: MonotonicTime) throws {
        let count = try loop.wait(until: min(deadline, link.deadline ?? deadline))
        let start = MonotonicTime.now
        for index in 0..<count {
            guard loop[index].token == 7 else { throw Failure("a strange token") }
            link.handle(loop[index].readiness)
        }
        events += try link.attend(loop, now: .now)
        longestRound = max(longestRound, .now - start)
        rounds += 1
    }

    /// Lets the loop go on until `found` finds something among the events.
    @discardableResult
    func wait<Found>(for what: String, seconds: Double = Patience.program, _ found: ([BrokerEvent]) -> Found?) throws
        -> Found
    {
        let deadline = MonotonicTime.now + .seconds(seconds)
        while true {
            if let result = found(events) { return result }
            guard .now < deadline else { throw Failure("waited in vain for \(what) in \(events.suffix(20))") }
            try step(until: deadline)
        }
    }

    /// Lets the loop go on for so long.
    func run(for duration: Duration) throws {
        let deadline = MonotonicTime.now + duration
        while .now < deadline { try step(until: deadline) }
    }

    func forget() { events = [] }

    var isConnected: Bool { link.isConnected }
    var isBusy: Bool { link.isBusy }

    func connect() throws {
        forget()
        link.connect(now: .now)
        let first = try wait(for: "a connection", \.first)
        guard first == .connected else { throw Failure("\(first)") }
    }

    /// Connects, which must fail.
    func failToConnect() throws -> Disconnection {
        link.connect(now: .now)
        return try disconnection()
    }

    func disconnection() throws -> Disconnection {
        try wait(for: "the end of the connection") { events in
            for case .disconnected(let reason) in events { return reason }
            return nil
        }
    }

    func subscribe(_ filter: String, _ quality: BrokerQuality = .atLeastOnce) throws {
        let id = try link.subscribe(to: filter, quality: quality)
        try wait(for: "the subscription") { events in
            events.contains(.subscribed(id: id, reason: UInt8(quality.rawValue))) ? true : nil
        }
    }

    /// Publishes, and waits for the acknowledgement.
    @discardableResult
    func publish(
        _ topic: String,
        _ text: String,
        isRetained: Bool = false,
        expiry: UInt32? = nil
    ) throws -> UInt8 {
        let id = try link.publish(
            topic,
            Array(text.utf8),
            quality: .atLeastOnce,
            isRetained: isRetained,
            expiry: expiry
        )
        return try wait(for: "the acknowledgement") { events in
            for case .acknowledged(id, let reason) in events { return reason }
            return nil
        }
    }

    var messages: [BrokerMessage] {
        events.compactMap { if case .message(let message) = $0 { message } else { nil } }
    }

    func waitForMessages(_ count: Int) throws -> [BrokerMessage] {
        try wait(for: "\(count) messages") { events in
            events.count >= count && messages.count >= count ? messages : nil
        }
    }
}

extension BrokerMessage {
    init(_ topic: String, _ text: String, isRetained: Bool = false) {
        self.init(topic: Array(topic.utf8), payload: Array(text.utf8), isRetained: isRetained)
    }
}
