public import TLSFiles

/// Where the broker is, who we are there, and what becomes of us when we die.
public struct BrokerSettings: Hashable, Sendable {
    /// A name, or an address without brackets.
    public var host: String
    public var port: UInt16
    /// Who we are. A broker has one client of a name: a second one throws the first out.
    public var clientID: String
    public var user: String?
    /// Kept in memory, and sent with each connection.
    public var password: String?
    /// `nil` for a connection in clear. TLS is 1.2 or later. The broker's certificate must come from one of our
    /// authorities and name ``host`` among its alternative names. The files are read at each connection, so that new
    /// ones need nothing else.
    public var tls: TLSClientFiles?
    /// What the broker publishes when this client is lost; `nil` for nothing.
    public var will: Will?

    public init(host: String, port: UInt16, clientID: String) {
        self.host = host
        self.port = port
        self.clientID = clientID
    }

    /// What the broker publishes when a connection ends without a word of ours: at once if the socket is closed, after
    /// one and a half times ``BrokerLimit/keepalive`` if nothing is heard (MQTT 5, section 3.1.2.10). Retained, at
    /// least once.
    public struct Will: Hashable, Sendable {
        public var topic: String
        public var payload: [UInt8]

        public init(topic: String, payload: [UInt8]) {
            self.topic = topic
            self.payload = payload
        }
    }
}

/// Numbers of the connection to the broker.
public enum BrokerLimit {
    /// The longest wait after the first failure to connect.
    public static let firstRetry = Duration.milliseconds(250)
    /// No wait is longer. Short, because a broker that is back should have all its gateways within ten seconds, and a
    /// connection that is refused costs nobody anything.
    public static let longestRetry = Duration.seconds(5)
    /// Longest payload in bytes, of either direction. What is longer is not published, or is dropped and counted.
    public static let payload = 4096
    /// Longest topic in bytes, the same.
    public static let topic = 256
    /// Longest packet in bytes that the broker may send. It knows from CONNECT, and leaves out longer messages without
    /// a word (MQTT 5, section 3.1.2.11.4; measured with mosquitto 2.0.11). Room for a payload, a topic, and
    /// properties.
    ///
    /// libmosquitto 2.0 itself takes any packet into memory, up to 256 MiB: a broker that breaks its word can do that
    /// to us, other clients cannot.
    public static let packet = 8192
    /// Most publications that are on their way: not yet acknowledged, or with the lowest quality not yet sent. A broker
    /// takes 20 at a time by default; the others wait in memory.
    public static let unacknowledged = 1024
    /// Publications of quality ``BrokerQuality/atLeastOnce`` that the broker may send before we acknowledge the first:
    /// the most that MQTT 5 has (section 3.1.2.11.3). A broker puts more into a queue, and what does not fit into that
    /// it drops without a word: by default mosquitto keeps 1,000, and sends 20 at a time to whoever does not say
    /// (mosquitto.conf(5)).
    static let receiveMaximum = 65_535
    /// How often libmosquitto is asked for packets before other descriptors have their turn. One time brings one
    /// packet, or with publications on their way as many as those.
    public static let readsPerRound = 256
    /// The broker hears of us at least this often, and we of it, or the connection is given up. libmosquitto takes no
    /// less than five seconds.
    public static let keepalive = Duration.seconds(10)
    /// How often libmosquitto looks at its clock.
    static let careInterval = Duration.seconds(1)
}
