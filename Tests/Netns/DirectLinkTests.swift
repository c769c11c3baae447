import Foundation
import Glibc
import Keys
import LinkFacts
import NetworkAddresses
import Surroundings
import Testing
import WireGuardTypes

@Suite("The keeper of an interface", .needsRoot, .timeLimit(.minutes(60))) struct LinkKeeperProcessTests {
    @Test("waits for the interface and its key, names what it lacks, and gives it its address")
    func waiting() throws {
        let fixture = try DirectLinkFixture(["hub"])
        let hub = fixture.hub
        hub.endWireGuard()
        try hub.startKeeper()
        let keeper = try #require(hub.keeper)
        try keeper.waitFor("there is no interface \(hub.interface); waiting for it")
        try hub.makeWireGuard()
        try keeper.waitFor("\(hub.interface) has no private key yet; waiting for it")
        try hub.configure()
        let address = "\(hub.key.publicKey.memberInterfaceAddress)"
        try keeper.waitFor("\(hub.interface) got its address \(address)")
        try keeper.waitFor("serves \(hub.interface) as \(hub.key.publicKey)")
        func addresses() throws -> String {
            try Command.check("ip -n \(hub.namespace) -6 address show dev \(hub.interface)")
        }
        #expect(try addresses().contains("\(address) scope link nodad"))
        // An interface that is set down loses the address, and gets it back.
        try hub.ip("link set \(hub.interface) down")
        try hub.ip("link set \(hub.interface) up")
        try wait(for: "the address") { try addresses().contains("\(address) scope link") }
        keeper.end(with: SIGTERM)
        #expect(keeper.status == 0)
        #expect(keeper.output.contains("ending on signal terminate"))
    }

    @Test("has a member without rights, which is started again, and ends with it")
    func member() throws {
        let fixture = try DirectLinkFixture(["hub"])
        let hub = fixture.hub
        try hub.startKeeper()
        let keeper = try #require(hub.keeper)
        try wait(for: "an answer of the member") { try hub.run("status", hub.interface).status == 0 }
        #expect(try hub.run("status").output == hub.run("status", hub.interface).output)
        let member = try #require(try hub.member())
        let status = try String(contentsOfFile: "/proc/\(member)/status", encoding: .utf8)
        let none = String(repeating: "0", count: 16)
        for set in ["Inh", "Prm", "Eff", "Bnd", "Amb"] { #expect(status.contains("Cap\(set):\t\(none)\n"), "\(set)") }
        for line in ["Name:\tkex-link", "NoNewPrivs:\t1", "Groups:\t "] {
            #expect(status.contains("\(line)\n"), "\(line)")
        }
        #expect(
            status.contains(#/Uid:\t([1-9]\d*)\t\1\t\1\t\1\n/#) && status.contains(#/Gid:\t([1-9]\d*)\t\1\t\1\t\1\n/#)
        )
        // Its memory is no longer its own user's to look at.
        let owner = try FileManager.default.attributesOfItem(atPath: "/proc/\(member)/fd")[.ownerAccountID] as? Int
        #expect(owner == 0)
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(member)/fd")
        let targets = open.compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(member)/fd/\($0)")
        }
        #expect(!targets.contains { $0.hasSuffix(".lock") || $0.contains("netlink") }, "\(targets)")

        kill(member, SIGKILL)
        try keeper.waitFor("starts again: it was ended by signal 9")
        try wait(for: "another member") {
            let next = try hub.member()
            return next != nil && next != member
        }
        try wait(for: "an answer of the member") { try hub.run("status", hub.interface).status == 0 }
        let last = try #require(try hub.member())
        keeper.end(with: SIGKILL)
        try wait(for: "the end of the member") { kill(last, 0) == -1 }
    }

    @Test("ends a member that hangs, and takes away what it made")
    func hanging() throws {
        let fixture = try DirectLinkFixture(["hub"])
        let hub = fixture.hub
        try hub.startKeeper()
        let keeper = try #require(hub.keeper)
        try wait(for: "an answer of the member") { try hub.run("status", hub.interface).status == 0 }
        let member = try #require(try hub.member())
        try stop(member)
        try keeper.waitFor("the member of \(hub.interface) starts again: it hangs")
        #expect(kill(member, 0) == -1)
        try wait(for: "an answer of the member") { try hub.run("status", hub.interface).status == 0 }
    }

    @Test("is the only one of its interface, and leaves a gateway's alone")
    func alone() throws {
        let fixture = try DirectLinkFixture(["hub"])
        let hub = fixture.hub
        try hub.startKeeper(gateway: "[Domain mesh]\nWireGuard=\(hub.interface)\nVXLAN=vx0\n")
        let keeper = try #require(hub.keeper)
        try keeper.waitFor("\(hub.interface) is the gateway's, by [Domain mesh] of ")
        let second = try hub.run("run", hub.interface)
        #expect(second.status == 69 && second.errors.contains("another kex-link serves \(hub.interface)"))
        let clean = try hub.run("clean", hub.interface)
        #expect(clean.status == 0, "nothing was ever made: \(clean.errors)")
        #expect(try hub.member() == nil)
        // As soon as the gateway gives it up, it is served.
        try "".write(toFile: "\(fixture.folder)/hub/kex.conf", atomically: true, encoding: .utf8)
        try keeper.waitFor("serves \(hub.interface) as ")
    }

    @Test("has the mistakes of its file told, and ends with 78")
    func mistakes() throws {
        let fixture = try DirectLinkFixture(["hub"])
        let hub = fixture.hub
        try hub.startKeeper(configuration: "[Link]\nPort=0\nSpeed=1\n")
        let keeper = try #require(hub.keeper)
        keeper.waitForEnd()
        #expect(keeper.status == 78)
        #expect(keeper.output.contains("link.conf:2: Port=0: expected a port from 1 to 65535"))
        #expect(keeper.output.contains("link.conf:3: unknown key Speed"))
        let check = try Command.run(Command.path(of: "kex-link"), ["check", "\(fixture.folder)/hub/link.conf"])
        #expect(check.status == 78 && check.errors.contains("link.conf:3: unknown key Speed"))
    }

    @Test("opens sockets where facts come, and others when ports or keys change")
    func sockets() throws {
        let fixture = try DirectLinkFixture(["hub", "a"])
        let a = fixture["a"]
        try a.wg("set \(a.interface) listen-port 40000")
        try a.startKeeper()
        func hasSocket(_ port: Int, of key: PublicKey? = nil) throws -> Bool {
            let text = try Command.check("ip netns exec \(a.namespace) ss -Hlun6")
            return text.contains("[\((key ?? a.key.publicKey).memberAddress)]%\(a.interface):\(port) ")
        }
        // Behind the own port, and behind that of the hub.
        try wait(for: "both sockets") { try hasSocket(40001) && hasSocket(51821) }
        func rawSockets() throws -> Int {
            try Command.check("ip netns exec \(a.namespace) ss -Hwan").split(separator: "\n").count
        }
        try wait(for: "raw sockets of both families") { try rawSockets() == 2 }
        try a.wg("set \(a.interface) listen-port 41000")
        try wait(for: "the socket of another port") { try hasSocket(41001) && !hasSocket(40001) }
        // Another key makes another member of the machine.
        let key = PrivateKey()
        let path = "\(fixture.folder)/key"
        try "\(Data(key.bytes).base64EncodedString())\n".write(toFile: path, atomically: true, encoding: .utf8)
        try a.wg("set \(a.interface) private-key \(path)")
        try wait(for: "the socket of another key") { try hasSocket(41001, of: key.publicKey) && !hasSocket(41001) }
        let addresses = try Command.check("ip -n \(a.namespace) -6 address show dev \(a.interface)")
        #expect(addresses.contains("\(key.publicKey.memberInterfaceAddress)"))
        #expect(!addresses.contains("\(a.key.publicKey.memberInterfaceAddress)"))
    }
}

