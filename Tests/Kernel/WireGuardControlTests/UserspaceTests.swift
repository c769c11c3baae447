import Foundation
import KernelTestSupport
import Keys
import Netlink
import NetworkAddresses
import SystemCalls
import SystemPackage
import Testing
import WireGuardTypes

@testable import WireGuardControl

private let name = InterfaceName("wgtest")!
/// Bob's keys in RFC 7748, section 6.1.
let bobPrivate = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"
let bobPublic = PublicKey(text: "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=")!

let firstKey = PublicKey(text: "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw=")!
let firstKeyHex = "4dfc59a542e058b2e0eb70f463e2409de8e515d60a3498ba0b702e928881732c"
let secondKey = PublicKey(text: "TszFS3oFRdhsJP3K0VOlklGMGYZy+oFCtlaghXJqW2g=")!
let firstAddress = IPPrefix("fe80::de:5dff:feb8:5b59/128")!

/// Opens the fake, with short time-outs unless a test wants to wait longer.
private func open(
    _ server: FakeUserspace,
    timeout: Duration = .seconds(5),
    buffer: DatagramBuffer = DatagramBuffer()
) throws -> UserspaceWireGuard {
    try UserspaceWireGuard(name, path: server.path, buffer: buffer, changeTimeout: timeout, stateTimeout: timeout)
}

private let addFirst = PeerChange.add(PeerSettings(publicKey: firstKey, allowedIPs: [firstAddress]))

@Suite("Userspace WireGuard") struct UserspaceTests {
    // MARK: - What is said

