internal import CMosquitto

/// What came of the connection to the broker.
public enum BrokerEvent: Hashable, Sendable {
    /// The broker has let us in. It knows of no subscription of ours.
    case connected
    /// The connection is gone, or never came about. Whatever was not acknowledged is forgotten.
    case disconnected(Disconnection)
    case message(BrokerMessage)
    /// The broker's answer to a publication of quality ``BrokerQuality/atLeastOnce``. From 128 on, `reason` is a
    /// refusal; 16 means that nobody has subscribed to it.
    case acknowledged(id: Int32, reason: UInt8)
    /// The broker's answer to a subscription. From 128 on, `reason` is a refusal, below it the quality granted.
    case subscribed(id: Int32, reason: UInt8)
}

/// A message of somebody's, our own included.
public struct BrokerMessage: Hashable, Sendable {
    /// UTF-8 without a NUL, which libmosquitto has seen to; at most ``BrokerLimit/topic`` bytes.
    public var topic: [UInt8]
    /// At most ``BrokerLimit/payload`` bytes.
    public var payload: [UInt8]
    /// Whether the broker had kept it when we subscribed; `false` for one that was published since.
    public var isRetained: Bool

    public init(topic: [UInt8], payload: [UInt8], isRetained: Bool) {
        self.topic = topic
        self.payload = payload
        self.isRetained = isRetained
    }
}

/// How hard is tried to deliver a message. (The third quality of MQTT is not for us: whatever goes over this bus may
/// come twice.)
public enum BrokerQuality: Int32, Sendable {
    /// Lost if the connection is lost. Nobody acknowledges it.
    case atMostOnce = 0
    case atLeastOnce = 1
}

/// Why there is no connection.
public enum Disconnection: Hashable, Sendable {
    /// Nobody could be asked: no such host, no listener, a file for TLS that cannot be used.
    case unreachable(String)
    /// The broker does not let us in, with the reason code of its CONNACK.
    case refused(UInt8)
    /// The broker threw us out, with the reason code of its DISCONNECT.
    case ended(UInt8)
    /// The connection broke, TLS found something wrong, or nothing was heard for too long.
    case lost(String)
}

extension Disconnection: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unreachable(let text): "cannot reach the broker: \(text)"
        case .refused(let code): "the broker refused the connection: \(BrokerReason.text(code))"
        case .ended(let code): "the broker ended the connection: \(BrokerReason.text(code))"
        case .lost(let text): "lost the connection to the broker: \(text)"
        }
    }
}

/// The reason codes with which a broker answers (MQTT 5, section 2.4).
public enum BrokerReason {
    /// In libmosquitto's words, and as a number.
    public static func text(_ code: UInt8) -> String {
        let words = unsafe mosquitto_reason_string(Int32(code)).map { unsafe String(cString: $0) } ?? "unknown"
        return "\(words) (reason \(code))"
    }
}

/// Why something could not be published or subscribed to.
public enum BrokerError: Error, Hashable, Sendable {
    /// There is no connection.
    case notConnected
    /// ``BrokerLimit/unacknowledged`` publications are on their way: try again when one is acknowledged.
    case busy
    /// A topic or payload over its limit.
    case tooLong
    /// libmosquitto or the broker's own limits do not allow it, in libmosquitto's words.
    case notAllowed(String)
}

extension BrokerError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notConnected: "there is no connection to the broker"
        case .busy: "\(BrokerLimit.unacknowledged) publications are not acknowledged yet"
        case .tooLong: "topic of more than \(BrokerLimit.topic) or payload of more than \(BrokerLimit.payload) bytes"
        case .notAllowed(let text): "not allowed: \(text)"
        }
    }
}
