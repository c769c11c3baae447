/// Numbers of the protocol between `kex-handler` and those who ask it: see ``HandlerSocket``.
///
/// Every packet of the SOCK_SEQPACKET connection is one frame: version (1 byte), kind (1), number of records (2, most
/// significant byte first), then that many records of a fixed size. A frame of any other length is refused whole, and
/// its sender is disconnected: both sides are ours, so nonsense means that one of them is broken or taken over.
enum Frame {
    static let version: UInt8 = 1
    /// Version, kind, count. In bytes.
    static let headerSize = 4

    enum Kind: UInt8, CaseIterable {
        case registrations = 1
        case answers = 2
        case sweep = 3
        case sweepEvents = 4
        case sweepEnd = 5
        case statusRequests = 6
        case statuses = 7
        case routerNews = 8
        case routerListRequest = 9
        case routerRecords = 10
        case routerListEnd = 11
        case choiceRequests = 12
        case choices = 13
        case remoteRegistrations = 14
        case newsAnswers = 15
        case routerRemovals = 16

        static let largestRecord = allCases.map(\.recordSize).max() ?? 0

        /// Bytes of one record.
        var recordSize: Int {
            switch self {
            case .registrations: RegistrationRequest.encodedSize
            case .answers: RegistrationAnswer.encodedSize
            case .sweep: SweepRequest.encodedSize
            case .sweepEvents: SweepEvent.encodedSize
            case .sweepEnd: SweepEnd.encodedSize
            case .statusRequests: StatusRequest.encodedSize
            case .statuses: DomainStatus.encodedSize
            case .routerNews: RouterNews.encodedSize
            case .routerListRequest: RouterListRequest.encodedSize
            case .routerRecords: RouterRecord.encodedSize
            case .routerListEnd: RouterListEnd.encodedSize
            case .choiceRequests: ChoiceRequest.encodedSize
            case .choices: ChoiceAnswer.encodedSize
            case .remoteRegistrations: RemoteRegistration.encodedSize
            case .newsAnswers: RegistrationAnswer.encodedSize
            case .routerRemovals: RouterRemoval.encodedSize
            }
        }
    }
}

/// Limits of the channel.
public enum ChannelLimit {
    /// Most records in one frame. More than this wait for the next one.
    public static let records = 64
    /// Size in bytes of a buffer that takes every legal frame.
    public static let frameSize = Frame.headerSize + records * Frame.Kind.largestRecord
    /// Most connections of one user at one local socket. A front door has one; `kex-cleanup` has one for each domain
    /// that is swept.
    public static let connectionsOfUser = 64
    /// Most connections of all users at one local socket: there are few users who may connect. Each takes a buffer of
    /// ``frameSize`` bytes.
    public static let connections = 256
}

/// Why a packet is no frame for its receiver.
public enum MalformedFrame: Error, Hashable, Sendable, CustomStringConvertible {
    case tooShort(Int)
    case version(UInt8)
    case unexpectedKind(UInt8)
    case recordCount(Int)
    case length(Int, expected: Int)
    case record(String)

    public var description: String {
        switch self {
        case .tooShort(let count): "frame of \(count) bytes"
        case .version(let version): "frame of version \(version)"
        case .unexpectedKind(let kind): "frame of kind \(kind), which is not for this side"
        case .recordCount(let count): "frame with \(count) records"
        case .length(let count, let expected): "frame of \(count) bytes, not \(expected)"
        case .record(let what): "frame with \(what)"
        }
    }
}

/// A fixed-size part of a frame.
protocol Record {
    static var encodedSize: Int { get }
    /// Appends exactly ``encodedSize`` bytes.
    func encode(into bytes: inout [UInt8])
    init(decoding bytes: Span<UInt8>, at position: inout Int) throws(MalformedFrame)
}

extension Frame {
    static func encode<R: Record>(_ kind: Kind, _ records: some Collection<R>, into bytes: inout [UInt8]) {
        precondition((1...ChannelLimit.records).contains(records.count), "a frame has 1 to 64 records")
        bytes.removeAll(keepingCapacity: true)
        bytes.append(version)
        bytes.append(kind.rawValue)
        bytes.appendBigEndian(UInt16(records.count))
        for record in records { record.encode(into: &bytes) }
        assert(bytes.count == headerSize + records.count * kind.recordSize)
    }

    /// The kind of the frame and the number of its records, after all checks of its size.
    static func header(of bytes: Span<UInt8>) throws(MalformedFrame) -> (Kind, count: Int) {
        guard bytes.count >= headerSize else { throw .tooShort(bytes.count) }
        guard bytes[0] == version else { throw .version(bytes[0]) }
        guard let kind = Kind(rawValue: bytes[1]) else { throw .unexpectedKind(bytes[1]) }
        let count = Int(bytes[2]) << 8 | Int(bytes[3])
        guard (1...ChannelLimit.records).contains(count) else { throw .recordCount(count) }
        let expected = headerSize + count * kind.recordSize
        guard bytes.count == expected else { throw .length(bytes.count, expected: expected) }
        return (kind, count)
    }

    static func records<R: Record>(
        of bytes: Span<UInt8>,
        count: Int,
        as type: R.Type = R.self
    ) throws(MalformedFrame) -> [R] {
        var position = headerSize
        var records: [R] = []
        records.reserveCapacity(count)
        for _ in 0..<count { records.append(try R(decoding: bytes, at: &position)) }
        return records
    }
}

/// Reads the fields of records one after the other. The frame's length has been checked, so no field runs over its end.
extension Span<UInt8> {
    func byte(_ position: inout Int) -> UInt8 {
        defer { position += 1 }
        return self[position]
    }

    func integer<Value: FixedWidthInteger>(_ position: inout Int, as type: Value.Type = Value.self) -> Value {
        var value: Value = 0
        for _ in 0..<Value.bitWidth / 8 { value = value << 8 | Value(truncatingIfNeeded: byte(&position)) }
        return value
    }

    /// Where the next `count` bytes are.
    func field(_ position: inout Int, _ count: Int) -> Range<Int> {
        defer { position += count }
        return position..<position + count
    }

    /// Where the text is of a length byte and a field of `size` bytes, of which the rest must be zero.
    func shortText(_ position: inout Int, _ size: Int) throws(MalformedFrame) -> Range<Int> {
        let length = Int(byte(&position))
        let field = field(&position, size)
        guard length <= size else { throw .record("a text of length \(length)") }
        for index in field.dropFirst(length) where self[index] != 0 { throw .record("bytes behind a text") }
        return field.prefix(length)
    }
}

extension [UInt8] {
    mutating func appendBigEndian<Value: FixedWidthInteger>(_ value: Value) {
        unsafe Swift.withUnsafeBytes(of: value.bigEndian) { unsafe append(contentsOf: $0) }
    }

    /// What ``Span/shortText(_:_:)`` reads. Text that does not fit is cut.
    mutating func appendShortText(_ text: String, _ size: Int) {
        var text = text
        let length = text.withUTF8 { bytes in
            let part = unsafe UnsafeBufferPointer(rebasing: bytes.prefix(size))
            append(UInt8(part.count))
            unsafe append(contentsOf: part)
            return part.count
        }
        append(contentsOf: repeatElement(0, count: size - length))
    }
}
