public import KexProtocol
public import NetworkAddresses
public import TLSFiles

extension Configuration {
    /// The section `[Bus]`: a broker, and what this gateway is to the others there.
    public struct Bus: Hashable, Sendable {
        public let broker: HostPort
        /// Whom the broker is told that this is; `nil` for nobody.
        public var user: String?
        /// File of the user's password.
        public var passwordFile: String?
        /// `nil` for a connection in clear.
        public var tls: TLSClientFiles?
        /// `nil` for the gateway's external name.
        public var name: GatewayName?
        /// Unix socket of `kex-mqtt` for front doors.
        public var socket = "/run/kex/bus.sock"
        /// File of the key that signs what this gateway says; `nil` if nothing is signed.
        public var signingKey: String?
        /// File of the keys of the only gateways that are believed; `nil` if everybody on the broker is.
        public var trustedKeys: String?
        /// Shares of routers that gateways get. Whoever is not named has ``Limit/defaultWeight``.
        public var weights: [GatewayName: Int] = [:]

        public init(broker: HostPort) { self.broker = broker }

        /// The port of a broker if none is given, in clear and with TLS. Source: IANA, `mqtt` and `secure-mqtt`.
        static let (clearPort, securePort): (UInt16, UInt16) = (1883, 8883)

        /// Ranges of what can be configured.
        public enum Limit {
            /// Longest host of a broker in bytes: what fits into a line with its key and a port.
            public static let brokerHost = 180
            /// 0 empties a gateway without cutting anybody off.
            public static let weight = 0...10_000
            /// What the field gives to a worker that its configuration does not name.
            public static let defaultWeight = 1
            public static let weights = 1024
        }

        /// The section as it would be read to the same.
        var lines: [String] {
            let single: [(String, String?)] = [
                ("Broker", "\(broker)"), ("User", user), ("PasswordFile", passwordFile), ("CAFile", tls?.authorities),
                ("Certificate", tls?.identity?.certificate), ("PrivateKey", tls?.identity?.privateKey),
                ("Name", name?.text), ("Socket", socket), ("SigningKey", signingKey), ("TrustedKeys", trustedKeys),
            ]
            let weights = weights.sorted { $0.key.text < $1.key.text }.map { "Weight=\($0.key) \($0.value)" }
            return single.compactMap { key, value in value.map { "\(key)=\($0)" } } + weights
        }
    }
}
