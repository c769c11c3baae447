internal import WireGuardTypes

/// A datagram of facts: the only fact that counts when it comes alone.
///
/// ```
/// 'S' | time to live (1 to 3), means nothing | signer (32) | nonce (24) | tag (16) | facts
/// ```
///
/// The tag is made with what signer and receiver have in common, so it shows the receiver that one of them made it, and
/// nobody else anything. It covers the facts and the nonce, not what stands before. Source: wirelink's wire format, measured.
struct SignedGroup: Sendable {
    let signer: PublicKey
    /// ``WireFormat/nonceLength`` bytes.
    let nonce: [UInt8]
    /// ``WireFormat/tagLength`` bytes.
    let tag: [UInt8]
    /// Facts, one behind another, if the signer is honest.
    let facts: [UInt8]

    init(signer: PublicKey, nonce: [UInt8], tag: [UInt8], facts: [UInt8]) {
        self.signer = signer
        self.nonce = nonce
        self.tag = tag
        self.facts = facts
    }

    /// Takes a datagram apart. Nothing of it is checked yet but its form.
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
