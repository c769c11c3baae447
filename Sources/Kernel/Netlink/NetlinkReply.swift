internal import CMNL

/// One message from the kernel. It is a view of the socket's buffer: take values out of it, do not keep it.
public struct NetlinkReply {
    /// The message type of the protocol, or the number of a generic netlink family.
    public let type: UInt16
    let flags: UInt16
    let sequence: UInt32
    let port: UInt32
    /// What follows the netlink header.
    public let payload: ArraySlice<UInt8>

    /// Takes the next message off the front of `datagram`, or returns `nil` at its end.
    package init?(takenFrom datagram: inout ArraySlice<UInt8>) throws(MalformedReply) {
        guard !datagram.isEmpty else { return nil }
        let header = unsafe datagram.withUnsafeBytes { bytes -> nlmsghdr? in
            let header = unsafe bytes.baseAddress!.assumingMemoryBound(to: nlmsghdr.self)
            guard unsafe mnl_nlmsg_ok(header, Int32(bytes.count)) else { return nil }
            // libmnl compares the length as a signed number, so one of 2^31 bytes or more is fine with it (measured,
            // 1.0.4).
            return unsafe Int(header.pointee.nlmsg_len) <= bytes.count ? header.pointee : nil
        }
        guard let header else { throw MalformedReply("\(datagram.count) bytes that are no message") }
        type = header.nlmsg_type
        flags = header.nlmsg_flags
        sequence = header.nlmsg_seq
        port = header.nlmsg_pid
        payload = datagram.prefix(Int(header.nlmsg_len)).dropFirst(MemoryLayout<nlmsghdr>.size)
        datagram = datagram.dropFirst(Int(padded(header.nlmsg_len)))
    }

    /// The C struct before the attributes, and the attributes.
    public func parse<Header: BitwiseCopyable>(_ header: Header.Type) throws(MalformedReply) -> (Header, Attributes) {
        let size = MemoryLayout<Header>.size
        guard payload.count >= size else { throw MalformedReply("message type \(type) of \(payload.count) bytes") }
        let header = unsafe payload.withUnsafeBytes { unsafe $0.loadUnaligned(as: Header.self) }
        return (header, Attributes(payload.dropFirst(Int(padded(UInt32(size))))))
    }
}

/// What is left to read of a row of attributes.
public struct Attributes {
    private var rest: ArraySlice<UInt8>

    /// Reads attributes out of bytes, as they stand in a message.
    public init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// Takes the next attribute, or returns `nil` at the end.
    ///
    /// - Throws: if the bytes left are too few for the attribute that they begin.
    public mutating func next() throws(MalformedReply) -> Attribute? {
        guard !rest.isEmpty else { return nil }
        let found = unsafe rest.withUnsafeBytes { bytes -> (type: UInt16, length: UInt16)? in
            let attribute = unsafe bytes.baseAddress!.assumingMemoryBound(to: nlattr.self)
            guard unsafe mnl_attr_ok(attribute, Int32(bytes.count)) else { return nil }
            return unsafe (mnl_attr_get_type(attribute), mnl_attr_get_len(attribute))
        }
        guard let found else { throw MalformedReply("an attribute longer than the \(rest.count) bytes left for it") }
        let payload = rest.prefix(Int(found.length)).dropFirst(MemoryLayout<nlattr>.size)
        rest = rest.dropFirst(Int(padded(UInt32(found.length))))
        return Attribute(type: Int(found.type), payload: payload)
    }
}

/// One attribute of a message.
public struct Attribute {
    /// Without the flags for nests and byte order.
    public let type: Int
    public let payload: ArraySlice<UInt8>

    /// The number, in the byte order of this machine.
    ///
    /// - Throws: if the attribute has another size than `Value`.
    public func number<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type = Value.self
    ) throws(MalformedReply) -> Value {
        try structure(Value.self)
    }

    /// The C struct of numbers, in the byte order of this machine.
    ///
    /// - Throws: if the attribute has another size than `Value`.
    public func structure<Value: BitwiseCopyable>(_ type: Value.Type) throws(MalformedReply) -> Value {
        let bytes = try bytes(MemoryLayout<Value>.size)
        return unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(as: Value.self) }
    }

    /// The bytes.
    ///
    /// - Throws: if they are not `count`.
    public func bytes(_ count: Int) throws(MalformedReply) -> ArraySlice<UInt8> {
        guard payload.count == count
        else { throw MalformedReply("attribute \(type) of \(payload.count) bytes and not \(count)") }
        return payload
    }

    /// The text up to the first NUL. Bytes that are not UTF-8 are replaced.
    public var text: String { String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self) }

    /// The attributes in it.
    public var nested: Attributes { Attributes(payload) }
}

/// The length with its padding: MNL_ALIGN, a macro that Swift does not import. Source: libmnl.h.
func padded(_ length: UInt32) -> UInt32 { (length + UInt32(MNL_ALIGNTO) - 1) & ~(UInt32(MNL_ALIGNTO) - 1) }
