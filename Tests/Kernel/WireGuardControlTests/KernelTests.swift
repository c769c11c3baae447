import KernelTestSupport
import Netlink
import NetworkAddresses
import SystemPackage
import Testing
import WireGuardTypes

@testable import WireGuardControl

private let name = InterfaceName("wg0")!
/// A number as the kernel might give it to the family `wireguard`.
private let family: UInt16 = 0x21

/// What the kernel says when it is asked for the family, in the exchange of that number.
private func familyAnswer(_ sequence: UInt32 = 1) -> ScriptedKernel.Step {
    // struct genlmsghdr: CTRL_CMD_NEWFAMILY, version 2; CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_FAMILY_ID
    let payload = [1, 2, 0, 0] + attribute(2, Array("wireguard\0".utf8)) + attribute(1, hostOrder(family))
    return .datagram(message(type: 0x10, sequence: sequence, payload) + acknowledgement(sequence: sequence))
}

/// An interface of a kernel that answers the question for the family, and then as told. The first own exchange has
/// sequence number 2.
private func open(_ steps: ScriptedKernel.Step...) throws -> (KernelWireGuard, ScriptedKernel) {
    let kernel = ScriptedKernel([familyAnswer()] + steps)
    return (try KernelWireGuard(name, socket: NetlinkSocket(transport: kernel)), kernel)
}

/// One part of a dump of the interface.
private func part(flags: UInt16 = 2, sequence: UInt32 = 2, _ attributes: [UInt8]) -> ScriptedKernel.Step {
    .datagram(message(type: family, flags: flags, sequence: sequence, [0, 1, 0, 0] + attributes))
}

private func end(sequence: UInt32 = 2) -> ScriptedKernel.Step { .datagram(done(sequence: sequence)) }

private func peers(_ elements: [UInt8]...) -> [UInt8] {
    attribute(0x8008, elements.flatMap { attribute(0x8000, $0) })
}

private func allowedIPs(_ prefixes: (UInt16, [UInt8], UInt8)...) -> [UInt8] {
    attribute(
        0x8009,
        prefixes.flatMap { family, address, length in
            attribute(0x8000, attribute(1, hostOrder(family)) + attribute(2, address) + attribute(3, [length]))
        }
    )
}

