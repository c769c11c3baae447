import ConfigurationFiles
import Foundation
import LinkControl
import LinkFacts
import LinkMember
import NetworkAddresses
import SystemCalls
import Testing
import WireGuardControl
import WireGuardTypes

@testable import LinkKeeper

/// A folder for the length of `body`.
private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = NSTemporaryDirectory() + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
}

@Suite("Marks of peers") struct PeerMarksTests {
    @Test("are read as they were written, and are gone when they are cleared")
    func life() throws {
        try withFolder { folder in
            let path = "\(folder)/wg0.peers"
            var marks = try PeerMarks.read(path: path)
            #expect(marks.keys == [] && marks.interface == nil)
            let index = try #require(InterfaceIndex(7))
            try marks.set([key(1), key(2)], interface: index)
            let read = try PeerMarks.read(path: path)
            #expect(read.keys == [key(1), key(2)] && read.interface == index && read.ports == [])
            try marks.set([key(1), key(2)], interface: index, ports: [7, 65535])
            #expect(try PeerMarks.read(path: path).ports == [7, 65535])
            try marks.set([key(1)], interface: index)
            #expect(try PeerMarks.read(path: path).ports == [7, 65535])
            try marks.set([key(1), key(2)], interface: index)
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            // Nothing is written where nothing has changed.
            try FileManager.default.removeItem(atPath: path)
            try marks.set([key(2), key(1)], interface: index)
            #expect(!File.exists(path))
            try marks.set([key(2)], interface: index)
            marks.clear()
            #expect(!File.exists(path) && marks.keys == [])
        }
    }

    @Test("of a damaged file are those that can be read")
    func damage() throws {
        try withFolder { folder in
            let path = "\(folder)/wg0.peers"
            let ports = "# port 65536\n# port 1\n# port 2\n# port 3\n"
            try Data("# interface x\n\(ports)\(key(1))\n\(key(2).description.dropLast())\n\n\0\n".utf8)
                .write(to: URL(fileURLWithPath: path))
            let marks = try PeerMarks.read(path: path)
            #expect(marks.keys == [key(1)] && marks.interface == nil && marks.ports == [1, 2])
        }
    }

    @Test("have one owner at a time")
    func lock() throws {
        try withFolder { folder in
            let path = "\(folder)/wg0.lock"
            do {
                let first = try File.lock(path)
                let isFirst = first != nil
                let isSecond = try File.lock(path) != nil
                #expect(isFirst && !isSecond)
            }
            let isThird = try File.lock(path) != nil
            #expect(isThird)
            #expect(try File.names(in: folder) == ["wg0.lock"])
            #expect(try File.names(in: "\(folder)/none") == [])
        }
    }
}

@Suite("A gateway's interfaces") struct GatewayInterfacesTests {
    @Test("are those that a domain names, in drop-ins too")
    func owner() throws {
        try withFolder { folder in
            let path = "\(folder)/kex.conf"
            func owner(_ name: String) throws -> String? {
                try GatewayInterfaces.owner(of: InterfaceName(name)!, path: path)
            }
            #expect(try owner("wg0") == nil)
            try Data("[Gateway]\nListen=1\n[Domain a]\nWireGuard=wg0\nVXLAN=wg1\n".utf8)
                .write(to: URL(fileURLWithPath: path))
            #expect(try owner("wg0") == "[Domain a] of \(path)")
            #expect(try owner("wg1") == nil)
            try FileManager.default.createDirectory(atPath: path + ".d", withIntermediateDirectories: true)
            try Data("[Domain b]\nWireGuard=wg2\n".utf8).write(to: URL(fileURLWithPath: "\(path).d/b.conf"))
            #expect(try owner("wg2") == "[Domain b] of \(path).d/b.conf")
            try Data("nonsense\n".utf8).write(to: URL(fileURLWithPath: path))
            #expect(throws: ConfigurationError.self) { try owner("wg0") }
            #expect(try owner("wg2") != nil)
        }
    }
}

