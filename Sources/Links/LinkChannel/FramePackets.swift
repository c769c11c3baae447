/// What a packet of the channel begins with: what the frame is, and whether more of it follows.
enum PacketHeader {
    /// In bytes.
    static let length = 2
}

/// A frame in the form in which it travels: one packet, or several in a row.
enum FramePackets {
    /// Longest packet in bytes. A socket takes several of them (`net.core.wmem_default` is 212,992).
    static let maximumLength = 60_000

    static func packets(_ kind: UInt8, _ body: [UInt8]) -> [[UInt8]] {
        let room = maximumLength - PacketHeader.length
        var packets: [[UInt8]] = []
        var rest = body[...]
        repeat {
            let part = rest.prefix(room)
            rest = rest.dropFirst(room)
            packets.append([kind, rest.isEmpty ? 0 : 1] + part)
        } while !rest.isEmpty
        return packets
    }
}

/// All of a frame.
package struct AssembledFrame: Hashable {
    package let kind: UInt8
    package let body: [UInt8]

    package init(kind: UInt8, body: [UInt8]) {
        self.kind = kind
        self.body = body
    }
}

/// Puts frames together again.
package struct FrameAssembler {
    /// The longest body of each kind in bytes; others are refused.
    private let limits: [UInt8: Int]
    private var kind: UInt8?
    private var body: [UInt8] = []

    package init(limits: [UInt8: Int]) { self.limits = limits }

    /// Takes a packet.
    ///
    /// - Returns: the frame that it completes; `nil` if more of it is to come.
    package mutating func take(_ packet: ArraySlice<UInt8>) throws(MalformedFrame) -> AssembledFrame? {
        guard packet.count >= PacketHeader.length else { throw MalformedFrame("without a header") }
        let (kind, more) = (packet[packet.startIndex], packet[packet.startIndex + 1])
        guard let limit = limits[kind] else { throw MalformedFrame("of the unknown kind \(kind)") }
        guard self.kind == nil || self.kind == kind else { throw MalformedFrame("within another") }
        guard more <= 1 else { throw MalformedFrame("with a flag of \(more)") }
        let part = packet.dropFirst(PacketHeader.length)
        guard body.count + part.count <= limit else { throw MalformedFrame("of more than \(limit) bytes") }
        // A sender that cuts nothing into pieces could send them without end.
        guard more == 0 || !part.isEmpty else { throw MalformedFrame("in empty pieces") }
        body += part
        self.kind = kind
        guard more == 0 else { return nil }
        defer {
            body = []
            self.kind = nil
        }
        return AssembledFrame(kind: kind, body: body)
    }
}
