internal import Glibc
internal import Netlink
internal import NetworkAddresses
internal import Secrets
internal import SystemCalls
internal import SystemPackage
internal import Time
internal import WireGuardTypes

/// Whether something at `path` could be the socket of a userspace WireGuard.
func isSocket(_ path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFSOCK
}

/// A WireGuard interface that a process runs, over the text protocol of its Unix socket.
///
/// One connection is kept. Each request waits for the reply to the one before: wireguard-go reads ahead, loses what it
/// has read, and answers one of two requests (measured). The socket is never unlinked: it belongs to the process.
///
/// Source: "Cross-platform Userspace Implementation" of wireguard.com, the UAPI text protocol.
final class UserspaceWireGuard: WireGuardInterface {
    /// Longest wait for the reply to a change. One of 64 peers takes 3 ms (measured with wireguard-go).
    static let changeTimeout: Duration = .seconds(2)
    /// Longest wait for the whole state. That of 10,000 peers takes 0.1 s and 3.2 MB (measured with wireguard-go).
    /// Shorter than the five seconds that a router's exchange may wait, so that one interface that does not answer does
    /// not fail the exchanges of others behind it.
    static let stateTimeout: Duration = .seconds(4)
    let name: InterfaceName
    private let path: String
    private let changeTimeout: Duration
    private let stateTimeout: Duration
    /// `nil` after every failure: the rest of that conversation means nothing.
    private var connection: UAPIConnection?
    /// Its size is that of the longest line of a reply.
    private let buffer: DatagramBuffer

    /// Connects.
    init(
        _ name: InterfaceName,
        path: String,
        buffer: DatagramBuffer = DatagramBuffer(),
        changeTimeout: Duration = changeTimeout,
        stateTimeout: Duration = stateTimeout
    ) throws(WireGuardError) {
        self.name = name
        self.path = path
        self.buffer = buffer
        self.changeTimeout = changeTimeout
        self.stateTimeout = stateTimeout
        do throws(UAPIFailure) {
            connection = try UAPIConnection(path: path)
        } catch {
            throw WireGuardError(error, .readState, name)
        }
    }

    // MARK: - Operations

    func state() throws(WireGuardError) -> DeviceState {
        defer { buffer.wipe() }
        var state = DeviceState()
        try exchange(.readState, Array("get=1\n".utf8), within: stateTimeout) { key, value throws(UAPIFailure) in
            // Two attempts are possible, but only one of them gets as far as its first line.
            try state.take(key, value)
        }
        return state
    }

    func privateKey() throws(WireGuardError) -> PrivateKey? {
        defer { buffer.wipe() }
        var privateKey: PrivateKey?
        try exchange(.readKey, Array("get=1\n".utf8), within: stateTimeout) { key, value throws(UAPIFailure) in
            if key == .privateKey { privateKey = try ownPrivateKey(value) }
        }
        return privateKey
    }

    func apply(_ changes: [PeerChange]) throws(WireGuardError) {
        // The text of a change has no longest length.
        var rest = changes[...]
        while !rest.isEmpty {
            var request = Array("set=1\n".utf8)
            for change in rest.prefix(changesPerRequest) { change.appendUAPILines(to: &request) }
            try exchange(.applyChanges, request, within: changeTimeout) { _, _ in }
            rest = rest.dropFirst(changesPerRequest)
        }
    }

    func configure(privateKey: PrivateKey?, listenPort: UInt16?, firewallMark: UInt32?) throws(WireGuardError) {
        guard privateKey != nil || listenPort != nil || firewallMark != nil else { return }
        var lines: [UInt8] = []
        // More than all of it: an array that grows leaves a copy of the key behind.
        lines.reserveCapacity(256)
        lines += "set=1\n".utf8
        if let privateKey {
            lines += "private_key=".utf8
            lines.appendHexadecimal(privateKey)
            lines += "\n".utf8
        }
        if let listenPort { lines += "listen_port=\(listenPort)\n".utf8 }
        if let firewallMark { lines += "fwmark=\(firewallMark)\n".utf8 }
        try exchange(.configure, lines, within: changeTimeout) { _, _ in }
    }

    // MARK: - Conversation

    /// Sends a request, to which the empty line at its end is added, and reads the reply. The request is wiped, since
    /// it may have keys in it.
    private func exchange(
        _ operation: WireGuardOperation,
        _ lines: consuming [UInt8],
        within timeout: Duration,
        _ line: (_ key: UAPIKey, _ value: ArraySlice<UInt8>) throws(UAPIFailure) -> Void
    ) throws(WireGuardError) {
        var request = lines
        request.append(UInt8(ascii: "\n"))
        defer { SecretBytes.wipe(&request) }
        let deadline = MonotonicTime.now + timeout
        do throws(UAPIFailure) {
            if let kept = connection.take() {
                do throws(UAPIFailure) {
                    try kept.exchange(request, buffer: &buffer.bytes, until: deadline, line)
                    connection = consume kept
                    return
                } catch {
                    // Some implementations close after each reply. Every request can be repeated without harm.
                    guard case .closed = error else { throw error }
                }
            }
            let fresh = try UAPIConnection(path: path)
            try fresh.exchange(request, buffer: &buffer.bytes, until: deadline, line)
            connection = consume fresh
        } catch {
            throw WireGuardError(error, operation, name)
        }
    }
}

extension WireGuardError {
    /// A failure of the conversation in the words of this module.
    init(_ failure: UAPIFailure, _ operation: WireGuardOperation, _ name: InterfaceName) {
        switch failure {
        // A process that ends in order takes its socket with it.
        case .noSocket: self = .noSuchInterface(name)
        case .closed: self = .malformedReply(operation, name, detail: "none, the connection was closed")
        case .system(let error): self = .unreachable(operation, name, error)
        case .noAnswer: self = .noAnswer(operation, name)
        case .malformed(let detail): self = .malformedReply(operation, name, detail: detail)
        case .refused(let errno): self = .refused(operation, name, errno: errno, text: nil)
        }
    }
}
