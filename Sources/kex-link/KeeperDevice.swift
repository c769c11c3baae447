internal import ConfigurationFiles
internal import Keys
internal import LinkConfiguration
internal import LinkControl
internal import LinkFacts
internal import LinkKeeper
internal import LinkMember
internal import Logging
internal import Netlink
internal import NetworkAddresses
internal import SystemCalls
internal import Systemd
internal import SystemPackage
internal import Time
internal import WireGuardControl
internal import WireGuardTypes

/// The interface while it is served.
struct KeeperDevice {
    let index: InterfaceIndex
    let wireGuard: any WireGuardInterface
    let publicKey: PublicKey
    let privateKey: PrivateKey
    var snapshot: DeviceSnapshot
}

/// Why an interface is not served now. It is tried again.
private struct Unserved: Error, CustomStringConvertible {
    let description: String
    var event = KeeperEvent.interfaceLost
}

extension KeeperService {
    /// Reads the interface, sees to its address, and tells the member.
    mutating func readDevice() {
        nextReading = .now + interval
        do throws(Unserved) {
            try serveDevice()
            _ = loss.permitsReturn(now: .now)
        } catch {
            if loss.permits(loss: error.description, now: .now) {
                log.log(error.event, .warning, name, "\(error)")
            }
        }
    }

    private mutating func serveDevice() throws(Unserved) {
        let link = try findLink()
        if let device, device.index != link.index { forgetDevice() }
        // Peers of an interface that was made anew are none of ours.
        if device == nil, marks.interface != link.index { marks.clear() }
        let wireGuard = try openDevice()
        let state = try inWords(name) { () throws(WireGuardError) in try wireGuard.state() }
        guard state.isWhole else {
            // Its peers change at this moment; who is missing may be there all the same.
            read(within: .milliseconds(200))
            return
        }
        guard let publicKey = state.publicKey else {
            endMember()
            device = nil
            throw Unserved(description: "\(name) has no private key yet; waiting for it")
        }
        let interfaces = try inWords(name) { () throws(NetlinkError) in try links.links() }
        var addresses = try inWords(name) { () throws(NetlinkError) in try links.addresses() }
        if let device, device.publicKey != publicKey {
            changeKey(from: device)
            return
        }
        if addOwnAddress(publicKey, link, addresses), let new = try? links.addresses() { addresses = new }
        let snapshot = DeviceSnapshot(
            state,
            of: link,
            links: interfaces,
            addresses: addresses,
            made: marks.keys,
            wallClock: wallClockSeconds()
        )
        guard let snapshot
        else { return }
        try accept(snapshot, wireGuard, link)
    }

    private mutating func findLink() throws(Unserved) -> Link {
        guard let link = try inWords(name, { () throws(NetlinkError) in try links.link(named: name) }) else {
            forgetDevice()
            throw Unserved(description: "there is no interface \(name); waiting for it")
        }
        let owner: String?
        do throws(ConfigurationError) {
            owner = try GatewayInterfaces.owner(of: name, path: settings.gatewayPath)
        } catch {
            throw Unserved(description: "whether \(name) is a gateway's cannot be told: \(error)", event: .notOurs)
        }
        if let owner {
            endMember()
            device = nil
            let reason = "its peers are kex-handler's, and not served here"
            throw Unserved(description: "\(name) is the gateway's, by \(owner): \(reason)", event: .notOurs)
        }
        return link
    }

    private mutating func openDevice() throws(Unserved) -> any WireGuardInterface {
        if let device { return device.wireGuard }
        return try inWords(name) { () throws(WireGuardError) in try openWireGuardInterface(name, buffer: buffer) }
    }