@Suite("Machines that share a hub", .needsRoot, .timeLimit(.minutes(60))) struct DirectLinkTests {
    /// Hub and two others, all with kex-link.
    private func start() throws -> DirectLinkFixture {
        let fixture = try DirectLinkFixture(["hub", "a", "b"])
        for machine in fixture.machines { try machine.startKeeper() }
        return fixture
    }

    private func isDirect(_ one: DirectLinkFixture.Machine, _ other: DirectLinkFixture.Machine) throws -> Bool {
        try one.peers()[other.key.publicKey]?.contains("\(other.inside)/32") == true
            && one.endpoint(of: other) == "\(other.outside):51820"
    }

    @Test("speak directly on one LAN, without losing what goes through the hub meanwhile")
    func lan() throws {
        let fixture = try start()
        let (a, b) = (fixture["a"], fixture["b"])
        try wait(for: "a direct link both ways") { try isDirect(a, b) && isDirect(b, a) }
        #expect(try a.pings(b, count: 10) == 10)
        #expect(a.marks() == [b.key.publicKey] && b.marks() == [a.key.publicKey])
        let status = try #require(try a.status()[b.key.publicKey])
        #expect(status["way"] as? String == "direct" && status["endpoint"] as? String == "\(b.outside):51820")
        // What a keeper made is gone when it ends; what the operator made stays.
        a.keeper?.end(with: SIGTERM)
        #expect(try Set(a.peers().keys) == [fixture.hub.key.publicKey])
        #expect(a.marks() == [])
        try wait(for: "traffic through the hub") { try a.pings(b, count: 3) == 3 }
    }

    @Test("get their links back after kill -9 of the member and of the keeper, and clean takes away what is left")
    func killed() throws {
        let fixture = try start()
        let (a, b) = (fixture["a"], fixture["b"])
        try wait(for: "a direct link both ways") { try isDirect(a, b) && isDirect(b, a) }
        kill(try #require(try a.member()), SIGKILL)
        try wait(for: "the end of the link") { try a.peers()[b.key.publicKey] == nil }
        try wait(for: "a direct link again") { try isDirect(a, b) && isDirect(b, a) }
        a.keeper?.end(with: SIGKILL)
        #expect(a.marks() == [b.key.publicKey])
        let clean = try a.run("clean", a.interface)
        #expect(clean.status == 0 && clean.errors.contains("took away 1 peers"), "\(clean.errors)")
        #expect(try Set(a.peers().keys) == [fixture.hub.key.publicKey])
        // Without clean the next keeper does it.
        try a.startKeeper()
        try wait(for: "a direct link again") { try isDirect(a, b) && isDirect(b, a) }
        a.keeper?.end(with: SIGKILL)
        try a.startKeeper()
        try wait(for: "a direct link again") { try isDirect(a, b) && isDirect(b, a) && a.marks() == [b.key.publicKey] }
    }

    @Test("get their links back that the operator took away")
    func syncconf() throws {
        let fixture = try start()
        let (a, b) = (fixture["a"], fixture["b"])
        try wait(for: "a direct link both ways") { try isDirect(a, b) && isDirect(b, a) }
        // As wg syncconf does with a file that does not name it.
        try a.wg("set \(a.interface) peer \(b.key.publicKey) remove")
        try wait(for: "a direct link again") { try isDirect(a, b) && isDirect(b, a) && a.marks() == [b.key.publicKey] }
        try wait(for: "traffic") { try a.pings(b, count: 3) == 3 }
    }

    @Test("go over the hub's relay, which has no key of theirs, while their own way is cut, and back")
    func relay() throws {
        let fixture = try start()
        let (a, b) = (fixture["a"], fixture["b"])
        try wait(for: "a direct link both ways") { try isDirect(a, b) && isDirect(b, a) }
        try wait(for: "traffic") { try a.pings(b, count: 3) == 3 }
        let (before, start) = (try a.handshake(with: b), ContinuousClock.now)
        try fixture.setCut(true, a, b)
        try wait(for: "traffic over the relay") {
            let received = try a.pings(b, count: 3)
            return try received == 3 && a.status()[b.key.publicKey]?["way"] as? String == "relayed"
        }
        let relayed = try #require(try a.endpoint(of: b))
        #expect(relayed.hasPrefix("\(fixture.hub.outside):") && !relayed.hasSuffix(":51820"))
        #expect(try fixture.hub.peers()[b.key.publicKey] == ["\(b.inside)/32", "\(b.key.publicKey.memberAllowedIP)"])
        try fixture.setCut(false, a, b)
        try wait(for: "the direct link again") {
            // Somebody must want something, or nobody looks.
            _ = try a.pings(b, count: 1)
            return try isDirect(a, b) && isDirect(b, a)
        }
        // The session is the same all the while, as long as WireGuard itself makes no other.
        if ContinuousClock.now - start < .seconds(100) { #expect(try a.handshake(with: b) == before) }
    }

    @Test("find each other although their WireGuard has other ports than the hub's")
    func ports() throws {
        let fixture = try DirectLinkFixture(["hub", "a", "b"])
        let (a, b) = (fixture["a"], fixture["b"])
        try a.wg("set \(a.interface) listen-port 40000")
        for machine in fixture.machines { try machine.startKeeper() }
        try wait(for: "a direct link both ways") {
            try a.endpoint(of: b) == "\(b.outside):51820" && b.endpoint(of: a) == "\(a.outside):40000"
        }
        try wait(for: "traffic") { try a.pings(b, count: 3) == 3 }
        // A port that changes while the link is there.
        try b.wg("set \(b.interface) listen-port 41000")
        try wait(for: "the link at the other port") { try a.endpoint(of: b) == "\(b.outside):41000" }
        try wait(for: "traffic") { try a.pings(b, count: 3) == 3 }
    }
}
