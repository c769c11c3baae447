internal import Keys
internal import WireGuardTypes

/// Numbers of the datagrams with facts. All lengths are in bytes. Source, unless something else is said: wirelink's wire
/// format, measured.
public enum WireFormat {
    /// Longest UDP payload that is made of several facts. With the headers of UDP and IPv6 and an attribute at its longest,
    /// such a packet stays below 1280, which every IPv6 link carries.
    public static let maximumPayload = 1212
    /// Longest datagram that is read: a single fact may be over ``maximumPayload``, and the field's receivers have this much
    /// room.
    public static let maximumDatagram = 2 * maximumPayload
    /// Attribute, time to live at its longest, subject.
    public static let maximumHeader = 1 + 3 + PublicKey.length
    /// By chance for each group: 24.
    public static let nonceLength = SymmetricKey.nonceLength
    /// 16.
    public static let tagLength = SymmetricKey.tagLength
    /// Most bytes of facts in a group, unless it has only one: 1136.
    public static let maximumGroup = maximumPayload - maximumHeader - nonceLength - tagLength
    /// What stands before the facts of a group that we make: 74.
    public static let groupHead = 1 + 1 + PublicKey.length + nonceLength + tagLength
    /// Most bytes of a member's metadata, their length not counted, so that the fact fits in a datagram: 2312. The field
    /// reads up to 1 MiB, and nothing that long ever reaches it.
    public static let maximumMetadata = maximumDatagram - groupHead - maximumHeader - 2
}
