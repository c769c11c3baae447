public import LinkControl
public import Netlink
public import NetworkAddresses
internal import SystemPackage
public import VXLANFdb
public import WireGuardControl
public import WireGuardTypes

/// The kernel itself, and the process that runs WireGuard where one does. Each socket is opened when it is needed
/// first.
public final class LinuxKernel: DomainKernel {
    private let name: InterfaceName
    private let buffer: DatagramBuffer
    private var wireGuard: (any WireGuardInterface)?
    private var links: LinkControl?
    /// Of the VXLAN interface that was asked about last.
    private var fdb: VXLANFdb?

    /// - Parameters:
    ///   - name: of the WireGuard interface.
    ///   - buffer: for what is received; may be shared.
    public init(_ name: InterfaceName, buffer: DatagramBuffer) {
        self.name = name
        self.buffer = buffer
    }

    public static let access: KernelAccess = { LinuxKernel($0, buffer: $1) }

    public func prepare(_ vxlan: InterfaceIndex) throws(DomainFailure) {
        _ = try openWireGuard()
        try naming { () throws(NetlinkError) in try open(vxlan) }
    }

    // MARK: - Links

    public func link(named name: InterfaceName) throws(DomainFailure) -> Link? {
        try naming { () throws(NetlinkError) in
            try openLinks()
            return try links?.link(named: name)
        }
    }

    public func addresses(of interface: InterfaceIndex) throws(DomainFailure) -> [IPPrefix] {
        try naming { () throws(NetlinkError) in
            try openLinks()
            return try links?.addresses(of: interface) ?? []
        }
    }

    public func hasRoute(to destination: IPv6Address, over interface: InterfaceIndex) throws(DomainFailure) -> Bool {
        try naming { () throws(NetlinkError) in
            try openLinks()
            return try links?.hasRoute(to: destination, over: interface) ?? false
        }
    }

    private func openLinks() throws(NetlinkError) {
        if links == nil { links = try LinkControl(buffer: buffer) }
    }

    // MARK: - WireGuard

    public func state() throws(DomainFailure) -> DeviceState {
        let wireGuard = try openWireGuard()
        do throws(WireGuardError) {
            return try wireGuard.state()
        } catch {
            throw DomainFailure(error)
        }
    }

    public func apply(_ changes: [PeerChange]) throws(DomainFailure) {
        let wireGuard = try openWireGuard()
        do throws(WireGuardError) {
            try wireGuard.apply(changes)
        } catch {
            throw DomainFailure(error)
        }
    }

    private func openWireGuard() throws(DomainFailure) -> any WireGuardInterface {
        if let wireGuard { return wireGuard }
        do throws(WireGuardError) {
            let new = try openWireGuardInterface(name, buffer: buffer)
            wireGuard = new
            return new
        } catch {
            throw DomainFailure(error)
        }
    }

    // MARK: - Forwarding database

    public func append(_ entries: [FdbEntry], to vxlan: InterfaceIndex) throws(DomainFailure) -> [DomainFailure?] {
        try naming { () throws(NetlinkError) in
            try open(vxlan)
            return try fdb?.append(entries).map(DomainFailure.init(of:)) ?? []
        }
    }

    public func delete(_ entries: [FdbEntry], from vxlan: InterfaceIndex) throws(DomainFailure) -> [DomainFailure?] {
        try naming { () throws(NetlinkError) in
            try open(vxlan)
            return try fdb?.delete(entries).map(DomainFailure.init(of:)) ?? []
        }
    }

    public func list(
        _ vxlan: InterfaceIndex,
        atMost limit: Int,
        _ body: (ListedEntry) -> Void
    ) throws(DomainFailure) -> Bool {
        try naming { () throws(NetlinkError) in try read(vxlan, limit, body) }
    }

    public func deleteLearned(
        of destinations: [IPv6Address],
        from vxlan: InterfaceIndex,
        atMost limit: Int
    ) throws(DomainFailure) {
        guard !destinations.isEmpty else { return }
        try naming { () throws(NetlinkError) in
            try open(vxlan)
            do throws(NetlinkError) {
                for destination in destinations { try fdb?.deleteLearned(of: destination) }
                return
            } catch {
                guard error.refusal == .invalidArgument || error.refusal == .notSupportedOnSocket else { throw error }
            }
            // Kernels before 6.7 remove one by one what is named to them.
            let gone = Set(destinations)
            var entries: [FdbEntry] = []
            _ = try read(vxlan, limit) {
                if !$0.isPermanent, gone.contains($0.entry.destination) { entries.append($0.entry) }
            }
            try open(vxlan)
            _ = try fdb?.delete(entries)
        }
    }

    private func read(
        _ vxlan: InterfaceIndex,
        _ limit: Int,
        _ body: (ListedEntry) -> Void
    ) throws(NetlinkError) -> Bool {
        try open(vxlan)
        let isWhole = try fdb?.list(atMost: limit) { record in
            guard let entry = record.entry else { return }
            body(ListedEntry(entry, isPermanent: record.isPermanent, isLearned: record.isLearned))
        }
        // The kernel goes on with a list that is too long, so the socket is of no more use.
        if isWhole != true { fdb = nil }
        return isWhole ?? false
    }

    private func open(_ vxlan: InterfaceIndex) throws(NetlinkError) {
        if fdb?.device != vxlan { fdb = try VXLANFdb(device: vxlan, buffer: buffer) }
    }

    private func naming<Value>(_ body: () throws(NetlinkError) -> Value) throws(DomainFailure) -> Value {
        do throws(NetlinkError) {
            return try body()
        } catch {
            throw DomainFailure(error)
        }
    }
}

extension DomainFailure {
    init(_ error: WireGuardError) {
        let kind: Kind = if case .refused = error { .refused } else { .other }
        self.init("\(error)", kind)
    }

    init(_ error: NetlinkError) {
        let kind: Kind =
            switch error.refusal {
            case .noSpace?: .tableFull
            case .noSuchDevice?: .interfaceGone
            case .some: .refused
            case nil: .other
            }
        self.init("\(error)", kind)
    }

    /// `nil` unless the kernel refused the entry.
    fileprivate init?(of outcome: FdbOutcome) {
        guard case .failed(let error) = outcome else { return nil }
        self.init(error)
    }
}
