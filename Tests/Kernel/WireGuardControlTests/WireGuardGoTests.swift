import Foundation
import KernelTestSupport
import Keys
import NetworkAddresses
import Patience
import Surroundings
import SystemPackage
import Testing
import WireGuardControl
import WireGuardTypes

/// Runs wireguard-go with an interface of its own for the length of `body`.
private func withWireGuardGo(
    _ name: InterfaceName = uniqueInterfaceName(),
    _ body: (InterfaceName) throws -> Void
) throws {
    try requirePrivateNamespace()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/wireguard-go")
    process.arguments = ["-f", name.text]
    process.environment = ["LOG_LEVEL": "silent", "WG_PROCESS_FOREGROUND": "1"]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    defer {
        process.terminate()
        process.waitUntilExit()
    }
    // Its socket is there before it can be ended in order, so wait for its first answer.
    let deadline = ContinuousClock.now + .seconds(Patience.program)
    while (try? openWireGuardInterface(name).state()) == nil {
        guard ContinuousClock.now < deadline else {
            throw WrongSurroundings(description: "wireguard-go did not answer for \(name)")
        }
        usleep(5000)
    }
    try body(name)
}

/// What wg(8) says, which speaks to the same socket.
private func wg(_ arguments: String...) throws -> String { try output(of: "/usr/bin/wg", arguments) }

