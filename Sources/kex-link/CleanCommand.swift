internal import Glibc
internal import LinkControl
internal import LinkKeeper
internal import Logging
internal import Netlink
internal import NetworkAddresses
internal import SystemCalls
internal import WireGuardControl
internal import WireGuardTypes

extension Invocation {
    /// Takes away what a killed keeper left behind.
    func clean() throws(Failure) -> Int32 {
        let name = try interface()
        do {
            // Nothing was ever made here.
            guard File.exists(files.marks(of: name)) else { return EXIT_SUCCESS }
            let lock = try File.lock(files.lock(of: name))
            guard lock != nil else {
                throw Failure(.unavailable, "kex-link runs for \(name), and does it when it ends")
            }
            let count = try takeAwayMarked(name)
            if count > 0 { log.log(KeeperEvent.cleaned, .notice, name, "\(name): took away \(count) peers") }
            return EXIT_SUCCESS
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure(.system, "\(error)")
        }
    }

    private func takeAwayMarked(_ name: InterfaceName) throws -> Int {
        var marks = try PeerMarks.read(path: files.marks(of: name))
        var links = try LinkControl()
        // Those of an interface that is gone are gone, and one that was made anew has none of them.
        guard let link = try links.link(named: name), link.index == marks.interface else {
            marks.clear()
            return 0
        }
        let device = try openWireGuardInterface(name)
        let state = try device.state()
        let farewell = FarewellSocket(state, marks: marks, privateKey: try? device.privateKey())
        farewell?.sayDirectly()
        // Also those that a list which is not whole does not show.
        try device.apply(marks.keys.map(PeerChange.remove))
        let there = state.peers.count { marks.keys.contains($0.publicKey) }
        marks.clear()
        farewell?.sayThroughHubs()
        return there
    }
}
