internal import LinkFacts
internal import NetworkAddresses
internal import WireGuardTypes

/// The bytes of messages, before they are sealed. Integers are big-endian.
extension LinkMessage {
    /// The first byte, which says what follows.
    enum Kind: UInt8 {
        case facts = 1
        case received, forward, undelivered, call, relayWanted, relayGranted, echo, switching
    }

    /// Most bytes of a message.
    public static let maximumLength = MessageSealer.maximumMessage
    /// Most bytes of facts in one delta.
    public static let maximumFacts = MessageSealer.maximumMessage - 1 - 4 - 1

    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .facts(let delta):
            bytes.append(Kind.facts.rawValue)
            bytes.append(bigEndian: delta.sequence)
            bytes.append(delta.isFirst ? 1 : 0)
            for fact in delta.facts { fact.append(to: &bytes) }
        case .received(let sequence):
            bytes.append(Kind.received.rawValue)
            bytes.append(bigEndian: sequence)
        case .forward(let key, let message):
            bytes.append(Kind.forward.rawValue)
            key.append(to: &bytes)
            bytes += message
        case .undelivered(let key, let reason):
            bytes.append(Kind.undelivered.rawValue)
            key.append(to: &bytes)
            bytes.append(reason.rawValue)
        case .call(let call):
            let candidates = call.candidates.prefix(Call.maximumCandidates)
            bytes += [Kind.call.rawValue, (call.wantsAnswer ? 1 : 0) | (call.hasChangingPort ? 2 : 0)]
            bytes.append(bigEndian: call.factsPort)
            bytes.append(UInt8(candidates.count))
            for candidate in candidates {
                bytes.append(candidate.origin.rawValue)
                bytes.append(candidate.endpoint)
            }
        case .relayWanted(let key):
            bytes.append(Kind.relayWanted.rawValue)
            key.append(to: &bytes)
        case .relayGranted(let key, let port):
            bytes.append(Kind.relayGranted.rawValue)
            key.append(to: &bytes)
            bytes.append(bigEndian: port ?? 0)
        case .echo(let number, let isAnswer):
            bytes.append(Kind.echo.rawValue)
            bytes.append(bigEndian: number)
            bytes.append(isAnswer ? 1 : 0)
        case .switching(let phase):
            bytes += [Kind.switching.rawValue, phase.rawValue]
        }
        return bytes
    }

    /// Reads a message. Flags that this version does not know are ignored.
    package init(_ bytes: [UInt8]) throws(MalformedMessage) {
        var reader = FactReader(bytes)
        let number = try reader.required(reader.byte())
        guard let kind = Kind(rawValue: number) else { throw .unknown(.kind, number) }
        switch kind {
        case .facts:
            let sequence = try reader.uint32()
            let flags = try reader.required(reader.byte())
            let facts: [Fact]
            do throws(MalformedFact) {
                facts = try Fact.facts(in: reader.rest())
            } catch {
                throw .facts
            }
            self = .facts(FactDelta(sequence: sequence, isFirst: flags & 1 != 0, facts: facts))
        case .received:
            self = .received(try reader.uint32())
        case .forward:
            self = .forward(try reader.required(reader.key()), reader.rest())
        case .undelivered:
            let key = try reader.required(reader.key())
            let value = try reader.required(reader.byte())
            guard let reason = Undelivered(rawValue: value) else { throw .unknown(.reason, value) }
            self = .undelivered(key, reason)
        case .call:
            let flags = try reader.required(reader.byte())
            let factsPort = try reader.uint16()
            let count = try reader.required(reader.byte())
            guard count <= Call.maximumCandidates else { throw .excess }
            var candidates: [Call.Candidate] = []
            for _ in 0..<count {
                let value = try reader.required(reader.byte())
                guard let origin = Call.Origin(rawValue: value) else { throw .unknown(.origin, value) }
                candidates.append(Call.Candidate(origin, try reader.endpoint()))
            }
            self = .call(
                Call(
                    wantsAnswer: flags & 1 != 0,
                    hasChangingPort: flags & 2 != 0,
                    factsPort: factsPort,
                    candidates: candidates
                )
            )
        case .relayWanted:
            self = .relayWanted(try reader.required(reader.key()))
        case .relayGranted:
            let key = try reader.required(reader.key())
            let port = try reader.uint16()
            self = .relayGranted(key, port: port == 0 ? nil : port)
        case .echo:
            let number = try reader.uint64()
            self = .echo(number, isAnswer: try reader.required(reader.byte()) & 1 != 0)
        case .switching:
            let value = try reader.required(reader.byte())
            guard let phase = SwitchPhase(rawValue: value) else { throw .unknown(.phase, value) }
            self = .switching(phase)
        }
        guard reader.count == 0 else { throw .excess }
    }
}

extension [UInt8] {
    mutating func append(bigEndian value: some FixedWidthInteger & UnsignedInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// Family, address, port. A scope is of one machine only, and is not sent.
    fileprivate mutating func append(_ endpoint: Endpoint) {
        switch endpoint {
        case .v4(let address, let port):
            append(4)
            append(bigEndian: address.value)
            append(bigEndian: port)
        case .v6(let address, let port, _):
            append(6)
            append(bigEndian: address.high)
            append(bigEndian: address.low)
            append(bigEndian: port)
        }
    }
}

extension FactReader {
    func required<Value>(_ value: Value?) throws(MalformedMessage) -> Value {
        guard let value else { throw .truncated }
        return value
    }

    mutating func uint64() throws(MalformedMessage) -> UInt64 {
        try required(bytes(8)).reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func uint32() throws(MalformedMessage) -> UInt32 {
        try required(bytes(4)).reduce(0) { $0 << 8 | UInt32($1) }
    }

    mutating func uint16() throws(MalformedMessage) -> UInt16 {
        try required(bytes(2)).reduce(0) { $0 << 8 | UInt16($1) }
    }

    mutating func rest() -> [UInt8] { Array(bytes(count) ?? []) }

    fileprivate mutating func endpoint() throws(MalformedMessage) -> Endpoint {
        let family = try required(byte())
        switch family {
        case 4:
            let address = IPv4Address(value: try uint32())
            return .v4(address, port: try uint16())
        case 6:
            let address = IPv6Address(high: try uint64(), low: try uint64())
            return .v6(address, port: try uint16())
        default: throw .unknown(.family, family)
        }
    }
}
