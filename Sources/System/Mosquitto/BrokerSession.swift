internal import CLinux
internal import CMosquitto
internal import EventLoop
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage
internal import TLSFiles

/// One connection, from its first byte to its last, and all that is C of it. libmosquitto would go on with the same
/// client and bring unacknowledged messages into the next connection; a new client for each has nothing from before.
///
/// Nothing of libmosquitto runs on a thread of its own. But mosquitto_connect*(), mosquitto_connect_async() included,
/// waits in getaddrinfo(3) for as long as the resolver likes, 30 s and more if no server answers; and the only variant
/// that takes properties of MQTT 5, mosquitto_connect_bind_v5(), also waits for connect(2) (source of 2.0; the other
/// does not, but then never tries a second address). So this one call is made on another thread. It reads the files for
/// TLS, sends CONNECT, and leaves a non-blocking socket; the handshake of TLS and all that follows do not wait. Of the
/// callbacks only that for log lines can come in it.
///
/// `@unchecked Sendable`: until ``opening`` has an outcome only that thread uses the session, and from then on only its
/// owner's.
@safe final class BrokerSession: @unchecked Sendable {
    private let client: OpaquePointer
    private let settings: BrokerSettings
    /// Its outcome is why there is no connection, or `nil`.
    private let opening: SideThread<String?>

    private(set) var isOpen = false
    /// Whether the broker has let us in.
    private(set) var isConnected = false
    /// Why the session is over; `nil` while it is not.
    private(set) var end: Disconnection?
    /// Whether more may wait to be read than ``transfer(_:)`` took.
    private(set) var hasMore = false
    /// What happened since they were taken last.
    private var events: [BrokerEvent] = []
    /// Messages over a limit, since they were taken last.
    private var dropped = 0
    /// Publications that the broker has not acknowledged.
    private var unacknowledged: Set<Int32> = []
    /// Publications of the lowest quality that the socket has not taken.
    private var unsent = 0
    /// Callbacks so far: whether a read brought anything.
    private var callbacks = 0
    /// What libmosquitto wrote last that it calls an error: it says more than its numbers.
    private var errorLine: String?
    /// The reason code of CONNACK or DISCONNECT.
    private var reason: UInt8?

    /// Not safe to be called twice at a time, says its manual.
    private static let libraryIsReady: Bool = mosquitto_lib_init() == MOSQ_ERR_SUCCESS.rawValue

    init(_ settings: BrokerSettings) throws(SessionFailure) {
        precondition(Self.libraryIsReady, "libmosquitto always starts on Linux")
        let opening: SideThread<String?>
        do throws(SystemCallError) { opening = try SideThread() } catch { throw SessionFailure(text: "\(error)") }
        // It also ignores SIGPIPE from now on, which its writes need.
        guard let client = unsafe mosquitto_new(settings.clientID, true, nil) else {
            throw SessionFailure(text: "\(Errno(rawValue: errno))")
        }
        self.opening = opening
        unsafe self.client = unsafe client
        self.settings = settings
        // Unretained: the client dies with the session.
        unsafe mosquitto_user_data_set(client, Unmanaged.passUnretained(self).toOpaque())
        setCallbacks()
        try configure()
    }

    deinit { unsafe mosquitto_destroy(client) }

