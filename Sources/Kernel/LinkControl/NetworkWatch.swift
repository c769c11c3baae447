public import Netlink
public import SystemPackage

/// Tells that something changed by which packets may go another way: an interface, an address, a route or a rule, in
/// the network namespace in which it was opened. What it was is to be looked up: one cause has many events, in no
/// order that can be relied on.
public struct NetworkWatch: ~Copyable {
    private let subscription: NetlinkSubscription

    /// Everything that happens from now on is told. No right is needed.
    public init() throws(NetlinkError) {
        subscription = try NetlinkSubscription(.links, .addresses, .addressesOfIPv4, .routes, .rules)
    }

    /// Readable when there is something to tell.
    public var descriptor: FileDescriptor { subscription.descriptor }

    /// Whether something happened since the last call, without waiting. If there is much, the descriptor stays
    /// readable.
    public func hasChanged() throws(NetlinkError) -> Bool {
        var hasChanged = false
        let reception = try subscription.receive { _ in hasChanged = true }
        return hasChanged || !reception.isWhole
    }
}
