public import ConfigurationFiles
public import EUI64
public import KexProtocol
public import NetworkAddresses

/// What the operator wants of this gateway. See `docs/CONFIGURATION.md` for the words of the file.
public struct Configuration: Hashable, Sendable, ServiceConfiguration {
    /// Where `kexd` listens when nobody hands it a listener.
    public var listen: [Endpoint] = [Self.defaultListen]
    /// Unix socket of `kex-handler` for front doors.
    public var handlerSocket = "/run/kex/handler.sock"
    /// Unix socket of `kex-handler` for `kex-mqtt`. If it is not given, it is in the folder of ``handlerSocket``, so
    /// that two gateways of one machine do not share it.
    public var fleetSocket = "/run/kex/\(Self.fleetSocketName)"
    static let fleetSocketName = "fleet.sock"
    /// Unix socket of `kex-handler` for the operator's programs.
    public var controlSocket = "/run/kex/control.sock"
    /// Folder in which `kex-handler` keeps what must outlive it and the machine.
    public var stateDirectory = "/var/lib/kex"
    /// File of keys that may not register; `nil` if there is none.
    public var prohibitedKeys: String?
    /// Sources that stand for many routers, such as a proxy: no limit is kept for each of them.
    public var unlimitedSources: [IPPrefix] = []
    /// The host name under which routers reach this gateway; `nil` for the machine's own name.
    public var externalName: String?
    /// The sections that this program does not read, line by line as they are written.
    var others: [OtherSection: [String]] = [:]
    /// In the order of the files. Empty only if there are ``remoteDomains``.
    public var domains: [Domain] = []
    /// Domains in which this machine has no gateway: it takes registrations for others on the bus.
    public var remoteDomains: [RemoteDomain] = []

    /// The defaults, without a domain.
    public init() {}

    /// What the gateways of shell scripts have.
    public static let defaultStaleAfter = Duration.seconds(3600)
    /// All addresses of both families, at the port that deployed routers call.
    public static let defaultListen = Endpoint.v6(IPv6Address(high: 0, low: 0), port: ProtocolLimit.port)

    /// One mesh domain: a WireGuard interface, a VXLAN interface on top of it, and the rules for its routers.
    public struct Domain: Hashable, Sendable {
        public let name: DomainName
        public var wireGuard: InterfaceName
        public var vxlan: InterfaceName
        /// The preferred one first, each once; never empty. There are several while routers migrate from one to
        /// another.
        public var addressProfiles = [AddressProfile.eui64]
        /// The gateway's own address inside the tunnel; `nil` if routers are not told.
        public var linkAddress: IPv6Address?
        public var fdb = FdbMode.macAndFlood
        /// When a router gets its place in the flood list.
        public var floodAfter = FloodMoment.firstFrame
        /// File of the only keys that may register, with names; `nil` if everybody may.
        public var allowedKeys: String?
        /// Most routers that were heard of at a time.
        public var maximumPeers = 1000
        /// A router silent for longer than this is stale.
        public var staleAfter = Configuration.defaultStaleAfter
        /// A stale router is removed by a sweep that comes at least this long after the one that found it stale.
        public var sweepInterval = Duration.seconds(900)

        public init(name: DomainName, wireGuard: InterfaceName, vxlan: InterfaceName) {
            self.name = name
            self.wireGuard = wireGuard
            self.vxlan = vxlan
        }
    }

    /// A domain in which other gateways serve.
    public struct RemoteDomain: Hashable, Sendable {
        public let name: DomainName
        /// As in ``Domain``, which is what its gateways should say as well.
        public var staleAfter: Duration

        public init(name: DomainName, staleAfter: Duration) {
            self.name = name
            self.staleAfter = staleAfter
        }
    }

    /// Which fdb entries a router gets.
    public enum FdbMode: String, CaseIterable, Hashable, Sendable {
        /// A unicast entry for the derived MAC, and a place in the flood list.
        case macAndFlood = "mac flood"
        /// A place in the flood list; the kernel learns the router's MAC by itself. What deployed gateways do.
        case flood
        /// A unicast entry for the derived MAC only: no broadcast reaches the router.
        case mac

        public var hasMACEntry: Bool { self != .flood }
        public var hasFloodEntry: Bool { self != .mac }
    }

    /// From when on a router gets broadcasts.
    public enum FloodMoment: String, CaseIterable, Hashable, Sendable {
        /// When it was heard of: before, each broadcast would be multiplied for nobody.
        case firstFrame = "first-frame"
        /// At once. What deployed gateways do.
        case registration
    }