    /// Takes a snapshot in, at first or again.
    private mutating func accept(
        _ snapshot: DeviceSnapshot,
        _ wireGuard: any WireGuardInterface,
        _ link: Link
    ) throws(Unserved) {
        if device == nil {
            // What a keeper left behind that was killed. Nobody watches over it.
            if takeAwayMade(wireGuard, link.index) { return }
            let key = try inWords(name) { () throws(WireGuardError) in try wireGuard.privateKey() }
            guard let key, key.publicKey == snapshot.publicKey else {
                read(within: .milliseconds(200))
                return
            }
            device = KeeperDevice(
                index: link.index,
                wireGuard: wireGuard,
                publicKey: snapshot.publicKey,
                privateKey: key,
                snapshot: snapshot
            )
            let address = snapshot.publicKey.memberAddress
            log.log(KeeperEvent.interfaceServed, .notice, name, "serves \(name) as \(snapshot.publicKey), \(address)")
        } else {
            device?.snapshot = snapshot
            // Somebody else took them away.
            let there = Set(snapshot.peers.map(\.publicKey))
            note(marks.keys.intersection(there))
        }
        tellMember()
    }

    /// Gives the interface the address at which others expect this machine, if it is not there. Nobody else can have it
    /// behind WireGuard, so nobody is asked, and it can be used at once.
    ///
    /// - Returns: whether it was added.
    private mutating func addOwnAddress(_ key: PublicKey, _ link: Link, _ addresses: [InterfaceAddress]) -> Bool {
        let own = key.memberInterfaceAddress
        guard !addresses.contains(where: { $0.interface == link.index && $0.prefix == own }) else { return false }
        do throws(NetlinkError) {
            try links.addAddress(own, to: name)
            log.log(KeeperEvent.addressAdded, .notice, name, "\(name) got its address \(own)")
            _ = addressLoss.permitsReturn(now: .now)
            return true
        } catch {
            guard error.refusal != .fileExists else { return true }
            let advice = link.isIPv6Off ? "; IPv6 is off: sysctl net.ipv6.conf.\(name).disable_ipv6=0" : ""
            if addressLoss.permits(loss: "\(error)", now: .now) {
                log.log(KeeperEvent.socketFailed, .warning, name, "\(error)\(advice)")
            }
            return false
        }
    }

    /// Another private key makes another member of this machine. WireGuard has ended all sessions.
    private mutating func changeKey(from old: KeeperDevice) {
        endMember()
        _ = try? links.removeAddress(old.publicKey.memberInterfaceAddress, from: name)
        device = nil
        nextMember = .now
        read(within: .zero)
    }

    /// The interface is gone, and with it all that was made.
    private mutating func forgetDevice() {
        device = nil
        endMember()
        marks.clear()
        nextMember = .now
    }

    /// Writes which peers are made here. If that cannot be written, a killed keeper would leave some behind.
    func noteFailure(_ error: SystemCallError) {
        log.log(ServiceEvent.cannotServe, .error, name, "\(error)")
    }

    mutating func note(_ keys: Set<PublicKey>) {
        guard let device else { return }
        do throws(SystemCallError) {
            let ports = FactsPorts(configured: configuration.settings.factsPort, snapshot: device.snapshot).all
            try marks.set(keys, interface: device.index, ports: ports)
        } catch {
            noteFailure(error)
        }
    }

    /// Takes all peers away that were made here, and has the interface read again.
    ///
    /// - Returns: whether there were any.
    @discardableResult
    mutating func takeAwayMade(_ wireGuard: any WireGuardInterface, _ interface: InterfaceIndex) -> Bool {
        guard !marks.keys.isEmpty, marks.interface == interface else { return false }
        let count = marks.keys.count
        do throws(WireGuardError) {
            try wireGuard.apply(marks.keys.map(PeerChange.remove))
            log.log(KeeperEvent.cleaned, .info, name, "took away \(count) peers that were made here")
        } catch {
            if case .noSuchInterface = error {
            } else {
                log.log(KeeperEvent.cleaned, .warning, name, "\(error); \(count) peers that were made here may stay")
                return false
            }
        }
        marks.clear()
        read(within: .zero)
        return true
    }
}

/// Puts what a call throws into words.
private func inWords<Result, Failure: Error>(
    _ name: InterfaceName,
    _ call: () throws(Failure) -> Result
) throws(Unserved) -> Result {
    do throws(Failure) {
        return try call()
    } catch {
        throw Unserved(description: "\(name) cannot be served: \(error)")
    }
}
