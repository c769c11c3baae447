/// The first byte of a fact: what kind of fact it is. Source: wirelink's wire format, measured.
enum Attribute: UInt8 {
    /// `!`
    case alive = 0x21
    /// `e`
    case endpointV4 = 0x65
    /// `E`
    case endpointV6 = 0x45
    /// `a`
    case allowedV4 = 0x61
    /// `A`
    case allowedV6 = 0x41
    /// `m`, deprecated
    case plainMember = 0x6d
    /// `M`
    case member = 0x4d
    /// `S`
    case group = 0x53

    /// A ping of an older format, which has an error of its own.
    static let legacyPing: UInt8 = 0x00
}
