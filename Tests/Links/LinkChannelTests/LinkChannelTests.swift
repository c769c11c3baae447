import EventLoop
import Keys
import LinkMember
import NetworkAddresses
import SystemCalls
import SystemPackage
import Testing
import Time
import WireGuardTypes

@testable import LinkChannel

func key(_ number: Int) -> PublicKey {
    let bytes = [UInt8](repeating: 7, count: 30) + [UInt8(number >> 8 & 0xff), UInt8(number & 0xff)]
    return PublicKey(bytes: bytes.span)!
}

func snapshot(peers: Int) -> DeviceSnapshot {
    DeviceSnapshot(
        publicKey: key(0),
        listenPort: 51820,
        firewallMark: 51,
        peers: (1...peers).map { number in
            Peer(
                publicKey: key(number),
                allowedIPs: [IPPrefix("10.0.0.0/24")!, IPPrefix(host: IPv6Address("fe80::1")!)],
                endpoint: number % 3 == 0
                    ? nil : number % 3 == 1 ? Endpoint("192.0.2.1:1") : .v6(IPv6Address("fe80::2")!, port: 2, scope: 3),
                hasPresharedKey: number % 2 == 0,
                persistentKeepalive: 25,
                lastHandshake: number % 2 == 0 ? nil : 1_700_000_000,
                receivedBytes: .max,
                sentBytes: UInt64(number)
            )
        },
        madePeers: Set((1...peers).filter { $0 % 5 == 2 }.map { key($0) }),
        wallClock: 1_700_000_001,
        tunnelAddresses: [IPPrefix("10.0.0.1/24")!],
        underlayAddresses: [
            UnderlayAddress(
                interface: InterfaceName("eth0")!,
                address: IPPrefix("2001:db8::1/64")!,
                isTemporary: true,
                isDeprecated: false,
                isTentative: true
            )
        ],
        isUp: false
    )
}

let keeperFrames: [KeeperFrame] = [
    .orders(
        MemberOrders(interface: InterfaceName("wg0")!, path: "/etc/kex/link/wg0.conf", text: Array("[Link]\n".utf8))
    ),
    .orders(MemberOrders(interface: InterfaceName("wg0")!, path: "", text: [])),
    .snapshot(snapshot(peers: 3)),
    .secret(key(1), SharedSecret(bytes: [UInt8](0..<32))),
    .secret(key(2), nil),
    .socket(MemberSocket(.facts, port: 51821)),
    .socket(MemberSocket(.status)),
    .changed([]),
    .changed([key(1), key(2)]),
    .refused(key(1), reason: "it is the operator's"),
    .held(key(1)),
    .notHeld(key(1), reason: "this kernel cannot"),
    .leave,
]

let memberFrames: [MemberFrame] = [
    .changes([]),
    .changes([
        .remove(key(1)),
        .add(
            PeerSettings(
                publicKey: key(1),
                allowedIPs: [IPPrefix("fe80::1/128")!, IPPrefix("10.0.0.7/32")!],
                replacesAllowedIPs: true,
                endpoint: Endpoint("[2001:db8::1]:51820"),
                persistentKeepalive: 0
            )
        ),
        .update(PeerSettings(publicKey: key(2), allowedIPs: [])),
    ]),
    .secretWanted(key(3)),
    .hold(key(3), [IPPrefix("10.0.0.3/32")!, IPPrefix("fd00::/64")!]),
    .hold(key(3), []),
    .release(key(3)),
    .read(every: .milliseconds(1500)),
    .taken,
    .left,
]

