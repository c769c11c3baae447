import KernelTestSupport
import LinkControl
import Netlink
import NetworkAddresses
import Testing
import VXLANFdb

private func run(_ command: String) throws { _ = try output(of: "/bin/sh", ["-c", command]) }

@Suite("News of learned entries", .serialized) struct FdbWatchTests {
    init() throws { try requirePrivateNamespace() }

    @Test("tell of the first frame of a router, and neither of the next ones nor of what somebody puts in")
    func learning() throws {
        let (veth, peer, vxlan, other) = (
            uniqueInterfaceName(), uniqueInterfaceName(), uniqueInterfaceName(), uniqueInterfaceName()
        )
        let remote = "n\(veth)"
        try run(
            """
            set -e
            ip netns add \(remote)
            ip link add \(veth) type veth peer name \(peer) netns \(remote)
            ip address add fe80::a/64 dev \(veth) nodad; ip link set \(veth) up
            ip -n \(remote) address add fe80::b/64 dev \(peer) nodad; ip -n \(remote) link set \(peer) up
            ip link add \(vxlan) type vxlan id 77 dstport 8477 local fe80::a dev \(veth) udp6zerocsumrx
            ip link set \(vxlan) up
            ip -n \(remote) link add \(other) address 02:00:00:00:00:b0 type vxlan id 77 dstport 8477 \\
                local fe80::b remote fe80::a dev \(peer)
            """
        )
        defer { try? run("ip link delete \(vxlan); ip link delete \(veth); ip netns delete \(remote)") }
        let watch = try FdbWatch()
        var links = try LinkControl()
        let device = try #require(try links.link(named: vxlan)).index
        let via = try #require(try links.link(named: veth)).index
        let entry = FdbEntry(mac: MACAddress(2, 0, 0, 0, 0, 0xb0), destination: IPv6Address("fe80::b")!, via: via)
        func news() throws -> [LearnedEntry] {
            guard case .learned(let entries) = try watch.news() else { return [] }
            return entries.filter { $0.device == device }
        }
        // The interface itself speaks when it comes up: neighbour discovery.
        try run("ip -n \(remote) link set \(other) up; sleep 0.5")
        var learned: [LearnedEntry] = []
        for _ in 0..<50 where learned.isEmpty {
            learned = try news()
            try run("sleep 0.1")
        }
        #expect(learned == [LearnedEntry(device: device, entry: entry)])
        var fdb = try VXLANFdb(device: device)
        #expect(try fdb.append([entry, .flood(to: entry.destination, via: via)]) == [.done, .done])
        try run("ip netns exec \(remote) ping -q -c 2 -i 0.2 -W 1 ff02::1%\(other) || true")
        #expect(try news().isEmpty)
    }
}
