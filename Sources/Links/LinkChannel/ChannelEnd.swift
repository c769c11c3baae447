public import EventLoop
internal import Secrets
public import SystemCalls
public import SystemPackage
public import Time

/// Why a conversation cannot go on.
public enum ChannelFailure: Error, Hashable, Sendable, CustomStringConvertible {
    case malformed(MalformedFrame)
    case system(SystemCallError)
    /// The other side takes nothing any more.
    case stuck

    public var description: String {
        switch self {
        case .malformed(let frame): "the other process sent a frame \(frame)"
        case .system(let error): "\(error)"
        case .stuck: "the other process takes nothing any more"
        }
    }

    /// Whether the other process has ended, or is about to: what it had not read yet makes the kernel say so by an
    /// error.
    public var isPeerGone: Bool {
        guard case .system(let error) = self else { return false }
        return error.errno == .brokenPipe || error.errno == .connectionReset
    }
}

/// One end of the conversation of a keeper and a member, on an event loop. It never waits.
public final class ChannelEnd {
    /// Most packets that wait for the other side. A snapshot of the longest kind has 280.
    public static let maximumWaiting = 4096

    private struct Outgoing {
        var packet: [UInt8]
        /// Whose owner waits with it.
        var descriptor: SharedDescriptor?
    }

    private let descriptor: OwnedDescriptor
    private let token: UInt64
    private var outgoing: [Outgoing] = []
    private var buffer = [UInt8](repeating: 0, count: FramePackets.maximumLength + 1)
    private var isCongested = false
    /// Since when the other side takes nothing; `nil` if it does.
    public private(set) var stuckSince: MonotonicTime?

    /// - Parameter token: what the loop reports for it.
    public init(_ descriptor: consuming OwnedDescriptor, token: UInt64) {
        self.descriptor = descriptor
        self.token = token
    }

    public func watch(on loop: borrowing EventLoop) throws(SystemCallError) {
        try loop.watch(descriptor.raw, for: .readable, token: token)
    }

    /// Whether the other side has taken everything.
    public var isEmpty: Bool { outgoing.isEmpty }

    /// Adds packets to what is to be sent.
    ///
    /// - Parameter carried: goes along with the first one. The other side gets one of its own.
    /// - Throws: ``ChannelFailure/stuck`` if too many wait.
    public func enqueue(_ packets: [[UInt8]], with carried: SharedDescriptor? = nil) throws(ChannelFailure) {
        guard outgoing.count + packets.count <= Self.maximumWaiting else { throw .stuck }
        for (index, packet) in packets.enumerated() {
            outgoing.append(Outgoing(packet: packet, descriptor: index == 0 ? carried : nil))
        }
    }

    /// Sends what the other side takes now, and has `loop` report when it takes more.
    ///
    /// - Throws: also if the other side is gone.
    public func flush(on loop: borrowing EventLoop, now: MonotonicTime) throws(ChannelFailure) {
        do throws(SystemCallError) {
            var count = 0
            defer { outgoing.removeFirst(count) }
            while count < outgoing.count, try send(outgoing[count]) {
                // A packet may have the secret of a pair in it.
                SecretBytes.wipe(&outgoing[count].packet)
                count += 1
            }
            let isBehind = count < outgoing.count
            stuckSince = isBehind ? (count > 0 ? now : stuckSince ?? now) : nil
            guard isBehind != isCongested else { return }
            try loop.change(descriptor.raw, to: isBehind ? [.readable, .writable] : .readable, token: token)
            isCongested = isBehind
        } catch {
            throw .system(error)
        }
    }

    private func send(_ next: Outgoing) throws(SystemCallError) -> Bool {
        guard let carried = next.descriptor else { return try Socket.send(next.packet, to: descriptor.raw) != nil }
        return try Socket.send(next.packet, with: carried.raw, to: descriptor.raw)
    }

    /// What a receive brought.
    enum Reception {
        case packet(ArraySlice<UInt8>, SharedDescriptor?)
        case nothingYet
        case end
    }

    func receive() throws(ChannelFailure) -> Reception {
        do throws(SystemCallError) {
            let delivery = try Socket.receiveDelivery(from: descriptor.raw, into: &buffer)
            switch delivery.received {
            case .bytes(let count):
                let carried = delivery.takeDescriptor()
                guard count <= FramePackets.maximumLength else {
                    throw SystemCallError("receive", "a longer packet than there are", errno: .messageTooLong)
                }
                guard let carried else { return .packet(buffer[..<count], nil) }
                return .packet(buffer[..<count], SharedDescriptor(carried))
            case .nothingYet: return .nothingYet
            case .end: return .end
            }
        } catch {
            throw .system(error)
        }
    }
}

/// A descriptor with several owners, of whom the last one closes it.
public final class SharedDescriptor {
    public let raw: FileDescriptor
    private var owned: OwnedDescriptor?

    public init(_ owned: consuming OwnedDescriptor) {
        raw = owned.raw
        self.owned = consume owned
    }

    /// Hands the descriptor on to one owner; `nil` if that was done before.
    public func take() -> OwnedDescriptor? { owned.take() }
}

/// The keeper's end.
public struct KeeperEnd {
    public let end: ChannelEnd
    private var assembler = FrameAssembler(limits: MemberFrame.limits)

    public init(_ end: ChannelEnd) { self.end = end }

    /// The next frame.
    ///
    /// - Parameter end: is set if the other side has ended.
    /// - Returns: `nil` if none has come.
    /// - Throws: for a frame that breaks the rules: the member is to be ended.
    public mutating func next(isAtEnd: inout Bool) throws(ChannelFailure) -> MemberFrame? {
        while true {
            switch try end.receive() {
            case .nothingYet: return nil
            case .end:
                isAtEnd = true
                return nil
            case .packet(let packet, let descriptor):
                do throws(MalformedFrame) {
                    guard descriptor == nil else { throw MalformedFrame("with a descriptor") }
                    guard let assembled = try assembler.take(packet) else { continue }
                    return try MemberFrame(assembled)
                } catch {
                    throw .malformed(error)
                }
            }
        }
    }
}

/// The member's end.
public struct MemberEnd {
    public let end: ChannelEnd
    private var assembler = FrameAssembler(limits: KeeperFrame.limits)

    public init(_ end: ChannelEnd) { self.end = end }

    /// The next frame, and for one about a socket that socket. As ``KeeperEnd/next(isAtEnd:)`` otherwise.
    public mutating func next(
        isAtEnd: inout Bool
    ) throws(ChannelFailure) -> (frame: KeeperFrame, descriptor: SharedDescriptor?)? {
        while true {
            switch try end.receive() {
            case .nothingYet: return nil
            case .end:
                isAtEnd = true
                return nil
            case .packet(let packet, let shared):
                do throws(MalformedFrame) {
                    guard let assembled = try assembler.take(packet) else { continue }
                    let frame = try KeeperFrame(assembled)
                    var isSocket = false
                    if case .socket = frame { isSocket = true }
                    guard isSocket == (shared != nil) else { throw MalformedFrame("without its descriptor") }
                    return (frame, shared)
                } catch {
                    throw .malformed(error)
                }
            }
        }
    }
}
