import LinkLaboratory
import NetworkAddresses
import Surroundings
import SystemCalls
import SystemPackage
import Testing
import Time

/// A UDP socket on a machine.
private final class Mouth {
    let socket: OwnedDescriptor

    init(on machine: LabMachine, port: UInt16) throws {
        let endpoint = Endpoint("0.0.0.0:\(port)")!
        socket = try machine.inside { try Socket.datagrams(at: endpoint) }
    }

    func send(to place: String) throws {
        _ = try Socket.send([1], to: SocketAddress(Endpoint(place)!), over: socket.raw)
    }

    /// Where the next packet comes from, `nil` if none comes.
    func hear(within milliseconds: Int = 300) throws -> String? {
        var buffer: [UInt8] = [0, 0]
        _ = try Socket.wait(for: .readable, of: socket.raw, until: .now + .milliseconds(milliseconds))
        return try Socket.receive(over: socket.raw, into: &buffer)?.sender.endpoint.map { "\($0)" }
    }
}

@Suite(.needsRoot, .serialized) struct `The laboratory` {
    @Test(arguments: LabNAT.allCases)
    func `has routers of each kind`(kind: LabNAT) throws {
        let laboratory = try LinkLaboratory()
        let first = try laboratory.makeHub("first")
        let second = try laboratory.makeHub("second")
        let host = try laboratory.makeHost("host", behind: kind)
        let mouth = try Mouth(on: host, port: 5000)
        let near = try Mouth(on: first, port: 7000)
        let (far, farOther) = (try Mouth(on: second, port: 7000), try Mouth(on: second, port: 7001))
        try mouth.send(to: "\(first.address):7000")
        let seen = try near.hear()
        if kind == .blocked {
            #expect(seen == nil)
            #expect(try host.reaches(first.address), "only UDP is blocked")
            return
        }
        let place = try #require(seen)
        try mouth.send(to: "\(second.address):7000")
        let seenByOther = try #require(try far.hear())
        #expect((place == seenByOther) == (kind != .symmetric))
        #expect(place.hasPrefix("\(host.publicAddress):"))
        if kind != .symmetric { #expect(place.hasSuffix(":5000")) }
        #expect(kind.translates == !place.hasPrefix(host.address))
        // Back in: from where it went; from another port of that machine; from a machine that was not spoken to.
        try near.send(to: place)
        #expect(try mouth.hear() == "\(first.address):7000")
        let nearOther = try Mouth(on: first, port: 7001)
        try nearOther.send(to: place)
        let isHeardFromOtherPort = try mouth.hear(within: 100) != nil
        #expect(isHeardFromOtherPort == [.open, .full, .restricted].contains(kind))
        try laboratory.flush()
        try farOther.send(to: place)
        #expect(try (mouth.hear(within: 100) != nil) == [.open, .full].contains(kind))
    }

    @Test func `cuts a path silently and repairs it, and no other`() throws {
        let laboratory = try LinkLaboratory(hasIPv6: true)
        let hub = try laboratory.makeHub()
        let a = try laboratory.makeHost("a", behind: .open)
        let b = try laboratory.makeHost("b", behind: .open)
        let address6 = try #require(b.address6)
        #expect(try a.reaches(b.address))
        #expect(try a.reaches(address6))
        try laboratory.cut(a, b)
        #expect(try !a.reaches(b.address) && !a.reaches(address6) && !b.reaches(a.address))
        #expect(try a.reaches(hub.address) && b.reaches(hub.address))
        try laboratory.repair(a, b)
        #expect(try a.reaches(b.address) && b.reaches(a.address) && a.reaches(address6))
        try laboratory.cut(a, hub)
        #expect(try !a.reaches(hub.address) && !hub.reaches(a.address) && b.reaches(hub.address))
    }

    @Test func `has cables that delay, lose and are cut`() throws {
        let laboratory = try LinkLaboratory()
        let hub = try laboratory.makeHub()
        let site = try laboratory.makeSite(.portRestricted, hasCable: true)
        let host = try site.makeHost("host")
        let cable = try #require(site.cable)
        let quick = try host.ping(hub.address)
        try quick.wait(for: 100)
        let before = quick.count()
        #expect(before.medianRoundTrip < 10 && before.lost == [] && before.received >= 100)
        try cable.delay(.milliseconds(50))
        let slow = try host.ping(hub.address)
        try slow.wait(for: 100)
        try cable.cut()
        try waitUntil("something is lost") { try !host.reaches(hub.address) }
        try cable.repair()
        try slow.wait(for: 50)
        let after = slow.count()
        #expect((100...115).contains(after.medianRoundTrip))
        #expect(after.lost.count >= 30 && after.longestGap == after.lost.count, "\(after)")
    }

    @Test func `has WireGuard, and hosts of one site that can be kept apart`() throws {
        let laboratory = try LinkLaboratory()
        let hub = try laboratory.makeHub()
        let site = try laboratory.makeSite(.portRestricted)
        let (a, b) = (try site.makeHost("a"), try site.makeHost("b"))
        try hub.startWireGuard(addresses: ["10.99.0.1/32"])
        for (host, address) in [(a, "10.99.0.2/32"), (b, "10.99.0.3/32")] {
            try host.startWireGuard(addresses: [address])
            try hub.addPeer(host, allowedIPs: [address], withEndpoint: false)
            try host.addPeer(hub, allowedIPs: ["10.99.0.0/24"], keepalive: 25)
        }
        try hub.shell("sysctl -qw net.ipv4.ip_forward=1")
        #expect(try a.reaches("10.99.0.3") && a.reaches(b.address))
        #expect(try #require(try a.peer(hub)).endpoint == "198.51.100.10:51820")
        #expect(try #require(try hub.peer(a)).endpoint?.hasPrefix("198.51.100.101:") == true)
        try site.separateHosts()
        #expect(try !a.reaches(b.address) && a.reaches("10.99.0.3"))
        try site.separateHosts(false)
        #expect(try a.reaches(b.address))
    }

    @Test func `has hosts that move, routers with new addresses, and WireGuard that is started anew`() throws {
        let laboratory = try LinkLaboratory()
        let hub = try laboratory.makeHub()
        let (home, mobile) = (try laboratory.makeSite(.portRestricted), try laboratory.makeSite(.symmetric))
        let host = try home.makeHost("host")
        try hub.startWireGuard(addresses: ["10.99.0.1/24"])
        try host.startWireGuard(addresses: ["10.99.0.2/24"])
        func connect() throws {
            try hub.addPeer(host, allowedIPs: ["10.99.0.2/32"], withEndpoint: false)
            try host.addPeer(hub, allowedIPs: ["10.99.0.1/32"])
        }
        try connect()
        func place() throws -> Substring? {
            #expect(try host.reaches("10.99.0.1"))
            return try hub.peer(host)?.endpoint?.prefix { $0 != ":" }
        }
        #expect(try place() == "198.51.100.101")
        try home.renumber()
        #expect(try place() == "198.51.100.151")
        try home.renumber()
        #expect(try place() == "198.51.100.101")
        try host.move(to: mobile)
        // wireguard-go keeps to the address that it had, until it is told again (measured).
        try host.addPeer(hub, allowedIPs: ["10.99.0.1/32"])
        #expect(try place() == "198.51.100.102" && host.address == "10.2.0.2")
        let key = hub.publicKey
        try hub.restartWireGuard()
        #expect(try hub.publicKey == key && hub.peer(host) == nil && !host.reaches("10.99.0.1"))
        try host.restartWireGuard()
        try connect()
        #expect(try place() == "198.51.100.102")
    }
}
