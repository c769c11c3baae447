public import KexGateway
public import Time
public import WireGuardTypes

/// What a domain's handler knows that the kernel forgets.
public struct DomainState: Hashable, Sendable {
    /// The WireGuard interface that the routers were in; `nil` if it is not known.
    public var device: DeviceIdentity?
    /// Both clocks at the last sweep.
    public var clocks: Moment
    /// Time since the start of the machine at which the interface was filled from the saved state.
    public var restoredAt: Duration
    public var routers: [KnownRouter]
    /// Keys of peers that look like routers', and are the operator's.
    public var operatorsPeers: [PublicKey]

    public init(
        device: DeviceIdentity?,
        clocks: Moment,
        restoredAt: Duration,
        routers: [KnownRouter],
        operatorsPeers: [PublicKey] = []
    ) {
        self.device = device
        self.clocks = clocks
        self.restoredAt = restoredAt
        self.routers = routers
        self.operatorsPeers = operatorsPeers
    }
}

/// One interface of one run of the machine: no other has the same three.
public struct DeviceIdentity: Hashable, Sendable {
    /// As ``isBootID(_:)`` wants it.
    public var bootID: String
    /// Of the network namespace, unique in a run of the machine.
    public var networkNamespace: UInt64
    /// The kernel does not give it twice in a network namespace, unless it is told to.
    public var interfaceIndex: UInt32

    /// Longest boot ID in bytes; the kernel's own has 36.
    public static let maximumBootID = 64

    /// Whether this can be a boot ID: letters, digits and hyphens, beginning with a letter or digit.
    public static func isBootID(_ text: String) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
        }
        guard let first = text.utf8.first, isAlphanumeric(first), text.utf8.count <= maximumBootID else { return false }
        return text.utf8.allSatisfy { isAlphanumeric($0) || $0 == 0x2d }
    }

    public init(bootID: String, networkNamespace: UInt64, interfaceIndex: UInt32) {
        self.bootID = bootID
        self.networkNamespace = networkNamespace
        self.interfaceIndex = interfaceIndex
    }
}