@Suite("Kernel WireGuard: requests") struct KernelRequestTests {
    @Test("for a fresh peer are a removal and an addition in one message")
    func apply() throws {
        let (interface, kernel) = try open(.datagram(acknowledgement(sequence: 2)))
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
            kernel.requests.last
                == hex(
                    """
                    e8 00 00 00  21 00  05 00  02 00 00 00  07 00 00 00  ; length 232, family, REQUEST | ACK, sequence, port
                    01 01 00 00                                          ; WG_CMD_SET_DEVICE, version 1
                    08 00 02 00  77 67 30 00                             ; IFNAME wg0
                    cc 00 08 80                                          ; PEERS
                    30 00 00 80                                          ; first peer
                    24 00 01 00  4d fc 59 a5 42 e0 58 b2 e0 eb 70 f4 63 e2 40 9d
                                 e8 e5 15 d6 0a 34 98 ba 0b 70 2e 92 88 81 73 2c  ; PUBLIC_KEY
                    08 00 03 00  01 00 00 00                             ; FLAGS: REMOVE_ME
                    98 00 00 80                                          ; second peer
                    24 00 01 00  4d fc 59 a5 42 e0 58 b2 e0 eb 70 f4 63 e2 40 9d
                                 e8 e5 15 d6 0a 34 98 ba 0b 70 2e 92 88 81 73 2c
                    20 00 04 00  0a 00  ca 6c  00 00 00 00               ; ENDPOINT: AF_INET6, port 51820, flow
                                 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01  00 00 00 00
                    06 00 05 00  19 00 00 00                             ; PERSISTENT_KEEPALIVE_INTERVAL 25
                    48 00 09 80                                          ; ALLOWEDIPS
                    28 00 00 80                                          ; first
                    06 00 01 00  0a 00 00 00                             ; FAMILY AF_INET6
                    14 00 02 00  fe 80 00 00 00 00 00 00 00 de 5d ff fe b8 5b 59  ; IPADDR
                    05 00 03 00  80 00 00 00                             ; CIDR_MASK 128
                    1c 00 00 80                                          ; second
                    06 00 01 00  02 00 00 00                             ; FAMILY AF_INET
                    08 00 02 00  c0 00 02 00
                    05 00 03 00  18 00 00 00
                    """
                )
        )
    }

    @Test("leave out what stays as it is")
    func minimal() throws {
        let (interface, kernel) = try open(.datagram(acknowledgement(sequence: 2)))
        try interface.apply([.add(PeerSettings(publicKey: firstKey, allowedIPs: []))])
        #expect(kernel.requests.last?.count == 72, "headers 20, name 8, two nests 8, key 36")
    }

    @Test("that replace allowed IPs say so")
    func replacement() throws {
        let (interface, kernel) = try open(.datagram(acknowledgement(sequence: 2)))
        try interface.apply([
            .add(PeerSettings(publicKey: firstKey, allowedIPs: [firstAddress], replacesAllowedIPs: true))
        ])
        let flags = hex("08 00 03 00  02 00 00 00")  // WGPEER_F_REPLACE_ALLOWEDIPS
        #expect(try #require(kernel.requests.last)[72..<80].elementsEqual(flags), "behind headers, nests and key")
    }

    @Test("that configure carry key, port and mark if they are given", arguments: [true, false])
    func configure(all: Bool) throws {
        let (interface, kernel) = try open(.datagram(acknowledgement(sequence: 2)))
        let key = PrivateKey(bytes: [UInt8](repeating: 0xab, count: 32))!
        try interface.configure(privateKey: key, listenPort: all ? 0 : nil, firewallMark: all ? 0x1234 : nil)
        var expected = hex("08 00 02 00 77 67 30 00  24 00 03 00") + key.bytes
        if all { expected += hex("06 00 06 00 00 00 00 00  08 00 07 00 34 12 00 00") }
        let request = try #require(kernel.requests.last)
        #expect(Array(request.dropFirst(20)) == expected)
    }

    @Test("that configure leave the private key alone if none is given, and are not made for nothing")
    func configureWithoutKey() throws {
        let (interface, kernel) = try open(.datagram(acknowledgement(sequence: 2)))
        try interface.configure(privateKey: nil, listenPort: nil, firewallMark: nil)
        #expect(kernel.requests.count == 1, "the question for the family")
        try interface.configure(privateKey: nil, listenPort: 51820, firewallMark: nil)
        let expected = hex("08 00 02 00 77 67 30 00  06 00 06 00 6c ca 00 00")
        #expect(try #require(kernel.requests.last).dropFirst(20).elementsEqual(expected))
    }

    @Test("have at most 64 changes each", arguments: [(0, []), (64, [64]), (65, [64, 1]), (130, [64, 64, 2])])
    func batches(count: Int, sizes: [Int]) throws {
        let kernel = ScriptedKernel(
            [familyAnswer()] + sizes.indices.map { .datagram(acknowledgement(sequence: UInt32($0 + 2))) }
        )
        let interface = try KernelWireGuard(name, socket: NetlinkSocket(transport: kernel))
        try interface.apply([PeerChange](repeating: .remove(firstKey), count: count))
        // Header, name and nest are 32 bytes; a removal is 4 + 36 + 8.
        let sent = kernel.requests.dropFirst().map { ($0.count - 32) / 48 }
        #expect(sent == sizes)
    }

    @Test("are split by size, and lose nothing", arguments: [1, 10, 20, 200])
    func sizes(prefixes: Int) throws {
        let count = 60
        let addresses = (0..<UInt64(prefixes)).map { IPPrefix(host: IPv6Address(high: 0xfe80 << 48, low: $0)) }
        let kernel = ScriptedKernel(
            [familyAnswer()] + (0..<count).map { .datagram(acknowledgement(sequence: UInt32($0 + 2))) }
        )
        let interface = try KernelWireGuard(name, socket: NetlinkSocket(transport: kernel))
        let change = PeerChange.add(PeerSettings(publicKey: firstKey, allowedIPs: addresses))
        try interface.apply([PeerChange](repeating: change, count: count))
        // A change is 4 + 36 + 4 bytes and 40 for each allowed IP.
        let size = 44 + 40 * prefixes
        let perMessage = min(64, (8192 - 32) / size)
        let sent = kernel.requests.dropFirst().map { ($0.count - 32) / size }
        #expect(sent.reduce(0, +) == count)
        #expect(sent.dropLast().allSatisfy { $0 == perMessage })
    }

    @Test("give a preshared key, and say that a peer is only to be updated")
    func update() throws {
        let (interface, kernel) = try open(.datagram(acknowledgement(sequence: 2)))
        let settings = PeerSettings(
            publicKey: firstKey,
            allowedIPs: [],
            replacesAllowedIPs: true,
            persistentKeepalive: 0,
            presharedKey: PresharedKey(bytes: [UInt8](repeating: 0xab, count: 32))
        )
        try interface.apply([.update(settings)])
        let expected =
            hex("08 00 02 00  77 67 30 00  60 00 08 80  5c 00 00 80  24 00 01 00") + firstKey.bytes
            + hex("24 00 02 00") + [UInt8](repeating: 0xab, count: 32)  // PRESHARED_KEY
            + hex("08 00 03 00  06 00 00 00")  // FLAGS: REPLACE_ALLOWEDIPS | UPDATE_ONLY
            + hex("06 00 05 00  00 00 00 00")  // PERSISTENT_KEEPALIVE_INTERVAL 0
        #expect(try #require(kernel.requests.last).dropFirst(20).elementsEqual(expected))
    }

    @Test(
        "bring any number of allowed IPs in several messages; all but the first only update the peer",
        arguments: [200, 201, 1000]
    )
    func manyAllowedIPs(count: Int) throws {
        let messages = (count + 199) / 200
        let kernel = ScriptedKernel(
            [familyAnswer()] + (0..<messages).map { .datagram(acknowledgement(sequence: UInt32($0 + 2))) }
        )
        let interface = try KernelWireGuard(name, socket: NetlinkSocket(transport: kernel))
        let addresses = (0..<UInt64(count)).map { IPPrefix(host: IPv6Address(high: 0xfe80 << 48, low: $0)) }
        let settings = PeerSettings(
            publicKey: firstKey,
            allowedIPs: addresses,
            replacesAllowedIPs: true,
            endpoint: Endpoint("[2001:db8::1]:51820"),
            persistentKeepalive: 25,
            presharedKey: PresharedKey(bytes: [UInt8](repeating: 0xab, count: 32))
        )
        try interface.apply([.add(settings)])
        #expect(kernel.isFinished)
        let sent = Array(kernel.requests.dropFirst())
        #expect(sent.allSatisfy { $0.count <= 8192 })
        // Everything but the flags and the addresses: 32 bytes of heads, 40 of the key; in the first 36, 32 and 8 more.
        let flags = sent.map { request in
            let start = request == sent[0] ? 72 + 36 : 72
            return Array(request[start..<start + 8])
        }
        #expect(flags[0] == hex("08 00 03 00  02 00 00 00"))
        #expect(flags.dropFirst().allSatisfy { $0 == hex("08 00 03 00  04 00 00 00") })
        let sizes = sent.map { $0.count - 84 - ($0 == sent[0] ? 76 : 0) }
        #expect(sizes == (0..<messages).map { 40 * min(200, count - 200 * $0) })
        // Each address once, in order.
        let last = sent.flatMap { request in
            (0..<request.count - 20).filter { request[$0..<$0 + 4].elementsEqual(hex("14 00 02 00")) }
                .map { UInt64(request[$0 + 18]) << 8 | UInt64(request[$0 + 19]) }
        }
        #expect(last == (0..<UInt64(count)).map(\.self))
    }

    @Test(
        "that fail become errors that callers can tell apart",
        arguments: [
            (19, .noSuchInterface(name)),
            (95, .notWireGuard(name)),
            (1, .refused(.applyChanges, name, errno: .notPermitted, text: "no")),
        ] as [(Int32, WireGuardError)]
    )
    func errors(errno: Int32, error: WireGuardError) throws {
        let (interface, _) = try open(.datagram(acknowledgement(sequence: 2, errno: errno, text: "no")))
        #expect(throws: error) { try interface.apply([.remove(firstKey)]) }
    }

    @Test("say what was tried on what, and that it is no transaction")
    func errorText() {
        let error = WireGuardError.refused(.applyChanges, name, errno: .notPermitted, text: "no")
        #expect(
            "\(error)"
                == "cannot change the peers of wg0: Operation not permitted (errno 1): no; earlier changes may be in effect"
        )
        #expect("\(WireGuardError.noAnswer(.readState, name))" == "cannot read the state of wg0: no answer in time")
    }

    @Test("ask for the family again after the module was loaded anew")
    func reload() throws {
        let (interface, kernel) = try open(
            .datagram(acknowledgement(sequence: 2, errno: 2)),
            familyAnswer(3),
            .datagram(acknowledgement(sequence: 4))
        )
        #expect(throws: WireGuardError.refused(.applyChanges, name, errno: .noSuchFileOrDirectory, text: nil)) {
            try interface.apply([.remove(firstKey)])
        }
        try interface.apply([.remove(firstKey)])
        #expect(kernel.isFinished)
    }

    @Test("are not made where the kernel has no WireGuard")
    func noFamily() {
        let kernel = ScriptedKernel([.datagram(acknowledgement(sequence: 1, errno: 2))])
        #expect(throws: NetlinkError.noSuchFamily("wireguard")) {
            try KernelWireGuard(name, socket: NetlinkSocket(transport: kernel))
        }
    }
}

