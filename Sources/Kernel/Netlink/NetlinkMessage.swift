internal import CMNL

/// One request, complete but for the sequence number and the port id, which the socket fills in when it is sent.
public struct NetlinkMessage: Hashable, Sendable {
    /// Longest message unless said otherwise, in bytes. Source: the ideal buffer of libmnl with pages of 4 KiB and more
    /// (MNL_SOCKET_BUFFER_SIZE), which wireguard-tools uses too.
    public static let defaultLimit = 8192

    /// Header, the family's own header and the attributes, with all padding zero.
    public let bytes: [UInt8]

    /// Builds a message.
    ///
    /// - Parameters:
    ///   - type: the message type of the protocol, or the number of a generic netlink family.
    ///   - flags: NLM_F_* other than NLM_F_REQUEST, NLM_F_ACK and NLM_F_DUMP, which are the socket's business.
    ///   - header: the C struct that the protocol puts before the attributes.
    ///   - limit: longest message in bytes, 1024 to 32768.
    ///   - attributes: puts the attributes.
    /// - Throws: what `attributes` throws; that is ``NetlinkError/messageTooLong(limit:)`` if they do not fit.
    public init(
        type: UInt16,
        flags: Int32 = 0,
        header: some BitwiseCopyable,
        limit: Int = defaultLimit,
        attributes: (inout MessageBuilder) throws(NetlinkError) -> Void
    ) throws(NetlinkError) {
        precondition(
            (1024...32768).contains(limit),
            "room for the headers, and no nest that its 16-bit length cannot hold"
        )
        bytes = try unsafe withUnsafeTemporaryAllocation(byteCount: limit, alignment: 16) {
            buffer throws(NetlinkError) in
            // libmnl writes no padding after attributes (measured with 1.0.4).
            unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0)
            // A temporary allocation of at least 1024 bytes is never empty.
            let message = unsafe mnl_nlmsg_put_header(buffer.baseAddress!)!
            unsafe message.pointee.nlmsg_type = type
            unsafe message.pointee.nlmsg_flags = UInt16(flags)
            unsafe withUnsafeBytes(of: header) { header in
                let room = unsafe mnl_nlmsg_put_extra_header(message, header.count)!
                unsafe room.copyMemory(from: header.baseAddress!, byteCount: header.count)
            }
            var builder = unsafe MessageBuilder(message: message, limit: limit)
            try attributes(&builder)
            return unsafe Array(buffer.prefix(Int(message.pointee.nlmsg_len)))
        }
    }

    /// The bytes with what only the sender knows.
    func addressed(sequence: UInt32, port: UInt32, flags: Int32) -> [UInt8] {
        var bytes = bytes
        unsafe bytes.withUnsafeMutableBytes { bytes in
            let header = unsafe bytes.baseAddress!.assumingMemoryBound(to: nlmsghdr.self)
            unsafe header.pointee.nlmsg_seq = sequence
            unsafe header.pointee.nlmsg_pid = port
            unsafe header.pointee.nlmsg_flags |= UInt16(NLM_F_REQUEST | flags)
        }
        return bytes
    }
}

/// Puts attributes into a message. Lengths and padding are libmnl's, the room is checked at each step.
@safe public struct MessageBuilder: ~Copyable {
    private let message: UnsafeMutablePointer<nlmsghdr>
    private let limit: Int

    init(message: UnsafeMutablePointer<nlmsghdr>, limit: Int) {
        unsafe self.message = message
        self.limit = limit
    }

    /// Puts a number in the byte order of this machine, which is netlink's. For network order pass `.bigEndian`.
    ///
    /// - Throws: ``NetlinkError/messageTooLong(limit:)``; the message is as before.
    public mutating func put(_ type: Int, _ value: some FixedWidthInteger & BitwiseCopyable) throws(NetlinkError) {
        let fits = unsafe withUnsafeBytes(of: value) {
            unsafe mnl_attr_put_check(message, limit, UInt16(type), $0.count, $0.baseAddress)
        }
        guard fits else { throw .messageTooLong(limit: limit) }
    }

    /// Puts bytes as they are. Throws as ``put(_:_:)``.
    public mutating func put(_ type: Int, bytes: [UInt8]) throws(NetlinkError) {
        guard unsafe mnl_attr_put_check(message, limit, UInt16(type), bytes.count, bytes)
        else { throw .messageTooLong(limit: limit) }
    }

    /// Puts a string with the NUL that the kernel wants. Throws as ``put(_:_:)``.
    public mutating func put(_ type: Int, text: String) throws(NetlinkError) {
        try put(type, bytes: Array(text.utf8) + [0])
    }

    /// Puts an attribute of attributes, which `body` puts.
    ///
    /// - Throws: what `body` throws; the message is then as before, without a part of the nest.
    public mutating func nest(
        _ type: Int,
        _ body: (inout MessageBuilder) throws(NetlinkError) -> Void
    ) throws(NetlinkError) {
        guard let start = unsafe mnl_attr_nest_start_check(message, limit, UInt16(type))
        else { throw .messageTooLong(limit: limit) }
        do throws(NetlinkError) {
            try body(&self)
        } catch {
            unsafe mnl_attr_nest_cancel(message, start)
            throw error
        }
        unsafe mnl_attr_nest_end(message, start)
    }
}
