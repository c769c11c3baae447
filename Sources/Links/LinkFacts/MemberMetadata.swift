/// More about a member: a map from attributes, a byte each, to bytes.
///
/// ```
/// length of the rest | any number of: attribute (1), length, bytes
/// ```
///
/// Lengths are written as a fact's time to live. Attributes that are not known here are kept and relayed unchanged. Two
/// values are equal if they have the same attributes, in whatever order. Source: wirelink's wire format, measured.
public struct MemberMetadata: Hashable, Sendable {
    private static let nameAttribute = UInt8(ascii: "n")
    private static let basicAttribute = UInt8(ascii: "b")

    private var attributes: [UInt8: [UInt8]]

    /// Without attributes.
    public init() { attributes = [:] }

    /// - Parameters:
    ///   - name: what people call the member. The field asks for at most 16 printable characters without blanks, and
    ///     does not check.
    ///   - isBasic: whether the member runs plain WireGuard, without a program that sends facts.
    ///   - other: the other attributes, ``WireFormat/maximumMetadata`` bytes at most with these two.
    public init(
        name: String? = nil,
        isBasic: Bool? = nil,
        other: [UInt8: [UInt8]] = [:]
    ) throws(MalformedMetadata) {
        attributes = other
        if let name { attributes[Self.nameAttribute] = Array(name.utf8) }
        if let isBasic { attributes[Self.basicAttribute] = [isBasic ? 1 : 0] }
        for (attribute, value) in attributes { try Self.check(attribute, value) }
        let length = encodedAttributes
        guard length <= WireFormat.maximumMetadata else { throw .length(UInt64(length)) }
    }

    private static func check(_ attribute: UInt8, _ value: some Collection<UInt8>) throws(MalformedMetadata) {
        switch attribute {
        case nameAttribute:
            guard String(validating: value, as: UTF8.self) != nil else { throw .name }
        case basicAttribute:
            guard value.count == 1, let flag = value.first, flag <= 1 else { throw .basicFlag }
        default: break
        }
    }

    /// What people call the member, if that is known. It may be any text, control characters included.
    public var name: String? { attributes[Self.nameAttribute].map { String(decoding: $0, as: UTF8.self) } }

    /// Whether the member runs plain WireGuard, if that is known.
    public var isBasic: Bool? { attributes[Self.basicAttribute].map { $0 == [1] } }

    /// The attributes that are neither of these.
    public var other: [UInt8: [UInt8]] {
        attributes.filter { $0.key != Self.nameAttribute && $0.key != Self.basicAttribute }
    }
}

extension MemberMetadata {
    /// Length of all attributes on the wire.
    private var encodedAttributes: Int {
        attributes.values.reduce(0) { $0 + 1 + Varint.length($1.count) + $1.count }
    }

    /// Length on the wire.
    var encodedLength: Int {
        let length = encodedAttributes
        return Varint.length(length) + length
    }

    /// Writes the name first and then the others in ascending order, so that all members write the same.
    func append(to bytes: inout [UInt8]) {
        Varint.append(encodedAttributes, to: &bytes)
        func rank(_ attribute: UInt8) -> Int { attribute == Self.nameAttribute ? -1 : Int(attribute) }
        for (attribute, value) in attributes.sorted(by: { rank($0.key) < rank($1.key) }) {
            bytes.append(attribute)
            Varint.append(value.count, to: &bytes)
            bytes += value
        }
    }

    init(_ reader: inout FactReader) throws(MalformedMetadata) {
        guard let length = reader.varint() else { throw .short }
        guard length <= WireFormat.maximumMetadata, var rest = reader.reader(length: length) else {
            throw .length(length)
        }
        attributes = [:]
        while let attribute = rest.byte() {
            guard let length = rest.varint() else { throw .attributeLength(attribute) }
            guard let value = rest.bytes(length) else { throw .attributeOverrun(attribute, length) }
            try Self.check(attribute, value)
            guard attributes.updateValue(Array(value), forKey: attribute) == nil else {
                throw .duplicateAttribute(attribute)
            }
        }
    }
}
