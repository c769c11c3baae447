public import NetworkAddresses

/// Why some bytes are no fact, or not only facts.
public enum MalformedFact: Error, Hashable, Sendable {
    /// A part of a fact.
    public enum Part: String, Hashable, Sendable {
        case attribute
        case timeToLive = "time to live"
        case subject
        case value
        case nonce
        case tag
    }

    /// The bytes end before this part does.
    case short(Part)
    /// Attribute 0, a ping of a format that nobody speaks any more.
    case legacyPing
    case unknownAttribute(UInt8)
    /// More than 65535 seconds. `UInt64.max` means that or more.
    case timeToLive(UInt64)
    /// A group within a group.
    case nestedGroup
    /// An IPv4 address that is written as one of IPv6.
    case mappedAddress(IPv6Address)
    /// Longer than the address.
    case prefixLength(UInt8)
    case metadata(MalformedMetadata)
    /// So many bytes follow a fact that should be alone.
    case trailingBytes(Int)
}

extension MalformedFact: CustomStringConvertible {
    public var description: String {
        switch self {
        case .short(let part): "fact ends within its \(part.rawValue)"
        case .legacyPing: "legacy ping, attribute 0x00"
        case .unknownAttribute(let byte): "unknown attribute \(hexadecimal(byte))"
        case .timeToLive(let seconds): "time to live out of range, 0 to 65535: \(seconds)"
        case .nestedGroup: "signed group within a signed group"
        case .mappedAddress(let address): "IPv4 address in IPv6 form: \(address)"
        case .prefixLength(let length): "prefix length out of range: \(length)"
        case .metadata(let reason): "malformed metadata: \(reason)"
        case .trailingBytes(let count): "\(count) bytes behind the fact"
        }
    }
}

/// Why some bytes are not metadata of a member.
public enum MalformedMetadata: Error, Hashable, Sendable {
    /// There is no length, or the bytes end before the length does.
    case short
    /// The length is more than ``WireFormat/maximumMetadata``, or more than there is.
    case length(UInt64)
    /// An attribute has no length.
    case attributeLength(UInt8)
    /// An attribute, and its length in bytes, which is more than what is left.
    case attributeOverrun(UInt8, UInt64)
    case duplicateAttribute(UInt8)
    /// The name is not UTF-8.
    case name
    /// The flag of a basic member is neither one byte 0 nor one byte 1.
    case basicFlag
}

extension MalformedMetadata: CustomStringConvertible {
    public var description: String {
        switch self {
        case .short: "no length"
        case .length(let length): "length out of range: \(length)"
        case .attributeLength(let attribute): "attribute \(hexadecimal(attribute)) has no length"
        case .attributeOverrun(let attribute, let length):
            "attribute \(hexadecimal(attribute)) is longer than what is left: \(length)"
        case .duplicateAttribute(let attribute): "attribute \(hexadecimal(attribute)) twice"
        case .name: "name is not UTF-8"
        case .basicFlag: "basic flag is neither 0 nor 1"
        }
    }
}

private func hexadecimal(_ byte: UInt8) -> String {
    "0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
}
