public import LinkMessages
public import WireGuardTypes

/// What ``FactExchange`` wants sent.
public enum FactMessage: Hashable, Sendable {
    /// A group in the form of the field, for `GroupSigner`. At most `WireFormat.maximumGroup` bytes.
    case group([UInt8], to: PublicKey)
    /// For a machine of ours.
    case delta(FactDelta, to: PublicKey)
    /// A machine of ours hears that its delta has come.
    case received(UInt32, to: PublicKey)
}