/// Puts packets together as the other side does.
private func put(_ packets: [[UInt8]], _ limits: [UInt8: Int]) throws -> AssembledFrame {
    var assembler = FrameAssembler(limits: limits)
    for packet in packets.dropLast() { #expect(try assembler.take(packet[...]) == nil) }
    let last = try #require(packets.last)
    return try #require(try assembler.take(last[...]))
}

@Suite("Frames of keeper and member") struct LinkFrameTests {
    @Test("of the keeper come as they were sent", arguments: keeperFrames)
    func keeper(frame: KeeperFrame) throws {
        let assembled = try put(frame.packets, KeeperFrame.limits)
        #expect(try KeeperFrame(assembled) == frame)
    }

    @Test("of the member come as they were sent", arguments: memberFrames)
    func member(frame: MemberFrame) throws {
        let assembled = try put(frame.packets, MemberFrame.limits)
        #expect(try MemberFrame(assembled) == frame)
    }

    @Test("of 2,000 peers are cut into packets that a socket takes")
    func long() throws {
        let frame = KeeperFrame.snapshot(snapshot(peers: 2000))
        #expect(frame.packets.count > 1 && frame.packets.allSatisfy { $0.count <= FramePackets.maximumLength })
        let assembled = try put(frame.packets, KeeperFrame.limits)
        #expect(try KeeperFrame(assembled) == frame)
    }

    @Test("never ask for a preshared key")
    func presharedKey() throws {
        let settings = PeerSettings(publicKey: key(1), allowedIPs: [], presharedKey: .zero)
        let assembled = try put(MemberFrame.changes([.add(settings)]).packets, MemberFrame.limits)
        let expected = MemberFrame.changes([.add(PeerSettings(publicKey: key(1), allowedIPs: []))])
        #expect(try MemberFrame(assembled) == expected)
    }

    @Test("that end early, go on too long, or have a byte changed are refused or mean something, and never trap")
    func malformed() throws {
        for frame in memberFrames {
            let assembled = try put(frame.packets, MemberFrame.limits)
            for count in 0..<assembled.body.count {
                let short = AssembledFrame(kind: assembled.kind, body: Array(assembled.body.prefix(count)))
                #expect(throws: MalformedFrame.self) { try MemberFrame(short) }
            }
            #expect(throws: MalformedFrame.self) {
                try MemberFrame(AssembledFrame(kind: assembled.kind, body: assembled.body + [0]))
            }
            for index in assembled.body.indices {
                for value in [0, 1, 5, 0x7f, 0x80, 0xff] as [UInt8] {
                    var changed = assembled.body
                    changed[index] = value
                    _ = try? MemberFrame(AssembledFrame(kind: assembled.kind, body: changed))
                }
            }
        }
        #expect(throws: MalformedFrame.self) { try MemberFrame(AssembledFrame(kind: 1, body: [])) }
        #expect(throws: MalformedFrame.self) { try KeeperFrame(AssembledFrame(kind: 64, body: [])) }
    }

    @Test("with more elements than bytes take no memory for them")
    func elements() {
        #expect(throws: MalformedFrame("with 4294967295 elements that are not there")) {
            try MemberFrame(AssembledFrame(kind: 64, body: [0xff, 0xff, 0xff, 0xff]))
        }
    }

    @Test("are put together up to their limit, in one piece of the other")
    func assembly() throws {
        let limits: [UInt8: Int] = [1: 4, 2: 4]
        var assembler = FrameAssembler(limits: limits)
        #expect(try assembler.take([1, 1, 7, 7]) == nil)
        #expect(try #require(try assembler.take([1, 0, 7, 7])).body == [7, 7, 7, 7])
        #expect(try assembler.take([1, 1, 7, 7, 7]) == nil)
        #expect(throws: MalformedFrame("of more than 4 bytes")) { _ = try assembler.take([1, 0, 7, 7]) }
        for (packets, reason) in [
            ([[1]], "without a header"), ([[3, 0]], "of the unknown kind 3"),
            ([[1, 1, 7], [2, 0]], "within another"),
            ([[1, 2, 7]], "with a flag of 2"), ([[1, 1]], "in empty pieces"),
        ] as [([[UInt8]], String)] {
            var assembler = FrameAssembler(limits: limits)
            #expect(throws: MalformedFrame(reason)) {
                for packet in packets { _ = try assembler.take(packet[...]) }
            }
        }
    }
}

