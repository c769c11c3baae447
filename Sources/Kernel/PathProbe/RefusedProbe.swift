public import WireGuardTypes

/// Why a datagram is taken for nothing. None is ever answered.
public enum RefusedProbe: Error, Hashable, Sendable {
    /// Another length or another beginning.
    case notAProbe
    /// Its sender does not know this machine's public key.
    case gate
    /// Its sender knows that key and is none of the pairs.
    case unknown
    /// There were more of the kind than ``ProbeTable/strangerLimit``: it was not looked at.
    case tooMany
    /// Not made with the key of a pair, or changed on its way.
    case notAuthentic
    /// Made with the key of a pair, and not in the form of a probe.
    case malformed
    /// A request that was taken before, or may have been.
    case replayed(PublicKey)
    /// An answer to a request of another start of this machine, to none at all, or one more to the same.
    case notAsked(PublicKey)
}

extension RefusedProbe: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notAProbe: "no probe"
        case .gate: "probe for another machine"
        case .unknown: "probe of a stranger"
        case .tooMany: "too many probes of strangers"
        case .notAuthentic: "probe is not authentic"
        case .malformed: "probe is malformed"
        case .replayed(let sender): "probe was seen before, sender = \(sender)"
        case .notAsked(let sender): "answer to nothing that was asked, sender = \(sender)"
        }
    }
}
