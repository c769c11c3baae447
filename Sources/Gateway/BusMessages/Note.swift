public import KexProtocol
internal import Keys

/// What a gateway of ours says of a router.
///
/// ```
/// version 1 | kind | time, 8 bytes | last heard, 8 bytes | length of the name | name | signature, 64 bytes, or none
/// ```
///
/// Numbers have the most significant byte first. The signature is Ed25519 over the words `kex-bus`, a NUL, the topic, a
/// NUL and the payload up to it: a note under another topic, of another domain or router, is not what was signed.
public struct RouterNote: Hashable, Sendable {
    public enum State: Hashable, Sendable {
        /// It asks to be let in, and nobody has heard of it yet. Not to be retained.
        case registered
        /// Its last handshake with this gateway, in seconds since 1970. Retained, and refreshed while it lives.
        case heard(at: Int64)
        /// It was removed. Retained, so that a gateway that was away learns of it, until it expires.
        case removed
    }

    /// Who says so.
    public var gateway: GatewayName
    /// When it was said, in milliseconds since 1970 by that gateway's clock. Of two notes the later one holds: whoever
    /// keeps notes does without any that is not later than what it has.
    public var time: Int64
    public var state: State

    /// - Parameter time: not negative, as the time of a handshake.
    public init(gateway: GatewayName, time: Int64, state: State) {
        self.gateway = gateway
        self.time = time
        self.state = state
    }
}

/// How many notes a gateway keeps with the broker. Version, kind and time as ``RouterNote`` has them, the count, 8
/// bytes, and a signature or none.
public struct CountNote: Hashable, Sendable {
    /// As ``RouterNote/time``.
    public var time: Int64
    public var count: Int64

    /// - Parameters: neither is negative.
    public init(time: Int64, count: Int64) {
        self.time = time
        self.count = count
    }
}

private enum NoteForm {
    static let version: UInt8 = 1
    /// Version, kind, time, number.
    static let headSize = 18

    enum Kind: UInt8 {
        case registered = 1
        case heard = 2
        case removed = 3
        case count = 4
    }

    static func head(_ kind: Kind, _ time: Int64, _ number: Int64) -> [UInt8] {
        precondition(time >= 0 && number >= 0, "times and counts are not negative")
        return [version, kind.rawValue] + bigEndian(time) + bigEndian(number)
    }

    private static func bigEndian(_ value: Int64) -> [UInt8] {
        stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    /// Reads the head, everything about it checked but whether the kind is wanted here.
    static func head(
        of payload: Span<UInt8>
    ) throws(MalformedMessage) -> (kind: Kind, time: Int64, number: Int64) {
        guard payload.count >= headSize else { throw .payload("a note of \(payload.count) bytes") }
        guard payload[0] == version else { throw .payload("a note of version \(payload[0])") }
        guard let kind = Kind(rawValue: payload[1]) else { throw .payload("a note of kind \(payload[1])") }
        func number(_ start: Int) -> Int64 { (start..<start + 8).reduce(0) { $0 << 8 | Int64(payload[$1]) } }
        let (time, value) = (number(2), number(10))
        guard time >= 0, value >= 0 else { throw .payload("a negative number") }
        return (kind, time, value)
    }

    /// Checks that after `size` bytes there is a signature or nothing.
    static func checkEnd(of payload: Span<UInt8>, size: Int) throws(MalformedMessage) {
        guard [size, size + SigningKey.signatureLength].contains(payload.count) else {
            throw .payload("a note of \(payload.count) bytes")
        }
    }
}

extension RouterNote {
    /// Without a signature.
    var encoded: [UInt8] {
        let head =
            switch state {
            case .registered: NoteForm.head(.registered, time, 0)
            case .heard(let heard): NoteForm.head(.heard, time, heard)
            case .removed: NoteForm.head(.removed, time, 0)
            }
        return head + [UInt8(gateway.text.utf8.count)] + gateway.text.utf8
    }

    /// - Returns: the note, and how many bytes of the payload are signed if it has a signature.
    static func parse(_ payload: Span<UInt8>) throws(MalformedMessage) -> (RouterNote, signed: Int) {
        let (kind, time, number) = try NoteForm.head(of: payload)
        let state: State
        switch kind {
        case .registered: state = .registered
        case .heard: state = .heard(at: number)
        case .removed: state = .removed
        case .count: throw .payload("a count under a router's topic")
        }
        guard kind == .heard || number == 0 else { throw .payload("a time of a handshake that was none") }
        let start = NoteForm.headSize + 1
        guard payload.count >= start else { throw .payload("a note of \(payload.count) bytes") }
        let end = start + Int(payload[start - 1])
        try NoteForm.checkEnd(of: payload, size: end)
        guard let gateway = GatewayName(bytes: payload.extracting(start..<end)) else {
            throw .payload("a bad name of a gateway")
        }
        return (RouterNote(gateway: gateway, time: time, state: state), end)
    }
}

extension CountNote {
    /// Without a signature.
    var encoded: [UInt8] { NoteForm.head(.count, time, count) }

    /// As ``RouterNote``'s.
    static func parse(_ payload: Span<UInt8>) throws(MalformedMessage) -> (CountNote, signed: Int) {
        let (kind, time, number) = try NoteForm.head(of: payload)
        guard kind == .count else { throw .payload("a note on a router under a count's topic") }
        try NoteForm.checkEnd(of: payload, size: NoteForm.headSize)
        return (CountNote(time: time, count: number), NoteForm.headSize)
    }
}
