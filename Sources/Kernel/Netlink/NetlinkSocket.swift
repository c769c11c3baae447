internal import CMNL
internal import Glibc
internal import SystemPackage

/// A netlink socket for requests: each call sends, waits for the whole answer, and checks that it is the answer.
///
/// After ``NetlinkError/socketFailed(operation:object:errno:)`` and ``NetlinkError/noAnswer(operation:object:)`` it
/// can be used again: late answers are known by their sequence number and dropped.
public struct NetlinkSocket: ~Copyable {
    /// Which part of the kernel is at the other end.
    public enum Family: Sendable {
        /// Links, addresses, forwarding entries: rtnetlink(7).
        case route
        /// Families that are known by name, WireGuard's among them.
        case generic

        fileprivate var number: Int32 {
            switch self {
            case .route: NETLINK_ROUTE
            case .generic: NETLINK_GENERIC
            }
        }
    }

    /// Longest wait for one datagram of an answer. The kernel answers in the call itself, or when the locks that it
    /// needs are free; milliseconds are normal (measured: 140 ms behind 500 new WireGuard peers).
    public static let answerTimeout: Duration = .seconds(5)
    /// Most messages in one send. The acknowledgements of 256 can overrun the default receive buffer of a socket.
    public static let batchLimit = 64
    /// Most bytes in one send: room for the longest single message, and well below the default send buffer of 212,992.
    public static let sendLimit = 65536
    /// How often a dump is tried while what it lists keeps changing.
    public static let dumpAttempts = 5
    /// Pause before the second attempt; it doubles before each further one.
    static let dumpPause: Duration = .milliseconds(2)

    private let transport: any NetlinkTransport
    private let buffer: DatagramBuffer
    private var nextSequence: UInt32 = 1
    var families: [String: UInt16] = [:]

    /// Opens a socket.
    ///
    /// - Throws: ``NetlinkError/socketFailed(operation:object:errno:)``.
    public init(
        _ family: Family,
        buffer: DatagramBuffer = DatagramBuffer(),
        answerTimeout: Duration = answerTimeout
    ) throws(NetlinkError) {
        self.buffer = buffer
        do throws(Errno) {
            transport = try KernelTransport(protocol: family.number, timeout: answerTimeout)
        } catch {
            throw .socketFailed(operation: "open", object: "a \(family) netlink socket", errno: error)
        }
    }

    /// Talks to something else than the kernel.
    package init(transport: any NetlinkTransport, buffer: DatagramBuffer = DatagramBuffer()) {
        self.transport = transport
        self.buffer = buffer
    }

    // MARK: - Requests

    /// Sends a request and waits for its acknowledgement.
    ///
    /// - Parameters:
    ///   - operation: what the message does, in words that follow "cannot".
    ///   - object: what it is done to.
    ///   - reply: called with each message of the answer but the acknowledgement.
    /// - Throws: every case of ``NetlinkError`` that belongs to an exchange.
    public mutating func perform(
        _ message: NetlinkMessage,
        _ operation: String,
        on object: @autoclosure () -> String,
        reply: (NetlinkReply) throws(MalformedReply) -> Void = { _ in }
    ) throws(NetlinkError) {
        do throws(Failure) {
            if let refusal = try exchange([message], reply: reply)[0] { throw refusal }
        } catch {
            throw error.described(operation, object())
        }
    }

    /// Sends many requests, as many at once as the limits allow. All are carried out, whether others fail or not.
    ///
    /// - Parameter object: what message number so-and-so is done to; asked only if it fails.
    /// - Returns: for each message `nil`, or the kernel's refusal.
    /// - Throws: every other case: then it is not known which messages took effect.
    public mutating func perform(
        _ messages: [NetlinkMessage],
        _ operation: String,
        on object: (Int) -> String
    ) throws(NetlinkError) -> [NetlinkError?] {
        var results: [NetlinkError?] = []
        results.reserveCapacity(messages.count)
        while results.count < messages.count {
            let done = results.count
            var size = 0
            let batch = messages[done...].prefix(Self.batchLimit).prefix { message in
                size += message.bytes.count
                return size <= Self.sendLimit
            }
            do throws(Failure) {
                for (index, refusal) in try exchange(batch, reply: { _ in }).enumerated() {
                    results.append(refusal?.described(operation, object(done + index)))
                }
            } catch {
                throw error.described(operation, object(done))
            }
        }
        return results
    }