    /// Ranges of what can be configured.
    public enum Limit {
        /// The kernel takes 2^20 peers a device, userspace WireGuard 65,536; a flood list beyond some thousand entries
        /// costs milliseconds for each broadcast (measured).
        public static let maximumPeers = 1...65536
        /// Longest host name in bytes. A line of a file has no room for the 253 of RFC 1035.
        public static let externalName = 128
        /// They are compared one by one for each connection.
        public static let unlimitedSources = 64
        /// Whole seconds; a year is for ever.
        public static let staleAfter = Duration.seconds(1)...Duration.seconds(365 * 86400)
        /// The same.
        public static let sweepInterval = Duration.seconds(1)...Duration.seconds(365 * 86400)
    }
}

extension Configuration {
    /// Whether `text` can be told to routers as the name of a gateway: it has nothing in it that does not belong into
    /// one.
    public static func isTellable(_ text: String) -> Bool {
        let bytes = text.utf8
        return (1...Limit.externalName).contains(bytes.count)
            && bytes.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: ":"):
                    true
                default: false
                }
            }
    }

    /// Whether routers can find a gateway by that name: a host name of the internet, or an address that others reach,
    /// which some of them do not take. Nobody finds a name without a dot, and everybody finds himself by `localhost`.
    public static func isExternalName(_ text: String) -> Bool {
        guard isTellable(text) else { return false }
        if let address = IPv6Address(text) ?? IPv4Address(text).map(IPv6Address.init(mapping:)) {
            // Source: RFC 3927, section 2.1, for IPv4.
            let isLinkLocal = address.mappedIPv4.map { $0.value >> 16 == 0xa9fe } ?? address.isLinkLocal
            return !address.isUnspecified && !address.isLoopback && !address.isMulticast && !isLinkLocal
        }
        let name = text.hasSuffix(".") ? text.dropLast() : text[...]
        let labels = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        // Source: RFC 1035, section 2.3.1; RFC 1123, section 2.1: the last one is no number, or it would be an address.
        let isName =
            labels.count > 1 && !name.utf8.contains(UInt8(ascii: ":"))
            && labels.allSatisfy { label in
                (1...63).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
            }
        guard isName, let last = labels.last, !last.allSatisfy({ (0x30...0x39).contains($0) }) else { return false }
        // Source: RFC 6761, section 6.3; and what /etc/hosts of other systems has.
        let lower = name.lowercased()
        return !lower.hasSuffix(".localhost") && lower != "localhost.localdomain"
    }

}

extension Configuration {
    /// The sockets of `kex-handler`, each of which has a path of its own.
    public var sockets: [(key: String, path: String)] {
        [("HandlerSocket", handlerSocket), ("FleetSocket", fleetSocket), ("ControlSocket", controlSocket)]
    }
}

extension Configuration {
    /// The configuration as a file that would be read to the same. The other sections are as they were written.
    public var description: String { text(understood: [:]) }

    /// The configuration as a file that would be read to the same.
    ///
    /// - Parameter understood: other sections as the program understood them, line by line.
    public func text(understood: [OtherSection: [String]]) -> String {
        var lines = ["[Gateway]"]
        lines += listen.map { "Listen=\($0)" }
        lines += ["HandlerSocket=\(handlerSocket)", "FleetSocket=\(fleetSocket)", "ControlSocket=\(controlSocket)"]
        lines.append("StateDirectory=\(stateDirectory)")
        if let prohibitedKeys { lines.append("ProhibitedKeys=\(prohibitedKeys)") }
        if !unlimitedSources.isEmpty {
            lines.append("UnlimitedSources=\(unlimitedSources.map(\.description).joined(separator: " "))")
        }
        if let externalName { lines.append("ExternalName=\(externalName)") }
        for section in OtherSection.allCases {
            guard let other = understood[section] ?? others[section] else { continue }
            lines += ["", "[\(section.rawValue)]"] + other
        }
        for domain in domains {
            lines += [
                "",
                "[Domain \(domain.name)]",
                "WireGuard=\(domain.wireGuard)",
                "VXLAN=\(domain.vxlan)",
                "AddressProfile=\(domain.addressProfiles.map(\.rawValue).joined(separator: " "))",
                "Fdb=\(domain.fdb.rawValue)",
                "FloodAfter=\(domain.floodAfter.rawValue)",
                "MaximumPeers=\(domain.maximumPeers)",
                "StaleAfter=\(ConfiguredDuration.text(of: domain.staleAfter))",
                "SweepInterval=\(ConfiguredDuration.text(of: domain.sweepInterval))",
            ]
            if let linkAddress = domain.linkAddress { lines.append("LinkAddress=\(linkAddress)") }
            if let allowedKeys = domain.allowedKeys { lines.append("AllowedKeys=\(allowedKeys)") }
        }
        for domain in remoteDomains {
            lines += ["", "[Domain \(domain.name)]", "StaleAfter=\(ConfiguredDuration.text(of: domain.staleAfter))"]
        }
        return lines.joined(separator: "\n")
    }
}