    @Test("hears changes in order, line by line")
    func changes() throws {
        let server = try FakeUserspace([
            {
                $0.request(); $0.reply("errno=0\n\n"); $0.waitForEnd()
            }
        ])
        let interface = try open(server)
        try interface.apply([
            .remove(firstKey),
            .add(
                PeerSettings(
                    publicKey: firstKey,
                    allowedIPs: [firstAddress, IPPrefix("192.0.2.0/24")!],
                    endpoint: Endpoint("[2001:db8::1]:51820"),
                    persistentKeepalive: 25
                )
            ),
        ])
        #expect(
            server.requests == [
                """
                set=1
                public_key=\(firstKeyHex)
                remove=true
                public_key=\(firstKeyHex)
                endpoint=[2001:db8::1]:51820
                persistent_keepalive_interval=25
                allowed_ip=fe80::de:5dff:feb8:5b59/128
                allowed_ip=192.0.2.0/24


                """
            ]
        )
    }

    @Test("hears that allowed IPs are to be replaced before it hears of the new ones")
    func replacement() throws {
        let server = try FakeUserspace([
            {
                $0.request(); $0.reply("errno=0\n\n"); $0.waitForEnd()
            }
        ])
        try open(server).apply([
            .add(PeerSettings(publicKey: firstKey, allowedIPs: [firstAddress], replacesAllowedIPs: true))
        ])
        let lines = [
            "set=1", "public_key=\(firstKeyHex)", "replace_allowed_ips=true", "allowed_ip=\(firstAddress)", "", "",
        ]
        #expect(server.requests == [lines.joined(separator: "\n")])
    }

    @Test("is not asked to change nothing")
    func noChanges() throws {
        let server = try FakeUserspace([{ $0.waitForEnd() }])
        try open(server).apply([])
        #expect(server.requests == [])
    }

    @Test("hears at most 64 changes at once", arguments: [(64, [64]), (65, [64, 1]), (130, [64, 64, 2])])
    func batches(count: Int, sizes: [Int]) throws {
        let server = try FakeUserspace([FakeUserspace.Connection.answerAll])
        try open(server).apply((0..<count).map { _ in .remove(firstKey) })
        #expect(server.requests.map { $0.components(separatedBy: "remove=true").count - 1 } == sizes)
    }

    @Test("is configured with what is given and nothing else")
    func configuration() throws {
        let server = try FakeUserspace([FakeUserspace.Connection.answerAll])
        let interface = try open(server)
        let key = PrivateKey(bytes: firstKey.bytes)!
        try interface.configure(privateKey: key, listenPort: nil, firewallMark: nil)
        try interface.configure(privateKey: key, listenPort: 0, firewallMark: 7)
        #expect(
            server.requests == [
                "set=1\nprivate_key=\(firstKeyHex)\n\n",
                "set=1\nprivate_key=\(firstKeyHex)\nlisten_port=0\nfwmark=7\n\n",
            ]
        )
    }

    @Test("keeps its private key if none is given, and is not asked to set nothing")
    func configurationWithoutKey() throws {
        let server = try FakeUserspace([FakeUserspace.Connection.answerAll])
        let interface = try open(server)
        try interface.configure(privateKey: nil, listenPort: nil, firewallMark: nil)
        try interface.configure(privateKey: nil, listenPort: 51820, firewallMark: nil)
        #expect(server.requests == ["set=1\nlisten_port=51820\n\n"])
    }

    @Test("hears of a preshared key, and that a peer is only to be updated, before the rest")
    func update() throws {
        let server = try FakeUserspace([FakeUserspace.Connection.answerAll])
        let settings = PeerSettings(
            publicKey: firstKey,
            allowedIPs: [firstAddress],
            persistentKeepalive: 0,
            presharedKey: PresharedKey(bytes: firstKey.bytes)
        )
        try open(server).apply([.update(settings), .add(settings)])
        let lines = [
            "preshared_key=\(firstKeyHex)", "persistent_keepalive_interval=0", "allowed_ip=\(firstAddress)",
        ]
        let peer = "public_key=\(firstKeyHex)"
        #expect(
            server.requests == [
                (["set=1", peer, "update_only=true"] + lines + [peer] + lines + ["", ""]).joined(separator: "\n")
            ]
        )
    }

    // MARK: - What is understood

    @Test("tells its state, in pieces of any size", arguments: [1, 7, 100_000])
    func state(piece: Int) throws {
        let reply = """
            private_key=\(bobPrivate)
            listen_port=10010
            fwmark=1
            public_key=\(firstKeyHex)
            preshared_key=\(String(repeating: "0", count: 64))
            protocol_version=1
            endpoint=[fe80::1%3]:51820
            last_handshake_time_sec=1700000000
            last_handshake_time_nsec=5
            tx_bytes=18446744073709551615
            rx_bytes=148
            persistent_keepalive_interval=25
            a_key_of_next_year=?
            allowed_ip=fe80::de:5dff:feb8:5b59/128
            allowed_ip=192.0.2.0/24
            public_key=\(secondKey.bytes.map { String(format: "%02x", $0) }.joined())
            preshared_key=\(String(repeating: "0", count: 63))1
            last_handshake_time_sec=0
            errno=0


            """
        let server = try FakeUserspace([
            { connection in
                connection.request()
                var rest = reply[...]
                while !rest.isEmpty {
                    connection.reply(String(rest.prefix(piece)))
                    rest = rest.dropFirst(piece)
                }
                connection.waitForEnd()
            }
        ])
        let state = try open(server).state()
        #expect(server.requests == ["get=1\n\n"])
        #expect(
            state
                == DeviceState(
                    publicKey: bobPublic,
                    listenPort: 10010,
                    firewallMark: 1,
                    peers: [
                        Peer(
                            publicKey: firstKey,
                            allowedIPs: [firstAddress, IPPrefix("192.0.2.0/24")!],
                            endpoint: .v6(IPv6Address("fe80::1")!, port: 51820, scope: 3),
                            hasPresharedKey: false,
                            persistentKeepalive: 25,
                            lastHandshake: 1_700_000_000,
                            receivedBytes: 148,
                            sentBytes: .max
                        ),
                        Peer(publicKey: secondKey, hasPresharedKey: true),
                    ]
                )
        )
    }

    @Test(
        "without a key has no public key, and port 0 is none",
        arguments: ["", "private_key=\(String(repeating: "0", count: 64))\nlisten_port=0\n"]
    )
    func empty(lines: String) throws {
        let server = try FakeUserspace([
            {
                $0.request(); $0.reply(lines + "errno=0\n\n")
            }
        ])
        #expect(try open(server).state() == DeviceState())
    }

    @Test(
        "tells its private key when it is asked for that, and none of zeros",
        arguments: [
            ("private_key=\(bobPrivate)\n", bobPublic), ("private_key=\(String(repeating: "0", count: 64))\n", nil),
        ]
    )
    func privateKey(line: String, publicKey: PublicKey?) throws {
        let server = try FakeUserspace([
            {
                $0.request(); $0.reply(line + "fwmark=1\npublic_key=\(firstKeyHex)\nerrno=0\n\n")
            }
        ])
        let buffer = DatagramBuffer()
        #expect(try open(server, buffer: buffer).privateKey()?.publicKey == publicKey)
        #expect(server.requests == ["get=1\n\n"])
        #expect(buffer.bytes.allSatisfy { $0 == 0 })
    }

    @Test(
        "leaves no key in the receive buffer, not even after a broken reply",
        arguments: ["errno=0\n\n", "nonsense\n"]
    )
    func wiping(end: String) throws {
        let server = try FakeUserspace([
            {
                $0.request(); $0.reply("private_key=\(bobPrivate)\n" + end)
            }
        ])
        let buffer = DatagramBuffer()
        _ = try? open(server, buffer: buffer).state()
        #expect(buffer.bytes.allSatisfy { $0 == 0 })
    }

    @Test(
        "knows endpoints of both families, with a zone by number or by name",
        arguments: [
            ("192.0.2.1:1", Endpoint.v4(IPv4Address("192.0.2.1")!, port: 1)),
            ("[2001:db8::1]:65535", .v6(IPv6Address("2001:db8::1")!, port: 65535)),
            ("[fe80::1%eth0]:1", .v6(IPv6Address("fe80::1")!, port: 1)),
        ]
    )
    func endpoints(text: String, endpoint: Endpoint) throws {
        let server = try FakeUserspace([
            {
                $0.request(); $0.reply("public_key=\(firstKeyHex)\nendpoint=\(text)\nerrno=0\n\n")
            }
        ])
        #expect(try open(server).state().peers.first?.endpoint == endpoint)
    }

    // MARK: - What goes wrong

    @Test("refuses with an errno of either sign", arguments: [("-22", Errno.invalidArgument), ("98", .addressInUse)])
    func refusal(number: String, errno: Errno) throws {
        let server = try FakeUserspace([
            {
                $0.request(); $0.reply("errno=\(number)\n\n"); $0.waitForEnd()
            },
            {
                $0.request(); $0.reply("errno=0\n\n"); $0.waitForEnd()
            },
        ])
        let interface = try open(server)
        let error = WireGuardError.refused(.applyChanges, name, errno: errno, text: nil)
        #expect(throws: error) { try interface.apply([addFirst]) }
        #expect(
            "\(error)"
                == "cannot change the peers of wgtest: \(errno) (errno \(errno.rawValue)); earlier changes may be in effect"
        )
        // The rest of that conversation means nothing: the next request goes over a connection of its own.
        try interface.apply([addFirst])
    }

    @Test("that closes after each reply is connected to again")
    func closing() throws {
        let once = FakeUserspace.Connection.answerOnce
        let server = try FakeUserspace([once, once, once])
        let interface = try open(server)
        for _ in 0..<3 { try interface.apply([addFirst]) }
        #expect(server.requests.count == 3)
    }

    @Test("that closed one connection may keep the next")
    func closingOnce() throws {
        let server = try FakeUserspace([FakeUserspace.Connection.answerOnce, FakeUserspace.Connection.answerAll])
        let interface = try open(server)
        for _ in 0..<3 { try interface.apply([addFirst]) }
        #expect(server.requests.count == 3)
    }

    @Test("that reads slowly hears all of a long request")
    func slowReader() throws {
        let server = try FakeUserspace([
            { connection in
                usleep(50_000)
                connection.answer()
            }
        ])
        let addresses = (0..<20_000).map { IPPrefix(host: IPv6Address(high: 0xfe80 << 48, low: $0)) }
        try open(server).apply([.add(PeerSettings(publicKey: firstKey, allowedIPs: addresses))])
        let lines = addresses.map { "allowed_ip=\($0)\n" }.joined()
        #expect(server.requests == ["set=1\npublic_key=\(firstKeyHex)\n\(lines)\n"])
    }

    @Test("that keeps the connection is not connected to again")
    func keeping() throws {
        let server = try FakeUserspace([FakeUserspace.Connection.answerAll])
        let interface = try open(server)
        for _ in 0..<3 { try interface.apply([addFirst]) }
        #expect(server.requests.count == 3)
    }

    @Test("that does not answer is given up in time, and after that spoken to again")
    func stalling() throws {
        let server = try FakeUserspace([{ $0.waitForEnd() }, FakeUserspace.Connection.answerOnce])
        let interface = try open(server, timeout: .milliseconds(100))
        let start = ContinuousClock.now
        #expect(throws: WireGuardError.noAnswer(.applyChanges, name)) { try interface.apply([addFirst]) }
        #expect(ContinuousClock.now - start >= .milliseconds(100))
        try interface.apply([addFirst])
    }

    @Test("that answers drop by drop is given up in time, too")
    func trickling() throws {
        let server = try FakeUserspace([
            { connection in
                connection.request()
                for _ in 0..<100 {
                    connection.reply("fwmark=1\n")
                    usleep(20_000)
                }
            }
        ])
        let interface = try open(server, timeout: .milliseconds(200))
        #expect(throws: WireGuardError.noAnswer(.readState, name)) { try interface.state() }
    }

    @Test("that does not take a long request is given up in time")
    func notReading() throws {
        let server = try FakeUserspace([{ _ in sleep(4) }])
        let interface = try open(server, timeout: .milliseconds(200))
        let addresses = (0..<20_000).map { IPPrefix(host: IPv6Address(high: 0xfe80 << 48, low: $0)) }
        #expect(throws: WireGuardError.noAnswer(.applyChanges, name)) {
            try interface.apply([.add(PeerSettings(publicKey: firstKey, allowedIPs: addresses))])
        }
    }

    @Test("that closes in the middle of a reply is not asked again, lest a peer be listed twice")
    func halfReply() throws {
        let server = try FakeUserspace([
            { connection in
                connection.answer()
                var byte: UInt8 = 0
                // The rest of the request stays unread, so that closing resets the connection.
                guard read(connection.descriptor, &byte, 1) == 1 else { return }
                connection.reply("public_key=\(firstKeyHex)\n")
            },
            {
                $0.request(); $0.reply("public_key=\(firstKeyHex)\nerrno=0\n\n")
            },
        ])
        let interface = try open(server)
        try interface.apply([addFirst])
        #expect(throws: WireGuardError.malformedReply(.readState, name, detail: "it ends in the middle")) {
            try interface.state()
        }
        #expect(try interface.state().peers == [Peer(publicKey: firstKey)])
    }

    @Test(
        "that does not keep to the protocol is not believed",
        arguments: [
            ("\n", "it ends without errno"),
            ("errno=0\n\nerrno=0\n\n", "it goes on after its end"),
            ("errno=0\n", "it ends in the middle"),
            ("errno=zero\n\n", "errno is no number, or too large"),
            ("errno=2147483648\n\n", "errno is no number, or too large"),
            ("garbage\nerrno=0\n\n", "a line without an equals sign"),
            ("private_key=00\nerrno=0\n\n", "a private key that is none"),
            ("private_key=\(String(repeating: "g", count: 64))\nerrno=0\n\n", "a private key that is none"),
            ("public_key=\(firstKeyHex.dropLast())\nerrno=0\n\n", "a public key that is none"),
            ("allowed_ip=fe80::1/128\nerrno=0\n\n", "allowed_ip before the first peer"),
            ("public_key=\(firstKeyHex)\nallowed_ip=fe80::1/129\nerrno=0\n\n", "an allowed IP that is none"),
            ("public_key=\(firstKeyHex)\nendpoint=localhost:1\nerrno=0\n\n", "an endpoint that is none"),
            ("public_key=\(firstKeyHex)\nrx_bytes=-1\nerrno=0\n\n", "rx_bytes is no number, or too large"),
            (
                "public_key=\(firstKeyHex)\nrx_bytes=18446744073709551616\nerrno=0\n\n",
                "rx_bytes is no number, or too large"
            ),
            ("listen_port=65536\nerrno=0\n\n", "listen_port is no number, or too large"),
            ("a=" + String(repeating: "x", count: 65534), "a line of more than 65536 bytes"),
        ]
    )
    func garbage(reply: String, detail: String) throws {
        let server = try FakeUserspace([
            {
                $0.request(); $0.reply(reply)
            }
        ])
        let interface = try open(server)
        #expect(throws: WireGuardError.malformedReply(.readState, name, detail: detail)) { try interface.state() }
    }

    @Test("may send lines up to the size of the buffer, all but the line feed first")
    func longLine() throws {
        let server = try FakeUserspace([
            { connection in
                connection.request()
                connection.reply("a=" + String(repeating: "x", count: 65533))
                usleep(50_000)
                connection.reply("\nerrno=0\n\n")
            }
        ])
        #expect(try open(server).state() == DeviceState())
    }

    @Test("that closes a fresh connection without a word has not answered")
    func silence() throws {
        let server = try FakeUserspace([FakeUserspace.Connection.answerOnce, { $0.request() }])
        let interface = try open(server)
        try interface.apply([addFirst])
        let error = WireGuardError.malformedReply(.applyChanges, name, detail: "none, the connection was closed")
        #expect(throws: error) { try interface.apply([addFirst]) }
    }

    @Test("whose process has crashed is unreachable, and its socket is left alone")
    func crashed() throws {
        let server = try FakeUserspace([])
        server.crash()
        let error = #expect(throws: WireGuardError.self) { try open(server) }
        let cause = SystemCallError("connect to", server.path, errno: .connectionRefused)
        #expect(error == .unreachable(.readState, name, cause))
        #expect(FileManager.default.fileExists(atPath: server.path))
    }

    @Test("whose socket has been taken away is a missing interface")
    func ended() throws {
        let server = try FakeUserspace([FakeUserspace.Connection.answerOnce])
        let interface = try open(server)
        try interface.apply([addFirst])
        unlink(server.path)
        #expect(throws: WireGuardError.noSuchInterface(name)) { try interface.apply([addFirst]) }
    }
}

extension FakeUserspace.Connection {
    /// Answers one request with success.
    @discardableResult
    func answer() -> Bool {
        guard request() != nil else { return false }
        reply("errno=0\n\n")
        return true
    }

    static let answerOnce: @Sendable (Self) -> Void = { $0.answer() }
    static let answerAll: @Sendable (Self) -> Void = { while $0.answer() {} }
}