    /// Sends the messages at once and waits until each is acknowledged.
    private mutating func exchange(
        _ messages: some Collection<NetlinkMessage>,
        reply: (NetlinkReply) throws(MalformedReply) -> Void
    ) throws(Failure) -> [Failure?] {
        let first = try send(messages, flags: NLM_F_ACK)
        var answers: [Failure??] = Array(repeating: nil, count: messages.count)
        var missing = messages.count
        var malformed: Failure?
        while missing > 0 {
            var datagram = try receive()
            while let message = try next(of: &datagram, since: first) {
                let index = Int(message.sequence &- first)
                guard index < answers.count, answers[index] == nil
                else { throw .malformed("a message with sequence number \(message.sequence)") }
                if message.type == UInt16(NLMSG_ERROR) {
                    answers[index] = .some(try message.outcome())
                    missing -= 1
                } else {
                    do throws(MalformedReply) {
                        try reply(message)
                    } catch {
                        malformed = .malformed(error.detail)
                    }
                }
            }
        }
        if let malformed { throw malformed }
        return answers.map { $0 ?? nil }
    }

    // MARK: - Dumps

    /// Asks for a list and folds its messages into a value. If the list changes meanwhile, all begins again from
    /// `initial`, up to ``dumpAttempts`` times with pauses: an interrupted dump may lack entries without a mark.
    ///
    /// - Parameters:
    ///   - operation: what the dump is for, in words that follow "cannot".
    ///   - object: what is listed.
    ///   - isSecret: overwrite the receive buffer when done, because what comes has keys in it.
    ///   - limit: most messages that are read.
    ///   - body: takes one message into the value. It must not keep the message.
    /// - Throws: every case of ``NetlinkError`` that belongs to an exchange. After
    ///   ``NetlinkError/tooLong(operation:object:limit:)`` the kernel has more to say, and the socket must be given up.
    public mutating func dump<Value>(
        _ message: NetlinkMessage,
        _ operation: String,
        on object: @autoclosure () -> String,
        isSecret: Bool = false,
        limit: Int = .max,
        into initial: Value,
        _ body: (inout Value, NetlinkReply) throws(MalformedReply) -> Void
    ) throws(NetlinkError) -> Value {
        let (value, isWhole) = try dumpAsFarAsPossible(
            message,
            operation,
            on: object(),
            isSecret: isSecret,
            limit: limit,
            into: initial,
            body
        )
        guard isWhole else { throw Failure.interrupted.described(operation, object()) }
        return value
    }

    /// The same, for lists that may change all the time: the last attempt counts, whole or not.
    ///
    /// - Parameter attempts: most attempts, at least one.
    /// - Returns: the value, and whether no change interrupted the list. If one did, what came is true, and what is
    ///   missing may be there all the same.
    public mutating func dumpAsFarAsPossible<Value>(
        _ message: NetlinkMessage,
        _ operation: String,
        on object: @autoclosure () -> String,
        isSecret: Bool = false,
        limit: Int = .max,
        attempts: Int = dumpAttempts,
        into initial: Value,
        _ body: (inout Value, NetlinkReply) throws(MalformedReply) -> Void
    ) throws(NetlinkError) -> (value: Value, isWhole: Bool) {
        do throws(Failure) {
            defer { if isSecret { buffer.wipe() } }
            var pause = Self.dumpPause
            var attempt = 0
            while true {
                attempt += 1
                var value = initial
                let isWhole = try dumpOnce(message, limit) { message throws(MalformedReply) in
                    try body(&value, message)
                }
                if isWhole || attempt >= attempts { return (value, isWhole) }
                wait(pause)
                pause *= 2
            }
        } catch {
            throw error.described(operation, object())
        }
    }

    /// - Returns: whether the dump is whole, and not one that was interrupted by a change.
    private mutating func dumpOnce(
        _ message: NetlinkMessage,
        _ limit: Int,
        _ body: (NetlinkReply) throws(MalformedReply) -> Void
    ) throws(Failure) -> Bool {
        let sequence = try send(CollectionOfOne(message), flags: NLM_F_DUMP)
        var isWhole = true
        var count = 0
        var malformed: Failure?
        while true {
            var datagram = try receive()
            while let message = try next(of: &datagram, since: sequence) {
                guard message.sequence == sequence
                else { throw .malformed("a message with sequence number \(message.sequence)") }
                if Int32(message.flags) & NLM_F_DUMP_INTR != 0 { isWhole = false }
                switch Int32(message.type) {
                case NLMSG_DONE, NLMSG_ERROR:
                    if let refusal = try message.outcome() { throw refusal }
                    guard message.type == UInt16(NLMSG_DONE) else { throw .malformed("an acknowledgement in a dump") }
                    if let malformed { throw malformed }
                    return isWhole
                default:
                    count += 1
                    guard count <= limit else { throw .tooLong(limit) }
                    // The rest is read all the same: the kernel refuses the next dump while this one goes on.
                    do throws(MalformedReply) {
                        try body(message)
                    } catch {
                        malformed = malformed ?? .malformed(error.detail)
                    }
                }
            }
        }
    }

