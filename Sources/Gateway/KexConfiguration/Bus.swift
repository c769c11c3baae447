public import KexProtocol
internal import NetworkAddresses

extension Configuration {
    /// The section `[Bus]`: a broker, and what this gateway is to the others there.
    public struct Bus: Hashable, Sendable {
        public let broker: Broker
        /// Whom the broker is told that this is; `nil` for nobody.
        public var user: String?
        /// File of the user's password.
        public var passwordFile: String?
        /// `nil` for a connection in clear.
        public var tls: TLS?
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

        public init(broker: Broker) { self.broker = broker }

        public struct TLS: Hashable, Sendable {
            /// File of the certificates that may vouch for the broker's.
            public var authorities: String
            /// Files of our certificate and of its key; `nil` if the broker asks for none.
            public var identity: Identity?

            public init(authorities: String, identity: Identity? = nil) {
                self.authorities = authorities
                self.identity = identity
            }
        }

        public struct Identity: Hashable, Sendable {
            public var certificate: String
            public var privateKey: String

            public init(certificate: String, privateKey: String) {
                self.certificate = certificate
                self.privateKey = privateKey
            }
        }

        /// A host and a port.
        public struct Broker: Hashable, Sendable, CustomStringConvertible {
            /// A name, or an address without brackets.
            public let host: String
            /// 1 to 65535.
            public let port: UInt16

            /// Longest host in bytes. Source: RFC 1035, section 2.3.4, less the length byte and the root; and what fits
            /// into a line.
            public static let maximumHost = 180
            /// The port if none is given, in clear and with TLS. Source: IANA, `mqtt` and `secure-mqtt`.
            static let (clearPort, securePort): (UInt16, UInt16) = (1883, 8883)

            /// Reads `HOST`, `HOST:PORT`, `192.0.2.1:1883`, `[2001:db8::1]:1883`.
            init?(_ text: String, defaultPort: UInt16) {
                if let endpoint = Endpoint(text, defaultPort: defaultPort) {
                    switch endpoint {
                    case .v4(let address, let port): (host, self.port) = ("\(address)", port)
                    case .v6(let address, let port, _): (host, self.port) = ("\(address)", port)
                    }
                } else {
                    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                    let digits = parts.count == 2 ? parts[1] : "\(defaultPort)"
                    guard (1...Self.maximumHost).contains(parts[0].utf8.count),
                        parts[0].utf8.allSatisfy(Self.isHostByte),
                        digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits)
                    else { return nil }
                    (host, self.port) = (String(parts[0]), port)
                }
                guard port > 0 else { return nil }
            }

            private static func isHostByte(_ byte: UInt8) -> Bool {
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                    true
                default: false
                }
            }

            public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
        }

        /// Ranges of what can be configured.
        public enum Limit {
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
