internal import BusMessages
internal import Keys
internal import WireGuardTypes

/// A message for the broker.
public struct Publication: Hashable, Sendable {
    public let topic: String
    public let payload: [UInt8]
    /// Whether the broker is to keep it, and for how many seconds; `nil` for ever.
    public let isRetained: Bool
    public let expiry: UInt32?
    let purpose: Purpose

    /// What its acknowledgement means.
    enum Purpose: Hashable, Sendable {
        /// Nothing.
        case presence
        /// One of the publications of a front door's registration is acknowledged.
        case registration(UInt64)
        /// One more note may be on its way.
        case note
        /// The same, for a registration that could not be published when it was made.
        case late(RouterID)
        /// The broker knows that the router is gone.
        case farewell(RouterID)

        /// Whether it counts as a note, of which only some are on their way at a time.
        var isNote: Bool {
            switch self {
            case .presence, .registration: false
            case .note, .late, .farewell: true
            }
        }
    }
}

extension Publication {
    /// A message of this gateway's.
    ///
    /// - Parameters:
    ///   - key: signs it; `nil` if nothing is signed.
    ///   - expiry: how long the broker keeps it, rounded down to seconds, at least one; `nil` for ever.
    init(
        _ message: BusMessage,
        _ purpose: Purpose,
        signedWith key: SigningKey?,
        isRetained: Bool,
        expiry: Duration? = nil
    ) {
        topic = "\(message.topic)"
        payload = message.payload(signedWith: key)
        self.isRetained = isRetained
        self.expiry = expiry.map { UInt32(clamping: max($0.components.seconds, 1)) }
        self.purpose = purpose
    }
}

/// A report for the operator.
public enum BusNotice: Hashable, Sendable {
    /// Ignored messages since the last notice. The untimely ones are too old, or from the future.
    case ignored(malformed: Int, untimely: Int, untrusted: Int, dropped: Int)
    /// A gateway's clock is ahead of ours by this much, behind if negative, or right again if zero.
    case clock(gateway: String, ahead: Duration)
    /// Another client has published something about this gateway under this topic, and was corrected.
    case contradicted(topic: String)
    /// Our clock was stepped, forward if this is positive.
    case clockStepped(by: Duration)
    /// The broker keeps more notes of a gateway than it sends.
    case incomplete(domain: String, gateway: String, seen: Int, count: Int64)
    /// The broker refuses this topic and others of its kind, with its reason code.
    case refused(topic: String, reason: UInt8)
    /// The broker accepts this topic again, or another one of its kind.
    case accepted(topic: String)
    /// The broker accepts what this gateway publishes under such topics, and does not send it to subscribers like this
    /// gateway.
    case unread(filter: String)
    /// The broker sends it again.
    case readAgain(filter: String)
}