@Suite("A real wireguard-go", .needsRoot) struct WireGuardGoTests {
    @Test("is found by its socket, configured, given peers and relieved of them")
    func all() throws {
        try withWireGuardGo { name throws in
            let interface = try openWireGuardInterface(name)
            #expect(interface.name == name)
            #expect(try interface.state().publicKey == nil)
            #expect(try interface.privateKey() == nil)
            #expect(try interface.state().firewallMark == 0)
            #expect(try interface.state().peers == [])

            let key = PrivateKey(
                bytes: hex(
                    "5d ab 08 7e 62 4a 8a 4b 79 e1 7f 8b 83 80 0e e6 6f 3b b1 29 26 18 b6 fd 1c 2f 8b 27 ff 88 e0 eb"
                )
            )!
            try interface.configure(privateKey: key, listenPort: 0, firewallMark: 3)
            #expect(try interface.state().publicKey == bobPublic)
            // It comes with the bits set that every such key has.
            #expect(try interface.privateKey()?.publicKey == bobPublic)
            #expect(try interface.state().firewallMark == 3)
            #expect(try wg("show", name.text, "fwmark") == "0x3\n")

            let endpoint = Endpoint("127.0.0.1:51820")!
            try interface.apply([
                .add(PeerSettings(publicKey: firstKey, allowedIPs: [firstAddress])),
                .add(PeerSettings(publicKey: secondKey, allowedIPs: [], endpoint: endpoint, persistentKeepalive: 25)),
            ])
            var peers = try interface.state().peers
            // The peer with an endpoint is called at once.
            for index in peers.indices { peers[index].sentBytes = 0 }
            #expect(
                Set(peers) == [
                    Peer(publicKey: firstKey, allowedIPs: [firstAddress]),
                    Peer(publicKey: secondKey, endpoint: endpoint, persistentKeepalive: 25),
                ]
            )
            #expect(try wg("show", name.text, "persistent-keepalive").contains("\(secondKey)\t25\n"))
            #expect(try wg("show", name.text, "allowed-ips").contains("\(firstKey)\t\(firstAddress)\n"))

            try interface.apply([.remove(firstKey), .remove(firstKey)])
            #expect(try interface.state().peers.map(\.publicKey) == [secondKey])
        }
    }

    @Test("keeps what a peer has when it is added again, and forgets it after a removal")
    func addIsNoReplacement() throws {
        try withWireGuardGo { name throws in
            let interface = try openWireGuardInterface(name)
            let other = IPPrefix("192.0.2.1/32")!
            try interface.apply([.add(PeerSettings(publicKey: firstKey, allowedIPs: [other]))])
            try interface.apply([.add(PeerSettings(publicKey: firstKey, allowedIPs: [firstAddress]))])
            #expect(try Set(interface.state().peers.flatMap(\.allowedIPs)) == [other, firstAddress])
            try interface.apply([
                .remove(firstKey), .add(PeerSettings(publicKey: firstKey, allowedIPs: [firstAddress])),
            ])
            #expect(try interface.state().peers.flatMap(\.allowedIPs) == [firstAddress])
        }
    }

    @Test("takes a preshared key and a keepalive, and gives them back")
    func settings() throws {
        try withWireGuardGo { name throws in
            let interface = try openWireGuardInterface(name)
            let preshared = try #require(PresharedKey(bytes: 1...32))
            func peer() throws -> Peer? { try interface.state().peers.first }
            func set(keepalive: UInt16?, _ key: PresharedKey?) throws {
                let settings = PeerSettings(
                    publicKey: firstKey,
                    allowedIPs: [],
                    persistentKeepalive: keepalive,
                    presharedKey: key
                )
                try interface.apply([.add(settings)])
            }
            try set(keepalive: 25, preshared)
            #expect(try peer() == Peer(publicKey: firstKey, hasPresharedKey: true, persistentKeepalive: 25))
            // Both kinds of key have the same text.
            let text = "\(PublicKey(bytes: preshared.bytes.span)!)"
            #expect(try wg("show", name.text, "preshared-keys") == "\(firstKey)\t\(text)\n")
            try set(keepalive: nil, nil)
            #expect(try peer() == Peer(publicKey: firstKey, hasPresharedKey: true, persistentKeepalive: 25))
            try set(keepalive: 0, PresharedKey.zero)
            #expect(try peer() == Peer(publicKey: firstKey))
        }
    }

    @Test("updates only who is there")
    func update() throws {
        try withWireGuardGo { name throws in
            let interface = try openWireGuardInterface(name)
            try interface.apply([.add(PeerSettings(publicKey: firstKey, allowedIPs: []))])
            try interface.apply([
                .update(PeerSettings(publicKey: secondKey, allowedIPs: [firstAddress])),
                .update(PeerSettings(publicKey: firstKey, allowedIPs: [firstAddress], persistentKeepalive: 7)),
            ])
            #expect(
                try interface.state().peers
                    == [Peer(publicKey: firstKey, allowedIPs: [firstAddress], persistentKeepalive: 7)]
            )
        }
    }

    @Test("takes 1,000 allowed IPs of one peer, and others in their place")
    func manyAllowedIPs() throws {
        try withWireGuardGo { name throws in
            let interface = try openWireGuardInterface(name)
            for first in [0, 5000] as [UInt64] {
                let addresses = (first..<first + 1000).map { IPPrefix(host: IPv6Address(high: 0xfe80 << 48, low: $0)) }
                let settings = PeerSettings(publicKey: firstKey, allowedIPs: addresses, replacesAllowedIPs: true)
                try interface.apply([.add(settings), .remove(secondKey)])
                #expect(try Set(interface.state().peers.flatMap(\.allowedIPs)) == Set(addresses))
            }
        }
    }

    @Test("keeps its private key when only its port or its mark is set")
    func port() throws {
        try withWireGuardGo { name throws in
            let interface = try openWireGuardInterface(name)
            let key = try #require(PrivateKey(bytes: 1...32))
            try interface.configure(privateKey: key, listenPort: nil, firewallMark: nil)
            try interface.configure(privateKey: nil, listenPort: 0, firewallMark: 5)
            #expect(try interface.state().publicKey == key.publicKey)
            #expect(try wg("show", name.text, "fwmark") == "0x5\n")
        }
    }

    @Test("takes 1,000 peers and tells of each")
    func many() throws {
        try withWireGuardGo { name throws in
            let interface = try openWireGuardInterface(name)
            let keys = (0..<1000).map { number in
                PublicKey(bytes: ([UInt8](repeating: 9, count: 30) + [UInt8(number >> 8), UInt8(number & 0xff)]).span)!
            }
            try interface.apply(
                keys.enumerated().map { number, key in
                    let address = IPv6Address(high: 0xfe80 << 48, low: UInt64(number + 1))
                    return .add(PeerSettings(publicKey: key, allowedIPs: [IPPrefix(host: address)]))
                }
            )
            #expect(Set(try interface.state().peers.map(\.publicKey)) == Set(keys))
            try interface.apply(keys.map(PeerChange.remove))
            #expect(try interface.state().peers == [])
        }
    }

    @Test("that has ended in order is a missing interface")
    func ended() throws {
        var interface: (any WireGuardInterface)?
        try withWireGuardGo { name throws in interface = try openWireGuardInterface(name) }
        let gone = try #require(interface)
        #expect(throws: WireGuardError.noSuchInterface(gone.name)) { try gone.apply([.remove(firstKey)]) }
    }

    @Test("that was killed leaves its socket: the words say what to do, and that is enough")
    func killed() throws {
        try requirePrivateNamespace()
        let name = uniqueInterfaceName()
        let path = "/run/wireguard/\(name).sock"
        // What a killed process leaves: a socket file that nobody listens at.
        func leave() throws {
            let script = "import os, socket; os.makedirs('/run/wireguard', exist_ok=True); "
            _ = try output(of: "/usr/bin/python3", ["-c", script + "socket.socket(socket.AF_UNIX).bind('\(path)')"])
        }
        try leave()
        defer { unlink(path) }
        let error = try #require(throws: WireGuardError.self) { try openWireGuardInterface(name) }
        let advice = try #require(
            error.description.firstMatch(
                of: #/if the kernel runs (\S+) now, then (.*), else start its process again: (.*)/#
            )
        )
        #expect(advice.1 == name.text)
        // The process that is made anew takes the place of the one before, in the foreground so that it ends with the
        // test.
        #expect(advice.3 == "wireguard-go \(name)")
        try withWireGuardGo(name) { name throws in
            #expect(try openWireGuardInterface(name).state().peers.isEmpty)
        }
        try leave()
        // For the kernel, which here has no WireGuard to ask.
        _ = try output(of: "/bin/sh", ["-c", String(advice.2)])
        #expect(throws: WireGuardError.noKernelSupport(name)) { try openWireGuardInterface(name) }
    }

    @Test("that does not exist leaves only the kernel, and this one has no WireGuard")
    func none() throws {
        let name = uniqueInterfaceName()
        let error = #expect(throws: WireGuardError.self) { try openWireGuardInterface(name) }
        #expect(error == .noKernelSupport(name))
        #expect(
            error?.description == "the kernel has no WireGuard, and no userspace WireGuard serves an interface \(name)"
        )
    }

    @Test("is not taken for one where a plain file has the socket's name")
    func plainFile() throws {
        let directory = NSTemporaryDirectory() + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let name = uniqueInterfaceName()
        #expect(FileManager.default.createFile(atPath: "\(directory)/\(name).sock", contents: nil))
        #expect(throws: WireGuardError.noKernelSupport(name)) {
            try openWireGuardInterface(name, socketDirectory: directory)
        }
    }
}
