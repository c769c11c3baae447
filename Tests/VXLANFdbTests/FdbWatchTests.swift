import KernelTestSupport
import LinkControl
import Netlink
import NetworkAddresses
import Surroundings
import Testing
import VXLANFdb

private func run(_ command: String) throws { _ = try output(of: "/bin/sh", ["-c", command]) }

/// Puts in what the interface would have learned: the same messages come of it.
///
/// - Parameter destination: `%x` in it becomes a number of each entry's own.
private func learnAsIfFromFrames(_ link: Link, _ count: Int, from first: Int, destination: String) throws {
    let line = #"fdb add 06:00:00:00:%02x:%02x dev \#(link.name) dst \#(destination) via lo dynamic\n"#
    let program = "BEGIN { for (i = \(first); i < \(first + count); i++) printf \"\(line)\", i / 256, i % 256, i + 1 }"
    try run("awk '\(program)' | bridge -batch -")
}

@Suite("News of learned entries", .needsRoot, .serialized) struct LearningWatchTests {
    init() throws { try requirePrivateNamespace() }

    @Test("tell of the first frame of a router, and neither of the next ones nor of what somebody adds")
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
        var watch = try LearningWatch()
        var links = try LinkControl()
        let device = try #require(try links.link(named: vxlan)).index
        let via = try #require(try links.link(named: veth)).index
        let entry = FdbEntry(mac: MACAddress(2, 0, 0, 0, 0, 0xb0), destination: IPv6Address("fe80::b")!, via: via)
        func news() throws -> [LearnedEntry] {
            try watch.news().entries.filter { $0.device == device }
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

    @Test("tell of a tunnel end that teaches too much no more than its burst, and of the others all the same")
    func loudness() throws {
        try withVXLAN { link throws in
            var watch = try LearningWatch()
            let (loud, quiet) = (IPv6Address("fe80::10d")!, IPv6Address("fe80::91e7")!)
            func learn(_ count: Int, of destination: IPv6Address, from first: Int) throws {
                try learnAsIfFromFrames(link, count, from: first, destination: "\(destination)")
            }
            /// All that is told until nothing more comes.
            func told() throws -> [IPv6Address: Int] {
                var counts: [IPv6Address: Int] = [:]
                while true {
                    let news = try watch.news()
                    for entry in news.entries where entry.device == link.index {
                        counts[entry.entry.destination, default: 0] += 1
                    }
                    if watch.resumption == nil { return counts }
                }
            }
            try learn(LearningWatch.burst, of: loud, from: 0)
            #expect(try told() == [loud: LearningWatch.burst])
            try learn(1000, of: loud, from: 1000)
            try learn(3, of: quiet, from: 5000)
            #expect(try told() == [quiet: 3])
        }
    }

    @Test("cost nothing but what is read of them, however many there are; the rest is dropped, and that is said")
    func flood() throws {
        try withVXLAN { link throws in
            var watch = try LearningWatch()
            // Each of another tunnel end, so that none is too loud.
            try learnAsIfFromFrames(link, 5000, from: 0, destination: "fe80::%x")
            let news = try watch.news()
            #expect(news.entries.count <= NetlinkSubscription.datagramsPerCall)
            #expect(watch.resumption != nil, "the loop rests")
            #expect(!news.isWhole)
        }
    }
}

@Suite("News of permanent entries", .needsRoot, .serialized) struct FdbWatchTests {
    init() throws { try requirePrivateNamespace() }

    @Test("tell of what anybody adds and removes, in its order, and of nothing that is learned")
    func changes() throws {
        try withVXLAN { link throws in
            let watch = try FdbWatch()
            let (mac, router) = (MACAddress(2, 0, 0, 0, 0, 1), IPv6Address("fe80::1")!)
            try run(
                """
                bridge fdb append 00:00:00:00:00:00 dev \(link.name) dst \(router) via lo
                bridge fdb add 06:00:00:00:00:07 dev \(link.name) dst \(router) via lo dynamic
                bridge fdb add \(mac) dev \(link.name) dst \(router) via lo
                bridge fdb del 06:00:00:00:00:07 dev \(link.name) dst \(router) via lo
                bridge fdb del 00:00:00:00:00:00 dev \(link.name) dst \(router) via lo
                """
            )
            guard case .changes(let changes) = try watch.news() else {
                Issue.record("nothing was lost")
                return
            }
            let (flood, unicast) = (
                FdbEntry.flood(to: router, via: loopback), FdbEntry(mac: mac, destination: router, via: loopback)
            )
            #expect(
                changes.filter { $0.device == link.index } == [
                    FdbChange(device: link.index, entry: flood, isGone: false),
                    FdbChange(device: link.index, entry: unicast, isGone: false),
                    FdbChange(device: link.index, entry: flood, isGone: true),
                ]
            )
        }
    }
}