@Suite("A snapshot") struct DeviceReadingTests {
    private let wg = Link(index: InterfaceIndex(5)!, name: InterfaceName("wg0")!, kind: "wireguard", isUp: true)
    private let eth = Link(index: InterfaceIndex(2)!, name: InterfaceName("eth0")!, kind: nil, isUp: true)
    private let down = Link(index: InterfaceIndex(3)!, name: InterfaceName("eth1")!, kind: nil, isUp: false)

    private func address(_ link: Link, _ text: String, isTentative: Bool = false) -> InterfaceAddress {
        InterfaceAddress(interface: link.index, prefix: IPPrefix(text)!, isTentative: isTentative)
    }

    @Test("has the addresses of the tunnel apart from those of other interfaces that are up")
    func addresses() throws {
        let state = DeviceState(publicKey: key(1), listenPort: 51820, firewallMark: 3, peers: [Peer(publicKey: key(2))])
        let snapshot = try #require(
            DeviceSnapshot(
                state,
                of: wg,
                links: [wg, eth, down],
                addresses: [
                    address(wg, "10.0.0.1/24"), address(eth, "192.0.2.1/24"),
                    address(eth, "fe80::1/64", isTentative: true),
                    address(down, "192.0.2.2/24"),
                ],
                made: [key(2), key(9)],
                wallClock: 9
            )
        )
        let expected = DeviceSnapshot(
            publicKey: key(1),
            listenPort: 51820,
            firewallMark: 3,
            peers: [Peer(publicKey: key(2))],
            madePeers: [key(2)],
            wallClock: 9,
            tunnelAddresses: [IPPrefix("10.0.0.1/24")!],
            underlayAddresses: [
                UnderlayAddress(interface: eth.name, address: IPPrefix("192.0.2.1/24")!),
                UnderlayAddress(interface: eth.name, address: IPPrefix("fe80::1/64")!, isTentative: true),
            ]
        )
        #expect(snapshot == expected)
        #expect(DeviceSnapshot(DeviceState(), of: wg, links: [], addresses: [], made: [], wallClock: 0) == nil)
    }

    @Test("tells the ports of facts: the one after WireGuard's, and the one after a hub's")
    func ports() {
        func ports(_ listenPort: UInt16, _ peers: Peer..., configured: UInt16? = nil) -> [UInt16?] {
            var snapshot = DeviceSnapshot(publicKey: key(0), listenPort: listenPort, peers: peers, wallClock: 0)
            snapshot.madePeers = [key(9)]
            let ports = FactsPorts(configured: configured, snapshot: snapshot)
            return [ports.main, ports.other]
        }
        func peer(_ number: Int, _ allowedIP: String, port: UInt16) -> Peer {
            let endpoint = Endpoint.v4(IPv4Address("192.0.2.1")!, port: port)
            return Peer(publicKey: key(number), allowedIPs: [IPPrefix(allowedIP)!], endpoint: endpoint)
        }
        #expect(ports(51820) == [51821, nil])
        #expect(ports(0) == [nil, nil])
        #expect(ports(65535) == [nil, nil])
        #expect(ports(40000, peer(1, "10.0.0.0/24", port: 51820)) == [40001, 51821])
        #expect(ports(51820, peer(1, "10.0.0.0/24", port: 51820)) == [51821, nil])
        #expect(ports(40000, peer(1, "fd00::/64", port: 65535)) == [40001, nil])
        // Neither a machine nor a link-local network nor a peer that was made is a hub.
        #expect(ports(40000, peer(1, "10.0.0.1/32", port: 51820)) == [40001, nil])
        #expect(ports(40000, peer(1, "fe80::/64", port: 51820)) == [40001, nil])
        #expect(ports(40000, peer(9, "10.0.0.0/24", port: 51820)) == [40001, nil])
        #expect(ports(40000, peer(1, "10.0.0.0/24", port: 51820), configured: 7) == [7, nil])
    }
}