    private func configure() throws(SessionFailure) {
        try must(unsafe mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5), "use MQTT 5")
        try must(unsafe mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1), "send at once")
        let most = Int32(BrokerLimit.receiveMaximum)
        try must(unsafe mosquitto_int_option(client, MOSQ_OPT_RECEIVE_MAXIMUM, most), "take that much at once")
        if settings.user != nil || settings.password != nil {
            try must(unsafe mosquitto_username_pw_set(client, settings.user, settings.password), "use this user")
        }
        if let will = settings.will {
            let quality = BrokerQuality.atLeastOnce.rawValue
            try must(
                unsafe mosquitto_will_set_v5(
                    client,
                    will.topic,
                    Int32(will.payload.count),
                    will.payload,
                    quality,
                    true,
                    nil
                ),
                "use this will"
            )
        }
        guard let tls = settings.tls else { return }
        for file in [tls.authorities, tls.identity?.certificate, tls.identity?.privateKey] {
            // libmosquitto says of any of them that an argument is invalid.
            if let file, unsafe access(file, R_OK) != 0 {
                throw SessionFailure(text: "cannot read \(file): \(Errno(rawValue: errno)) (errno \(errno))")
            }
        }
        let certificate = tls.identity?.certificate
        try must(
            // Without a callback OpenSSL would ask the terminal for a key's passphrase.
            unsafe mosquitto_tls_set(client, tls.authorities, nil, certificate, tls.identity?.privateKey) {
                _,
                _,
                _,
                _ in
                0
            },
            "use these files for TLS"
        )
        // 1 is SSL_VERIFY_PEER; the name is checked because mosquitto_tls_insecure_set(3) was not called.
        try must(unsafe mosquitto_tls_opts_set(client, 1, nil, nil), "use TLS")
    }

    private func must(_ status: Int32, _ what: String) throws(SessionFailure) {
        guard status != MOSQ_ERR_SUCCESS.rawValue else { return }
        throw SessionFailure(text: "libmosquitto cannot \(what): \(Self.text(of: status))")
    }

    /// Each is a C function: formed here and not where an actor is, it does not ask what thread it is on.
    private func setCallbacks() {
        unsafe mosquitto_connect_v5_callback_set(client) { _, session, reason, _, _ in
            unsafe BrokerSession.from(session).wasAnswered(reason)
        }
        unsafe mosquitto_disconnect_v5_callback_set(client) { _, session, reason, _ in
            unsafe BrokerSession.from(session).wasDisconnected(reason)
        }
        unsafe mosquitto_message_v5_callback_set(client) { _, session, message, _ in
            guard let message = unsafe message?.pointee else { return }
            unsafe BrokerSession.from(session).received(message)
        }
        unsafe mosquitto_publish_v5_callback_set(client) { _, session, id, reason, _ in
            unsafe BrokerSession.from(session).published(id, reason)
        }
        unsafe mosquitto_subscribe_v5_callback_set(client) { _, session, id, count, reasons, _ in
            guard count > 0, let reasons = unsafe reasons else { return }
            unsafe BrokerSession.from(session).subscribed(id, reasons[0])
        }
        unsafe mosquitto_log_callback_set(client) { _, session, level, line in
            guard UInt32(bitPattern: level) == MOSQ_LOG_ERR, let line = unsafe line else { return }
            unsafe BrokerSession.from(session).errorLine = String(cString: line)
        }
    }

    private static func from(_ pointer: UnsafeMutableRawPointer?) -> BrokerSession {
        guard let pointer = unsafe pointer else { preconditionFailure("libmosquitto gives back what it was given") }
        return unsafe Unmanaged<BrokerSession>.fromOpaque(pointer).takeUnretainedValue()
    }

    // MARK: - Opening

    /// Makes the connection on another thread. ``watch`` reports when it is there.
    func open() { opening.run(connect) { "\($0)" } }

    /// - Returns: why it did not work.
    private func connect() -> String? {
        var properties: OpaquePointer?
        defer { unsafe mosquitto_property_free_all(&properties) }
        let limit = UInt32(BrokerLimit.packet)
        unsafe mosquitto_property_add_int32(&properties, Int32(MQTT_PROP_MAXIMUM_PACKET_SIZE.rawValue), limit)
        let keepalive = Int32(BrokerLimit.keepalive / .seconds(1))
        let status = unsafe mosquitto_connect_bind_v5(
            client,
            settings.host,
            Int32(settings.port),
            keepalive,
            nil,
            properties
        )
        // It leaves the resolver's number in errno.
        let number = errno
        switch status {
        case Int32(MOSQ_ERR_SUCCESS.rawValue): return nil
        case Int32(MOSQ_ERR_EAI.rawValue): return unsafe String(cString: gai_strerror(number))
        default: return errorLine ?? Self.text(of: status, errno: number)
        }
    }

    /// Takes over from the other thread if that is done.
    private func takeOver() {
        guard let failure = opening.outcome() else { return }
        if let failure { end = .unreachable(failure) } else { isOpen = true }
    }

    // MARK: - Transfer

    /// What the loop is to watch for a session.
    struct Watch: Equatable {
        var descriptor: FileDescriptor
        var readiness: EventLoop.Readiness
        /// Whether the descriptor reports the end of ``open()``, and is not yet the broker's.
        var isOpening: Bool
    }

    /// `nil` when the session is over.
    var watch: Watch? {
        guard end == nil else { return nil }
        guard isOpen else { return Watch(descriptor: opening.descriptor, readiness: .readable, isOpening: true) }
        let socket = FileDescriptor(rawValue: unsafe mosquitto_socket(client))
        let wantsToWrite = unsafe mosquitto_want_write(client)
        return Watch(
            descriptor: socket,
            readiness: wantsToWrite ? [.readable, .writable] : .readable,
            isOpening: false
        )
    }

    /// The descriptor is ready, or ``hasMore``.
    func transfer(_ readiness: EventLoop.Readiness) {
        guard isOpen else { return takeOver() }
        if readiness.contains(.writable) { check(unsafe mosquitto_loop_write(client, 1)) }
        if readiness.contains(.readable) { read() }
    }

    /// Reads until the socket has nothing more. With TLS that cannot be left to the next event: OpenSSL may hold what
    /// the socket no longer has. libmosquitto says only with errno that there was nothing to read, and it says the same
    /// when an acknowledgement could not be written; so it counts only if there was no callback either.
    private func read() {
        hasMore = false
        for _ in 0..<BrokerLimit.readsPerRound {
            guard end == nil else { return }
            let before = callbacks
            errno = 0
            let status = unsafe mosquitto_loop_read(client, 1)
            let isEmpty = errno == EAGAIN && callbacks == before
            check(status)
            if isEmpty { return }
        }
        hasMore = true
    }

    /// Sends a sign of life if it is time, or finds that the broker gives none. To be called every
    /// ``BrokerLimit/careInterval``.
    func care() {
        if isOpen && end == nil { check(unsafe mosquitto_loop_misc(client)) }
    }

    /// Checks the result of a call that transfers bytes. libmosquitto reports some ends by a callback only, and some by
    /// nothing but the socket that is gone.
    private func check(_ status: Int32) {
        let number = errno
        let isGone = unsafe mosquitto_socket(client) == -1
        guard end == nil, status != MOSQ_ERR_SUCCESS.rawValue || isGone else { return }
        end =
            switch (reason, isConnected) {
            case (let code?, false): .refused(code)
            case (let code?, true): .ended(code)
            case (nil, _): .lost(errorLine ?? Self.text(of: status, errno: number))
            }
        isConnected = false
    }

    private static func text(of status: Int32, errno number: Int32 = errno) -> String {
        status == MOSQ_ERR_ERRNO.rawValue
            ? "\(Errno(rawValue: number)) (errno \(number))" : unsafe String(cString: mosquitto_strerror(status))
    }

    // MARK: - Requests

    func publish(
        _ topic: String,
        _ payload: [UInt8],
        _ quality: BrokerQuality,
        isRetained: Bool,
        expiry: UInt32?
    ) throws(BrokerError) -> Int32 {
        guard isConnected else { throw .notConnected }
        guard topic.utf8.count <= BrokerLimit.topic, payload.count <= BrokerLimit.payload else { throw .tooLong }
        guard unacknowledged.count + unsent < BrokerLimit.unacknowledged else { throw .busy }
        var properties: OpaquePointer?
        defer { unsafe mosquitto_property_free_all(&properties) }
        if let expiry {
            unsafe mosquitto_property_add_int32(
                &properties,
                Int32(MQTT_PROP_MESSAGE_EXPIRY_INTERVAL.rawValue),
                expiry
            )
        }
        var id: Int32 = 0
        // The socket may take the message in this call, and the callback come before its end.
        if quality == .atMostOnce { unsent += 1 }
        let status = unsafe mosquitto_publish_v5(
            client,
            &id,
            topic,
            Int32(payload.count),
            payload,
            quality.rawValue,
            isRetained,
            properties
        )
        do throws(BrokerError) {
            try accept(status)
        } catch {
            if quality == .atMostOnce { unsent -= 1 }
            throw error
        }
        if quality == .atLeastOnce { unacknowledged.insert(id) }
        return id
    }

    func subscribe(
        to filter: String,
        _ quality: BrokerQuality,
        withOwn: Bool,
        withKept: Bool
    ) throws(BrokerError) -> Int32 {
        guard isConnected else { throw .notConnected }
        guard filter.utf8.count <= BrokerLimit.topic else { throw .tooLong }
        var id: Int32 = 0
        let own = withOwn ? 0 : MQTT_SUB_OPT_NO_LOCAL.rawValue
        let kept = withKept ? MQTT_SUB_OPT_SEND_RETAIN_ALWAYS.rawValue : MQTT_SUB_OPT_SEND_RETAIN_NEVER.rawValue
        try accept(unsafe mosquitto_subscribe_v5(client, &id, filter, quality.rawValue, Int32(own | kept), nil))
        return id
    }

    private func accept(_ status: Int32) throws(BrokerError) {
        switch mosq_err_t(rawValue: status) {
        case MOSQ_ERR_SUCCESS: return
        case MOSQ_ERR_INVAL, MOSQ_ERR_MALFORMED_UTF8, MOSQ_ERR_PAYLOAD_SIZE, MOSQ_ERR_OVERSIZE_PACKET,
            MOSQ_ERR_QOS_NOT_SUPPORTED, MOSQ_ERR_RETAIN_NOT_SUPPORTED:
            throw .notAllowed(Self.text(of: status))
        default:
            check(status)
            throw .notConnected
        }
    }

    /// Ends the connection in order: what waits to be sent goes first, as far as the socket takes it, and the will is
    /// forgotten.
    func close() {
        if isOpen && end == nil { _ = unsafe mosquitto_disconnect_v5(client, 0, nil) }
    }

    // MARK: - Callbacks

    private func wasAnswered(_ reason: Int32) {
        callbacks += 1
        guard reason == 0 else {
            self.reason = UInt8(truncatingIfNeeded: reason)
            return
        }
        isConnected = true
        // From here on it would be asked for each packet.
        unsafe mosquitto_log_callback_set(client, nil)
        errorLine = nil
        events.append(.connected)
    }

    /// Comes with a reason code of MQTT, which as a refusal is 128 at least, or with a number of libmosquitto's, which
    /// is less.
    private func wasDisconnected(_ reason: Int32) {
        callbacks += 1
        if reason >= 128 { self.reason = UInt8(truncatingIfNeeded: reason) }
    }

    private func received(_ message: mosquitto_message) {
        callbacks += 1
        guard let topic = unsafe message.topic else { return }
        let topicLength = unsafe strnlen(topic, BrokerLimit.topic + 1)
        let length = unsafe Int(message.payloadlen)
        guard topicLength <= BrokerLimit.topic, length <= BrokerLimit.payload else {
            dropped += 1
            return
        }
        let topicBytes = unsafe UnsafeRawBufferPointer(start: topic, count: topicLength)
        let payload = unsafe UnsafeRawBufferPointer(start: message.payload, count: length)
        events.append(
            .message(
                unsafe BrokerMessage(topic: Array(topicBytes), payload: Array(payload), isRetained: message.retain)
            )
        )
    }

    private func published(_ id: Int32, _ reason: Int32) {
        callbacks += 1
        if unacknowledged.remove(id) == nil {
            unsent -= 1
        } else {
            events.append(.acknowledged(id: id, reason: UInt8(truncatingIfNeeded: reason)))
        }
    }

    private func subscribed(_ id: Int32, _ reason: Int32) {
        callbacks += 1
        events.append(.subscribed(id: id, reason: UInt8(truncatingIfNeeded: reason)))
    }

    /// Whether ``takeEvents()`` has something.
    var hasEvents: Bool { !events.isEmpty || end != nil }

    func takeEvents() -> [BrokerEvent] {
        defer { events = [] }
        return events
    }

    func takeDropped() -> Int {
        defer { dropped = 0 }
        return dropped
    }
}

/// Why a session cannot even begin.
struct SessionFailure: Error {
    let text: String
}