    // MARK: - Parts of an exchange

    /// Sends the messages as one datagram and returns the sequence number of the first.
    private mutating func send(_ messages: some Collection<NetlinkMessage>, flags: Int32) throws(Failure) -> UInt32 {
        let first = nextSequence
        var bytes: [UInt8] = []
        for message in messages {
            bytes += message.addressed(sequence: nextSequence, port: transport.port, flags: flags)
            nextSequence &+= 1
        }
        do throws(Errno) {
            try transport.send(bytes)
        } catch {
            throw .socket(error)
        }
        return first
    }

    private mutating func receive() throws(Failure) -> ArraySlice<UInt8> {
        do throws(Errno) {
            let count = try transport.receive(into: &buffer.bytes)
            return buffer.bytes.prefix(count)
        } catch {
            switch error {
            case .resourceTemporarilyUnavailable: throw .noAnswer
            case .noSpace: throw .malformed("a datagram of more than \(DatagramBuffer.size) bytes")
            default: throw .socket(error)
            }
        }
    }

    /// The next message of a datagram that belongs to the exchange that began with sequence number `first`.
    private func next(of datagram: inout ArraySlice<UInt8>, since first: UInt32) throws(Failure) -> NetlinkReply? {
        do throws(MalformedReply) {
            while let message = try NetlinkReply(takenFrom: &datagram) {
                guard message.port == transport.port else { throw MalformedReply("a message for port \(message.port)") }
                // An earlier exchange that timed out may be answered late. Serial numbers compare by their difference.
                let isLate = Int32(bitPattern: message.sequence &- first) < 0
                if !isLate && message.type != UInt16(NLMSG_NOOP) { return message }
            }
            return nil
        } catch {
            throw .malformed(error.detail)
        }
    }

    private func wait(_ pause: Duration) {
        usleep(UInt32(pause.components.attoseconds / 1_000_000_000_000))
    }
}

/// What went wrong, without the caller's words for what was tried.
private enum Failure: Error {
    case refused(Errno, text: String?)
    case socket(Errno)
    case noAnswer
    case interrupted
    case tooLong(Int)
    case malformed(String)

    func described(_ operation: String, _ object: String) -> NetlinkError {
        switch self {
        case .refused(let errno, let text):
            .refused(operation: operation, object: object, errno: errno, text: text)
        case .socket(let errno): .socketFailed(operation: operation, object: object, errno: errno)
        case .noAnswer: .noAnswer(operation: operation, object: object)
        case .interrupted: .interrupted(operation: operation, object: object)
        case .tooLong(let limit): .tooLong(operation: operation, object: object, limit: limit)
        case .malformed(let detail): .malformedReply(operation: operation, object: object, detail: detail)
        }
    }
}

extension NetlinkReply {
    /// What an acknowledgement or the end of a dump says: `nil`, or the refusal. Both begin with an errno, negative.
    fileprivate func outcome() throws(Failure) -> Failure? {
        guard payload.count >= MemoryLayout<Int32>.size else { throw .malformed("an acknowledgement without errno") }
        let number = unsafe payload.withUnsafeBytes { unsafe $0.loadUnaligned(as: Int32.self) }
        guard number <= 0, number > Int32.min else { throw .malformed("errno \(number), which is not negative") }
        return number == 0 ? nil : .refused(Errno(rawValue: -number), text: kernelText)
    }

    /// The kernel's own words. They are for people only, so if they are broken they are left out.
    ///
    /// Source: NETLINK_EXT_ACK of netlink(7). In an acknowledgement they come after `struct nlmsgerr`, which
    /// NETLINK_CAP_ACK keeps free of a copy of the request.
    private var kernelText: String? {
        guard Int32(flags) & NLM_F_ACK_TLVS != 0 else { return nil }
        let head = type == UInt16(NLMSG_DONE) ? MemoryLayout<Int32>.size : MemoryLayout<nlmsgerr>.size
        var attributes = Attributes(payload.dropFirst(head))
        while let attribute = try? attributes.next() {
            if attribute.type == Int(NLMSGERR_ATTR_MSG.rawValue) { return attribute.text }
        }
        return nil
    }
}
