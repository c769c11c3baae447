internal import Keys
internal import WireGuardTypes

/// Lengths in the datagrams with facts, in bytes. Source, where nothing else is said: wirelink's wire format, measured.
public enum WireFormat {
    /// Longest UDP payload with more than one fact. With the headers of UDP and IPv6 it stays below 1280, which every
    /// IPv6 link carries.
    public static let maximumPayload = 1212
    /// Longest datagram that is read. A single fact may be longer than ``maximumPayload``. Receivers of the field have
    /// room for this much.
    public static let maximumDatagram = 2 * maximumPayload
    /// Attribute, time to live at its longest, subject.
    public static let maximumHeader = 1 + 3 + PublicKey.length
    /// 24. Each group has a random nonce.
    public static let nonceLength = SymmetricKey.nonceLength
    /// 16.
    public static let tagLength = SymmetricKey.tagLength
    /// Most bytes of facts in a group, unless it has only one: 1136.
    public static let maximumGroup = maximumPayload - maximumHeader - nonceLength - tagLength
    /// What comes before the facts of a group: 74.
    public static let groupHead = 1 + 1 + PublicKey.length + nonceLength + tagLength
    /// Most bytes of metadata, without their length, so that the fact fits in a datagram: 2312. The field's limit is 1
    /// MiB, and no datagram is that long.
    public static let maximumMetadata = maximumDatagram - groupHead - maximumHeader - 2
}
