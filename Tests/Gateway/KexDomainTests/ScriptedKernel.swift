import LinkControl
import Netlink
import NetworkAddresses
import Synchronization
import SystemCalls
import Time
import VXLANFdb
import WireGuardControl
import WireGuardTypes

@testable import KexDomain

/// A kernel in memory, with one WireGuard and one VXLAN interface, that fails on demand. What it does takes time by its
/// own clock only: a list of peers 1 ms, a change of a peer 100 µs, and an entry 50 µs.
final class ScriptedKernel: Sendable {
    /// What is asked of it.
    enum Call: Sendable {
        case prepare
        case link(InterfaceName)
        case state
        case apply(PeerChange)
        case append(FdbEntry)
        case delete(FdbEntry)
        case list
        case deleteLearned
    }

    struct State: Sendable {
        var links: [InterfaceName: Link] = [:]
        var hasRoute = true
        var peers: [PublicKey: Peer] = [:]
        /// Whether the next lists of peers are whole.
        var isWhole = true
        var entries: Set<FdbEntry> = []
        var learned: Set<FdbEntry> = []
        /// Most entries of both kinds; `nil` for any number.
        var limit: Int?
        /// Requests to WireGuard, and to the fdb.
        var applied: [[PeerChange]] = []
        var listings = 0
        var instances = 0
        var now = MonotonicTime(nanoseconds: 1_000_000_000_000)
        var wallClock: Int64 = 1_700_000_000
        /// Why this call fails; `nil` if it does not.
        var failure: @Sendable (Call) -> DomainFailure? = { _ in nil }
    }

    static let wireGuard = InterfaceName("wg0")!
    static let vxlan = InterfaceName("vx0")!
    static let own = IPv6Address("fe80::1")!

    private let mutex = Mutex(State())

    init() { makeInterfaces(10, 11) }

    var state: State { mutex.withLock { $0 } }

    func change<Value: Sendable>(_ body: (inout sending State) -> Value) -> Value { mutex.withLock { body(&$0) } }

    /// Makes both interfaces anew, without peers and entries.
    func makeInterfaces(_ wireGuard: UInt32, _ vxlan: UInt32, limit: UInt32? = nil) {
        let (wireGuard, vxlan) = (InterfaceIndex(wireGuard)!, InterfaceIndex(vxlan)!)
        change { state in
            state.links = [
                Self.wireGuard: Link(index: wireGuard, name: Self.wireGuard, kind: "wireguard"),
                Self.vxlan: Link(
                    index: vxlan,
                    name: Self.vxlan,
                    kind: "vxlan",
                    underlying: wireGuard,
                    addressLimit: limit,
                    local: .v6(Self.own)
                ),
            ]
            state.limit = limit.map(Int.init)
            (state.peers, state.entries, state.learned) = ([:], [], [])
        }
    }

    func fail(_ failure: @escaping @Sendable (Call) -> DomainFailure?) { change { $0.failure = failure } }

    func work() { fail { _ in nil } }

    func pass(_ duration: Duration) {
        change { state in
            state.now = state.now + duration
            state.wallClock += duration.components.seconds
        }
    }

    /// The router shakes hands now.
    func handshake(_ key: PublicKey) {
        change { state in
            state.peers[key]?.lastHandshake = state.wallClock
            state.peers[key]?.receivedBytes += 100
        }
    }

    var clock: DomainClock { DomainClock(now: { self.state.now }, wallClock: { self.state.wallClock }) }

    var access: KernelAccess {
        { _, _ in
            self.change { $0.instances += 1 }
            return Instance(self)
        }
    }

    private final class Instance: DomainKernel {
        private let kernel: ScriptedKernel
        init(_ kernel: ScriptedKernel) { self.kernel = kernel }

        private func ask<Value: Sendable>(
            _ call: Call,
            _ body: (inout sending State) -> Value
        ) throws(DomainFailure) -> Value {
            if let failure = kernel.state.failure(call) { throw failure }
            return kernel.change(body)
        }

        func prepare(_ vxlan: InterfaceIndex) throws(DomainFailure) { try ask(.prepare) { _ in } }

        func link(named name: InterfaceName) throws(DomainFailure) -> Link? {
            try ask(.link(name)) { $0.links[name] }
        }

        func addresses(of interface: InterfaceIndex) throws(DomainFailure) -> [IPPrefix] {
            [IPPrefix(.v6(ScriptedKernel.own), length: 64)!]
        }

        func hasRoute(to destination: IPv6Address, over interface: InterfaceIndex) throws(DomainFailure) -> Bool {
            kernel.state.hasRoute
        }

        func state() throws(DomainFailure) -> DeviceState {
            try ask(.state) { state in
                state.now = state.now + .milliseconds(1)
                return DeviceState(
                    publicKey: nil,
                    listenPort: 51820,
                    peers: Array(state.peers.values),
                    isWhole: state.isWhole
                )
            }
        }

        func apply(_ changes: [PeerChange]) throws(DomainFailure) {
            guard !changes.isEmpty else { return }
            kernel.change { $0.applied.append(changes) }
            for change in changes {
                try ask(.apply(change)) { state in
                    state.now = state.now + .microseconds(100)
                    switch change {
                    case .add(let settings):
                        var peer = state.peers[settings.publicKey] ?? Peer(publicKey: settings.publicKey)
                        peer.allowedIPs = settings.allowedIPs
                        state.peers[settings.publicKey] = peer
                    case .update(let settings):
                        state.peers[settings.publicKey]?.allowedIPs = settings.allowedIPs
                    case .remove(let key): state.peers[key] = nil
                    }
                }
            }
        }

        func append(_ entries: [FdbEntry], to vxlan: InterfaceIndex) throws(DomainFailure) -> [DomainFailure?] {
            entries.map { entry in
                if let failure = kernel.state.failure(.append(entry)) { return failure }
                return kernel.change { state in
                    state.now = state.now + .microseconds(50)
                    let count = state.entries.count + state.learned.count
                    if let limit = state.limit, count >= limit, !state.entries.contains(entry) {
                        return DomainFailure("no room for \(entry)", .tableFull)
                    }
                    state.entries.insert(entry)
                    return nil
                }
            }
        }

        func delete(_ entries: [FdbEntry], from vxlan: InterfaceIndex) throws(DomainFailure) -> [DomainFailure?] {
            entries.map { entry in
                if let failure = kernel.state.failure(.delete(entry)) { return failure }
                kernel.change { _ = $0.entries.remove(entry) }
                return nil
            }
        }

        func list(
            _ vxlan: InterfaceIndex,
            atMost limit: Int,
            _ body: (ListedEntry) -> Void
        ) throws(DomainFailure) -> Bool {
            let state = try ask(.list) { state in
                state.listings += 1
                return (state.entries, state.learned)
            }
            for entry in state.0 { body(ListedEntry(entry, isPermanent: true, isLearned: false)) }
            for entry in state.1 { body(ListedEntry(entry, isPermanent: false, isLearned: true)) }
            return true
        }

        func deleteLearned(
            of destinations: [IPv6Address],
            from vxlan: InterfaceIndex,
            atMost limit: Int
        ) throws(DomainFailure) {
            try ask(.deleteLearned) { state in
                state.learned = state.learned.filter { !destinations.contains($0.destination) }
            }
        }
    }
}
