internal import WireGuardTypes

/// A datagram: facts and a tag.
///
/// ```
/// 'S' | time to live (1 to 3), ignored | signer (32) | nonce (24) | tag (16) | facts
/// ```
///
/// The key of the tag is known to signer and receiver only. The tag depends on the nonce and the facts, and not on the
/// bytes before them. Source: wirelink's wire format, measured.
struct SignedGroup: Sendable {
    let signer: PublicKey
    /// ``WireFormat/nonceLength`` bytes.
    let nonce: [UInt8]
    /// ``WireFormat/tagLength`` bytes.
    let tag: [UInt8]
    /// One behind another, not yet read.
    let facts: [UInt8]

    init(signer: PublicKey, nonce: [UInt8], tag: [UInt8], facts: [UInt8]) {
        self.signer = signer
        self.nonce = nonce
        self.tag = tag
        self.facts = facts
    }

    /// Reads the form of a datagram. It does not check the tag.
    init(_ datagram: Span<UInt8>) throws(RefusedDatagram) {
        guard datagram.count <= WireFormat.maximumDatagram else { throw .tooLong(datagram.count) }
        var reader = FactReader(datagram.indices.map { datagram[$0] })
        let unsigned: Fact
        do throws(MalformedFact) {
            let header = try FactHeader(&reader)
            if header.attribute == .group {
                self = try SignedGroup(signer: header.subject, &reader)
                return
            }
            unsigned = try Fact(header, &reader)
            guard reader.count == 0 else { throw .trailingBytes(reader.count) }
        } catch {
            throw .malformed(error)
        }
        throw .unsigned(unsigned)
    }

    private init(signer: PublicKey, _ reader: inout FactReader) throws(MalformedFact) {
        guard let nonce = reader.bytes(WireFormat.nonceLength) else { throw .short(.nonce) }
        guard let tag = reader.bytes(WireFormat.tagLength) else { throw .short(.tag) }
        let facts = reader.bytes(reader.count) ?? []
        self.init(signer: signer, nonce: Array(nonce), tag: Array(tag), facts: Array(facts))
    }

    var datagram: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(WireFormat.groupHead + facts.count)
        bytes.append(Attribute.group.rawValue)
        Varint.append(Int(TimeToLive.none.seconds), to: &bytes)
        signer.append(to: &bytes)
        bytes += nonce
        bytes += tag
        bytes += facts
        return bytes
    }
}