@Suite("Kernel WireGuard: state") struct KernelStateTests {
    /// The attributes of the interface as the first part of a dump has them.
    private let device = hex(
        """
        06 00 06 00  1a 27 00 00                 ; LISTEN_PORT 10010
        08 00 07 00  34 12 00 00                 ; FWMARK 0x1234
        08 00 01 00  05 00 00 00                 ; IFINDEX 5
        08 00 02 00  77 67 30 00                 ; IFNAME wg0
        24 00 03 00  ee ee ee ee ee ee ee ee ee ee ee ee ee ee ee ee
                     ee ee ee ee ee ee ee ee ee ee ee ee ee ee ee ee  ; PRIVATE_KEY
        24 00 04 00  de 9e db 7d 7b 7d c1 b4 d3 5b 61 c2 ec e4 35 37
                     3f 83 43 c8 5b 78 67 4d ad fc 7e 14 6f 88 2b 4f  ; PUBLIC_KEY
        """
    )
    private let address: [UInt8] = hex("fe 80 00 00 00 00 00 00 00 de 5d ff fe b8 5b 59")
    private var key: [UInt8] { attribute(1, firstKey.bytes) }

    @Test("is read from hand-made bytes, attribute by attribute")
    func everything() throws {
        let peer = hex(
            """
            24 00 01 00  4d fc 59 a5 42 e0 58 b2 e0 eb 70 f4 63 e2 40 9d
                         e8 e5 15 d6 0a 34 98 ba 0b 70 2e 92 88 81 73 2c  ; PUBLIC_KEY
            24 00 02 00  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                         00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01  ; PRESHARED_KEY
            14 00 06 00  00 f1 53 65 00 00 00 00 05 00 00 00 00 00 00 00  ; LAST_HANDSHAKE_TIME 1,700,000,000 s, 5 ns
            06 00 05 00  19 00 00 00                                      ; PERSISTENT_KEEPALIVE_INTERVAL 25
            0c 00 08 00  ff ff ff ff ff ff ff ff                          ; TX_BYTES
            0c 00 07 00  94 00 00 00 00 00 00 00                          ; RX_BYTES 148
            08 00 0a 00  01 00 00 00                                      ; PROTOCOL_VERSION 1
            20 00 04 00  0a 00 ca 6c 00 00 00 00 fe 80 00 00 00 00 00 00 00 00 00 00 00 00 00 01 03 00 00 00  ; ENDPOINT
            08 00 63 00  00 00 00 00                                      ; an attribute of next year
            28 00 09 80  24 00 00 80                                      ; ALLOWEDIPS with one element
            05 00 03 00  18 00 00 00
            06 00 01 00  02 00 00 00
            08 00 02 00  c0 00 02 00
            08 00 04 00  00 00 00 00                                      ; FLAGS, which dumps of later kernels may have
            """
        )
        let (interface, kernel) = try open(part(device + peers(peer)), end())
        let expected = Peer(
            publicKey: firstKey,
            allowedIPs: [IPPrefix("192.0.2.0/24")!],
            endpoint: .v6(IPv6Address("fe80::1")!, port: 51820, scope: 3),
            hasPresharedKey: true,
            persistentKeepalive: 25,
            lastHandshake: 1_700_000_000,
            receivedBytes: 148,
            sentBytes: .max
        )
        let state = try interface.state()
        #expect(state == DeviceState(publicKey: bobPublic, listenPort: 10010, firewallMark: 0x1234, peers: [expected]))
        #expect(
            kernel.requests.last
                == hex(
                    """
                    1c 00 00 00  21 00  01 03  02 00 00 00  07 00 00 00  ; REQUEST | DUMP
                    00 01 00 00  08 00 02 00  77 67 30 00                ; WG_CMD_GET_DEVICE, IFNAME wg0
                    """
                )
        )
    }

    @Test("has the private key only for who asks for that")
    func privateKey() throws {
        let (interface, kernel) = try open(part(device + peers(key)), part(peers(key)), end())
        #expect(try interface.privateKey() == PrivateKey(bytes: [UInt8](repeating: 0xee, count: 32)))
        #expect(kernel.isFinished)
        let (other, _) = try open(part(attribute(3, [UInt8](repeating: 0, count: 32))), end())
        #expect(try other.privateKey() == nil)
        let (broken, _) = try open(part(attribute(3, [1])), end())
        #expect(throws: WireGuardError.malformedReply(.readKey, name, detail: "a private key of 1 bytes")) {
            try broken.privateKey()
        }
    }

    @Test("without key, port and peers has none of them")
    func empty() throws {
        let (interface, _) = try open(part(attribute(6, hostOrder(UInt16(0)))), end())
        #expect(try interface.state() == DeviceState())
    }

    @Test("knows endpoints of IPv4, and a handshake that never was")
    func otherValues() throws {
        let peer =
            key + attribute(4, hex("02 00 ca 6c c0 00 02 01 00 00 00 00 00 00 00 00"))
            + attribute(6, [UInt8](repeating: 0, count: 16)) + attribute(2, [UInt8](repeating: 0, count: 32))
        let (interface, _) = try open(part(peers(peer)), end())
        #expect(
            try interface.state().peers == [
                Peer(publicKey: firstKey, endpoint: .v4(IPv4Address("192.0.2.1")!, port: 51820))
            ]
        )
    }

    @Test("joins a peer that goes on in the next part, and keeps what only its beginning says")
    func splitPeer() throws {
        let start = key + attribute(7, hostOrder(UInt64(148))) + allowedIPs((10, address, 128))
        let more = key + allowedIPs((2, [192, 0, 2, 0], 24))
        let last = attribute(1, secondKey.bytes)
        let (interface, _) = try open(
            part(device + peers(start)),
            part(peers(more)),
            part(peers(more, last)),
            end()
        )
        let network = IPPrefix("192.0.2.0/24")!
        let expected = DeviceState(
            publicKey: bobPublic,
            listenPort: 10010,
            firewallMark: 0x1234,
            peers: [
                Peer(publicKey: firstKey, allowedIPs: [firstAddress, network, network], receivedBytes: 148),
                Peer(publicKey: secondKey),
            ]
        )
        #expect(try interface.state() == expected)
    }

    @Test("is asked for again if it changed meanwhile; what came before does not count")
    func interrupted() throws {
        let (interface, _) = try open(
            part(flags: 0x12, device + peers(key, attribute(1, secondKey.bytes))),
            end(),
            part(sequence: 3, device + peers(key)),
            end(sequence: 3)
        )
        #expect(try interface.state().peers == [Peer(publicKey: firstKey)])
    }

    @Test("is taken as it is when it keeps changing, and says that it is not whole")
    func alwaysInterrupted() throws {
        let (interface, kernel) = try open(
            part(flags: 0x12, device + peers(key)),
            end(),
            part(flags: 0x12, sequence: 3, device + peers(key)),
            end(sequence: 3)
        )
        let state = try interface.state()
        #expect(state.peers == [Peer(publicKey: firstKey)])
        #expect(!state.isWhole)
        #expect(kernel.isFinished)
    }

    @Test(
        "of an interface that is gone, or of another kind, is an error of its own",
        arguments: [
            (done(sequence: 2, errno: 19), WireGuardError.noSuchInterface(name)),
            (acknowledgement(sequence: 2, errno: 19), .noSuchInterface(name)),
            (acknowledgement(sequence: 2, errno: 95), .notWireGuard(name)),
            (acknowledgement(sequence: 2, errno: 1), .refused(.readState, name, errno: .notPermitted, text: nil)),
        ]
    )
    func errors(datagram: [UInt8], error: WireGuardError) throws {
        let (interface, _) = try open(.datagram(datagram))
        #expect(throws: error) { try interface.state() }
    }

    @Test(
        "that cannot be is not believed",
        arguments: [
            (peers(attribute(7, hostOrder(UInt64(1)))), "a peer without key"),
            (peers(attribute(1, [1, 2, 3])), "a public key of 3 bytes"),
            (peers(attribute(1, firstKey.bytes) + attribute(4, [0, 0, 0])), "an endpoint of 3 bytes"),
            (
                peers(attribute(1, firstKey.bytes) + attribute(6, [0, 0, 0, 0, 0, 0, 0, 0])),
                "attribute 6 of 8 bytes and not 16"
            ),
            (peers(attribute(1, firstKey.bytes) + allowedIPs((2, [1, 2, 3, 4], 33))), "an allowed IP that is none"),
            (peers(attribute(1, firstKey.bytes) + allowedIPs((2, [1, 2, 3], 8))), "an allowed IP that is none"),
            (attribute(0x8008, [9, 0, 0, 0x80]), "an attribute longer than the 4 bytes left for it"),
        ]
    )
    func nonsense(attributes: [UInt8], detail: String) throws {
        let (interface, _) = try open(part(attributes), end())
        #expect(throws: WireGuardError.malformedReply(.readState, name, detail: detail)) { try interface.state() }
    }
}