@Suite("The channel of keeper and member") final class LinkChannelTests {
    private let loop: EventLoop
    private var keeper: KeeperEnd
    private var member: MemberEnd

    init() throws {
        let (here, there) = try Socket.pair(.sequentialPacket)
        keeper = KeeperEnd(ChannelEnd(OwnedDescriptor(adopting: here), token: 1))
        member = MemberEnd(ChannelEnd(OwnedDescriptor(adopting: there), token: 2))
        loop = try EventLoop()
        try keeper.end.watch(on: loop)
        try member.end.watch(on: loop)
    }

    @Test("carries frames both ways, with sockets")
    func frames() throws {
        var isAtEnd = false
        for frame in keeperFrames {
            var descriptor: SharedDescriptor?
            if case .socket = frame {
                descriptor = SharedDescriptor(try Socket.datagrams(at: Endpoint("127.0.0.1:0")!))
            }
            try keeper.end.enqueue(frame.packets, with: descriptor)
        }
        try keeper.end.flush(on: loop, now: .now)
        #expect(keeper.end.isEmpty)
        for frame in keeperFrames {
            let next = try #require(try member.next(isAtEnd: &isAtEnd))
            #expect(next.frame == frame)
            if case .socket = frame {
                #expect(try Socket.localAddress(of: #require(next.descriptor).raw).endpoint != nil)
            }
        }
        #expect(try member.next(isAtEnd: &isAtEnd) == nil)
        for frame in memberFrames { try member.end.enqueue(frame.packets) }
        try member.end.flush(on: loop, now: .now)
        for frame in memberFrames { #expect(try keeper.next(isAtEnd: &isAtEnd) == frame) }
        #expect(try keeper.next(isAtEnd: &isAtEnd) == nil && !isAtEnd)
    }

    @Test("keeps what is not taken, says since when, and refuses more than so much")
    func stuck() throws {
        let long = KeeperFrame.snapshot(snapshot(peers: 2000))
        let packets = long.packets
        for _ in 0..<4 { try keeper.end.enqueue(packets) }
        let start = MonotonicTime.now
        try keeper.end.flush(on: loop, now: start)
        #expect(!keeper.end.isEmpty && keeper.end.stuckSince == start)
        try keeper.end.flush(on: loop, now: start + .seconds(1))
        #expect(keeper.end.stuckSince == start)
        #expect(throws: ChannelFailure.stuck) {
            for _ in 0...ChannelEnd.maximumWaiting { try keeper.end.enqueue([[0]]) }
        }
        var isAtEnd = false
        for _ in 0..<4 {
            while true {
                if let next = try member.next(isAtEnd: &isAtEnd) {
                    #expect(next.frame == long)
                    break
                }
                try keeper.end.flush(on: loop, now: .now)
            }
        }
    }

    @Test("ends with the other side, and over a frame that breaks the rules")
    func end() throws {
        var isAtEnd = false
        try member.end.enqueue([[9, 9, 9]])
        try member.end.flush(on: loop, now: .now)
        #expect(throws: ChannelFailure.malformed(MalformedFrame("of the unknown kind 9"))) {
            _ = try keeper.next(isAtEnd: &isAtEnd)
        }
        // A member has no descriptors to give.
        let socket = SharedDescriptor(try Socket.datagrams(at: Endpoint("127.0.0.1:0")!))
        try member.end.enqueue(MemberFrame.left.packets, with: socket)
        try member.end.flush(on: loop, now: .now)
        #expect(throws: ChannelFailure.malformed(MalformedFrame("with a descriptor"))) {
            _ = try keeper.next(isAtEnd: &isAtEnd)
        }
        let (here, there) = try Socket.pair(.sequentialPacket)
        keeper = KeeperEnd(ChannelEnd(OwnedDescriptor(adopting: here), token: 3))
        _ = OwnedDescriptor(adopting: there)
        #expect(try keeper.next(isAtEnd: &isAtEnd) == nil)
        #expect(isAtEnd)
    }
}
