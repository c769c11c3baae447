internal import BusConfiguration
internal import BusMessages
internal import ConfigurationFiles
internal import KexConfiguration
internal import KexMQTT
internal import KexProtocol
internal import Keys
internal import Mosquitto
internal import NetworkAddresses
internal import SystemCalls

/// This gateway's place on the bus, from the configuration and the files that it names.
struct Membership {
    let member: MemberSettings
    let broker: BrokerSettings
    /// The socket of `kex-mqtt` for front doors.
    let socket: String
    /// The socket of the handler for `kex-mqtt`.
    let fleetSocket: String

    /// Largest file of keys in bytes: more than ``TrustedKeys/maximumKeys`` need.
    private static let largestFile = 1 << 18

    init(of configuration: MemberConfiguration) throws(ConfigurationError) {
        let gateway = configuration.gateway
        guard let bus = configuration.bus else {
            throw Self.mistake("no [Bus] section: this gateway is alone, and needs no kex-mqtt")
        }
        let address = gateway.externalName ?? machineName
        guard Configuration.isTellable(address) else {
            throw Self.mistake("routers cannot reach this machine by its name: set ExternalName= in [Gateway]")
        }
        guard let name = bus.name ?? GatewayName(address) else {
            throw Self.mistake("\(address) is not the name of a gateway: set Name= in [Bus]")
        }
        var settings = MemberSettings(
            name: name,
            externalAddress: address,
            domains: gateway.domains.map {
                MemberSettings.Domain(name: $0.name, linkAddress: $0.linkAddress, staleAfter: $0.staleAfter)
            }
                + gateway.remoteDomains.map {
                    MemberSettings.Domain(name: $0.name, linkAddress: nil, staleAfter: $0.staleAfter, hasGateway: false)
                },
            weights: Dictionary(uniqueKeysWithValues: bus.weights.map { ($0.key.text, $0.value) })
        )
        if let path = bus.signingKey {
            guard let key = SigningKey(text: try Self.line(of: path)) else {
                let file = "install -m 400 -o kex-mqtt /dev/null \(path)"
                let command = "\(file) && head -c 32 /dev/urandom | base64 > \(path)"
                throw Self.mistake(
                    "not 32 bytes in base64; this makes a new key, which others must trust anew: \(command)",
                    in: path
                )
            }
            settings.signingKey = key
        }
        if let path = bus.trustedKeys {
            let bytes = try Self.bytes(of: path)
            do throws(TrustedKeys.Mistake) {
                settings.trusted = try TrustedKeys(file: bytes)
            } catch {
                throw Self.mistake(error.reason, in: path, line: error.line)
            }
        }
        var broker = BrokerSettings(host: bus.broker.host, port: bus.broker.port, clientID: "kex-\(name)")
        broker.user = bus.user
        broker.password = try bus.passwordFile.map { path throws(ConfigurationError) in
            let line = try Self.line(of: path)
            guard !line.isEmpty else { throw Self.mistake("the file holds no password", in: path) }
            return line
        }
        broker.tls = bus.tls
        // A client has one will. If it is the gateway's, the front door stays announced until this program is back.
        let death: BusMessage =
            settings.hasGateway ? .status(name, isOnline: false) : .frontDoor(name, isOnline: false)
        broker.will = BrokerSettings.Will(topic: "\(death.topic)", payload: death.payload())
        member = settings
        self.broker = broker
        socket = bus.socket
        fleetSocket = gateway.fleetSocket
    }

    /// Whether at most the shares differ, of all that matters while the service runs.
    func differsInSharesAtMost(from other: Membership) -> Bool {
        var same = member
        same.weights = other.member.weights
        return same == other.member && broker == other.broker
    }

    private static func bytes(of path: String) throws(ConfigurationError) -> [UInt8] {
        let bytes: [UInt8]?
        do throws(SystemCallError) {
            bytes = try File.read(path, limit: largestFile)
        } catch {
            throw mistake("\(error)", in: path)
        }
        guard let bytes else { throw mistake("there is no such file", in: path) }
        guard let text = ByteOrderMark.text(in: bytes) else {
            throw mistake("text in UTF-16, and only UTF-8 is read: iconv -f UTF-16 -t UTF-8 makes it", in: path)
        }
        return text
    }

    /// The one line of a file, without its line break, of whatever system that is.
    private static func line(of path: String) throws(ConfigurationError) -> String {
        var bytes = try bytes(of: path)[...]
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard !bytes.contains(UInt8(ascii: "\n")) else { throw mistake("the file holds more than one line", in: path) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func mistake(_ reason: String, in file: String = "[Bus]", line: Int? = nil) -> ConfigurationError {
        ConfigurationError([ConfigurationMistake(at: ConfigurationLocation(file: file, line: line), reason)])
    }
}
