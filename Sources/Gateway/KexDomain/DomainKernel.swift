public import LinkControl
public import Netlink
public import NetworkAddresses
public import VXLANFdb
public import WireGuardControl
public import WireGuardTypes

/// What a domain asks of the kernel: of its WireGuard interface, of its VXLAN interface's forwarding database, and of
/// links.
///
/// An instance has sockets of its own, and one thread at a time uses it: the loop has one for each domain, and whatever
/// is done beside the loop makes another one (``KernelAccess``). `LinuxKernel` is the real one; a test brings one that
/// fails on demand.
public protocol DomainKernel: AnyObject {
    /// Opens what changes need, so that a failure shows now. It stays open: after the interface was made anew, another
    /// instance is needed.
    func prepare(_ vxlan: InterfaceIndex) throws(DomainFailure)

    /// The interface of that name; `nil` if there is none.
    func link(named name: InterfaceName) throws(DomainFailure) -> Link?

    /// IPv6 addresses of an interface, each with the length of its prefix.
    func addresses(of interface: InterfaceIndex) throws(DomainFailure) -> [IPPrefix]

    /// Whether packets to this address leave over the interface.
    func hasRoute(to destination: IPv6Address, over interface: InterfaceIndex) throws(DomainFailure) -> Bool

    /// What the WireGuard interface says of itself and its peers. It takes as long as WireGuard takes to answer.
    func state() throws(DomainFailure) -> DeviceState

    /// Changes peers, in order.
    ///
    /// - Throws: at the first change that fails, and those before it may be in effect: ``DomainFailure/Kind/refused``
    ///   if WireGuard answered, anything else if there is no use in asking it further.
    func apply(_ changes: [PeerChange]) throws(DomainFailure)

    /// Puts permanent entries in. One that is there already is no failure.
    ///
    /// - Returns: for each entry `nil`, or why it is not in.
    /// - Throws: if it is not known of any of them.
    func append(_ entries: [FdbEntry], to vxlan: InterfaceIndex) throws(DomainFailure) -> [DomainFailure?]

    /// Takes entries out. One that is not there is no failure. Otherwise as ``append(_:to:)``.
    func delete(_ entries: [FdbEntry], from vxlan: InterfaceIndex) throws(DomainFailure) -> [DomainFailure?]

    /// Lists entries, learned ones included. An entry may come twice if the list changes meanwhile.
    ///
    /// - Parameter limit: most entries that are read.
    /// - Returns: whether that was all.
    func list(
        _ vxlan: InterfaceIndex,
        atMost limit: Int,
        _ body: (ListedEntry) -> Void
    ) throws(DomainFailure) -> Bool

    /// Takes out what the interface has learned of these destinations.
    ///
    /// - Parameter limit: most entries that are read if they must be listed for it.
    /// - Throws: ``DomainFailure/Kind/interfaceGone`` if the entries went with their interface.
    func deleteLearned(
        of destinations: [IPv6Address],
        from vxlan: InterfaceIndex,
        atMost limit: Int
    ) throws(DomainFailure)
}

/// Makes an instance for a domain with this WireGuard interface. Nothing is opened yet. The buffer is for what its
/// sockets receive; instances of one thread may share one.
public typealias KernelAccess = @Sendable (_ wireGuard: InterfaceName, _ buffer: DatagramBuffer) -> any DomainKernel

/// One line of a list of the forwarding database.
public struct ListedEntry: Hashable, Sendable {
    public var entry: FdbEntry
    /// Whether it stays until somebody takes it out.
    public var isPermanent: Bool
    /// Whether the interface learned it from a frame.
    public var isLearned: Bool

    public init(_ entry: FdbEntry, isPermanent: Bool, isLearned: Bool) {
        self.entry = entry
        self.isPermanent = isPermanent
        self.isLearned = isLearned
    }
}

/// What cannot be done now, and what the operator can do about it.
public struct DomainFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// What callers treat differently.
    public enum Kind: Hashable, Sendable {
        /// The kernel, or WireGuard, answered with a refusal.
        case refused
        /// The VXLAN interface takes no further address: its `maxaddress`.
        case tableFull
        /// The interface is gone.
        case interfaceGone
        /// Anything else: there was no answer, or what was asked for makes no sense.
        case other
    }

    /// One line, without the name of the domain.
    public let description: String
    public let kind: Kind

    public init(_ description: String, _ kind: Kind = .other) {
        self.description = description
        self.kind = kind
    }

    var isTableFull: Bool { kind == .tableFull }
}
