internal import NetworkAddresses
internal import WireGuardTypes

extension Fact {
    /// Length on the wire in bytes, at least 34.
    public var encodedLength: Int {
        let value =
            switch statement {
            case .alive: BootID.length
            case .endpoint(.v4): 4 + 2
            case .endpoint(.v6): 16 + 2
            case .allowedIP(let prefix):
                switch prefix.address {
                case .v4: 4 + 1
                case .v6: 16 + 1
                }
            case .plainMember: 0
            case .member(let metadata): metadata.encodedLength
            }
        return 1 + Varint.length(Int(timeToLive.seconds)) + PublicKey.length + value
    }

    /// Adds the fact as it is on the wire.
    public func append(to bytes: inout [UInt8]) {
        bytes.append(attribute.rawValue)
        Varint.append(Int(timeToLive.seconds), to: &bytes)
        subject.append(to: &bytes)
        switch statement {
        case .alive(let boot): bytes += boot.bytes
        case .endpoint(.v4(let address, let port)): bytes += address.bytes + Self.bytes(port)
        case .endpoint(.v6(let address, let port, _)): bytes += address.bytes + Self.bytes(port)
        case .allowedIP(let prefix):
            switch prefix.address {
            case .v4(let address): bytes += address.bytes
            case .v6(let address): bytes += address.bytes
            }
            bytes.append(prefix.length)
        case .plainMember: break
        case .member(let metadata): metadata.append(to: &bytes)
        }
    }

    private static func bytes(_ port: UInt16) -> [UInt8] {
        [UInt8(truncatingIfNeeded: port >> 8), UInt8(truncatingIfNeeded: port)]
    }

    private var attribute: Attribute {
        switch statement {
        case .alive: .alive
        case .endpoint(.v4): .endpointV4
        case .endpoint(.v6): .endpointV6
        case .allowedIP(let prefix):
            switch prefix.address {
            case .v4: .allowedV4
            case .v6: .allowedV6
            }
        case .plainMember: .plainMember
        case .member: .member
        }
    }

    /// Reads facts that stand one behind another, all of them or none. The length of an unknown fact is unknown too, so
    /// what comes after it cannot be read. The field also drops what came before it.
    public static func facts(in bytes: [UInt8]) throws(MalformedFact) -> [Fact] {
        var reader = FactReader(bytes)
        var facts: [Fact] = []
        while reader.count > 0 {
            let header = try FactHeader(&reader)
            facts.append(try Fact(header, &reader))
        }
        return facts
    }

    /// Reads the value of a fact. A group is none.
    init(_ header: FactHeader, _ reader: inout FactReader) throws(MalformedFact) {
        func value(_ length: Int) throws(MalformedFact) -> ArraySlice<UInt8> {
            guard let bytes = reader.bytes(length) else { throw .short(.value) }
            return bytes
        }
        func v4(_ bytes: ArraySlice<UInt8>) throws(MalformedFact) -> IPv4Address {
            guard let address = IPv4Address(bytes: bytes.prefix(4)) else { throw .short(.value) }
            return address
        }
        func v6(_ bytes: ArraySlice<UInt8>) throws(MalformedFact) -> IPv6Address {
            guard let address = IPv6Address(bytes: bytes.prefix(16)) else { throw .short(.value) }
            guard address.mappedIPv4 == nil else { throw .mappedAddress(address) }
            return address
        }
        func port(_ bytes: ArraySlice<UInt8>) -> UInt16 { bytes.suffix(2).reduce(0) { $0 << 8 | UInt16($1) } }
        func prefix(
            _ address: IPPrefix.Address,
            _ bytes: ArraySlice<UInt8>
        ) throws(MalformedFact) -> IPPrefix {
            let length = bytes.last ?? 0
            guard let prefix = IPPrefix(address, length: length) else { throw .prefixLength(length) }
            return prefix
        }
        let statement: Statement
        switch header.attribute {
        case .alive:
            guard let boot = BootID(bytes: try value(BootID.length)) else { throw .short(.value) }
            statement = .alive(boot)
        case .endpointV4:
            let bytes = try value(4 + 2)
            statement = .endpoint(.v4(try v4(bytes), port: port(bytes)))
        case .endpointV6:
            let bytes = try value(16 + 2)
            statement = .endpoint(.v6(try v6(bytes), port: port(bytes)))
        case .allowedV4:
            let bytes = try value(4 + 1)
            statement = .allowedIP(try prefix(.v4(try v4(bytes)), bytes))
        case .allowedV6:
            let bytes = try value(16 + 1)
            statement = .allowedIP(try prefix(.v6(try v6(bytes)), bytes))
        case .plainMember: statement = .plainMember
        case .member:
            do throws(MalformedMetadata) {
                statement = .member(try MemberMetadata(&reader))
            } catch {
                throw .metadata(error)
            }
        case .group: throw .nestedGroup
        }
        self.init(subject: header.subject, statement, timeToLive: header.timeToLive)
    }
}

/// What every fact begins with, groups as well.
struct FactHeader {
    let attribute: Attribute
    let timeToLive: TimeToLive
    /// Of a group: its signer.
    let subject: PublicKey

    init(_ reader: inout FactReader) throws(MalformedFact) {
        guard let byte = reader.byte() else { throw .short(.attribute) }
        guard byte != Attribute.legacyPing else { throw .legacyPing }
        guard let attribute = Attribute(rawValue: byte) else { throw .unknownAttribute(byte) }
        guard let seconds = reader.varint() else { throw .short(.timeToLive) }
        guard let short = UInt16(exactly: seconds) else { throw .timeToLive(seconds) }
        guard let subject = reader.key() else { throw .short(.subject) }
        self.attribute = attribute
        timeToLive = TimeToLive(seconds: short)
        self.subject = subject
    }
}
