import Foundation
import KernelTestSupport
import LinkControl
import Netlink
import NetworkAddresses
import Surroundings
import SystemPackage
import Testing
import VXLANFdb

private let router = IPv6Address("fe80::de:5dff:feb8:5b59")!
private let other = IPv6Address("fe80::7c:16ff:fec0:6c74")!
private let mac = MACAddress("02:de:5d:b8:5b:59")!

/// What bridge(8) shows of the interface, one line an entry.
private func bridgeShows(_ link: Link) throws -> [String] {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/sbin/bridge")
    process.arguments = ["fdb", "show", "dev", link.name.text]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return String(decoding: data, as: UTF8.self).split(separator: "\n").map {
        $0.trimmingCharacters(in: .whitespaces)
    }
}

/// One VXLAN interface, its fdb, and another interface to be the wrong `via`.
private func withFdb(_ body: (inout VXLANFdb, Link) throws -> Void) throws {
    try withVXLAN { link throws in
        var fdb = try VXLANFdb(device: link.index)
        try body(&fdb, link)
    }
}

@Suite("Fdb of a real VXLAN interface", .needsRoot) struct VXLANFdbTests {
    @Test("is listed as far as a limit, and then no further")
    func limit() throws {
        try withFdb { fdb, link throws in
            let entries = (1...10).map { FdbEntry.flood(to: IPv6Address(high: 0xfe80 << 48, low: $0), via: loopback) }
            #expect(try fdb.append(entries).allSatisfy { $0 == .done })
            var count = 0
            #expect(try fdb.list(atMost: 10) { _ in count += 1 })
            #expect(count == 10)
            var other = try VXLANFdb(device: link.index)
            count = 0
            #expect(try !other.list(atMost: 9) { _ in count += 1 })
            #expect(count == 9)
        }
    }

    @Test("loses what was learned of one tunnel end, and neither its permanent entries nor what was learned of others")
    func deleteLearned() throws {
        try withFdb { fdb, link throws in
            let kept = [
                FdbEntry.flood(to: router, via: loopback), FdbEntry(mac: mac, destination: router, via: loopback),
            ]
            #expect(try fdb.append(kept) == [.done, .done])
            for number in 1...20 {
                let destination = number <= 15 ? router : other
                _ = try output(
                    of: "/usr/sbin/bridge",
                    [
                        "fdb", "add", "06:00:00:00:00:\(number + 10)", "dev", link.name.text, "dst", "\(destination)",
                        "via", "lo", "dynamic",
                    ]
                )
            }
            #expect(try fdb.list().count == 22)
            do throws(NetlinkError) {
                try fdb.deleteLearned(of: router)
            } catch {
                // Linux before 6.7.
                #expect(error.refusal == .invalidArgument || error.refusal == .notSupportedOnSocket)
                return
            }
            let left = try fdb.list().compactMap(\.entry)
            #expect(Set(left.filter { $0.destination == router }) == Set(kept))
            #expect(left.count { $0.destination == other } == 5)
        }
    }

    @Test("has a flood entry once, however often it is appended")
    func appendTwice() throws {
        try withFdb { fdb, link throws in
            let entry = FdbEntry.flood(to: router, via: loopback)
            #expect(try fdb.append([entry, entry]) == [.done, .done])
            #expect(try fdb.append([entry]) == [.done])
            #expect(try fdb.list().map(\.entry) == [entry])
            #expect(try bridgeShows(link) == ["00:00:00:00:00:00 dst \(router) via lo self permanent"])
        }
    }

    @Test("keeps all destinations of the flood list in order")
    func floodList() throws {
        try withFdb { fdb, _ throws in
            let entries = [router, other].map { FdbEntry.flood(to: $0, via: loopback) }
            #expect(try fdb.append(entries) == [.done, .done])
            #expect(try fdb.list().map(\.entry) == entries)
        }
    }

    @Test("sends a router's MAC to the last destination given")
    func replace() throws {
        try withFdb { fdb, link throws in
            let (first, second) = (
                FdbEntry(mac: mac, destination: router, via: loopback),
                FdbEntry(mac: mac, destination: other, via: loopback)
            )
            #expect(try fdb.append([first, first]) == [.done, .done])
            #expect(try fdb.append([second]) == [.done])
            #expect(try fdb.list().map(\.entry) == [second])
            #expect(try bridgeShows(link) == ["\(mac) dst \(other) via lo self permanent"])
        }
    }

    @Test("lists our entries as permanent and not as learned")
    func states() throws {
        try withFdb { fdb, _ throws in
            #expect(try fdb.append([FdbEntry(mac: mac, destination: router, via: loopback)]) == [.done])
            let record = try #require(try fdb.list().first)
            #expect(record.isPermanent)
            #expect(!record.isLearned)
            #expect(record.state == 0xc0)
            #expect(record.flags == 0x02)
        }
    }

    @Test("lists what others made: dynamic entries, and entries without via")
    func foreignEntries() throws {
        try withFdb { fdb, link throws in
            for arguments in [
                ["02:00:00:00:00:01", "dst", "2001:db8::1", "dynamic"],
                ["02:00:00:00:00:02", "dst", "fe80::2", "via", "lo", "dynamic"],
            ] {
                let process = try Process.run(
                    URL(fileURLWithPath: "/usr/sbin/bridge"),
                    arguments: ["fdb", "add", arguments[0], "dev", link.name.text] + arguments[1...]
                )
                process.waitUntilExit()
                #expect(process.terminationStatus == 0)
            }
            let records = Dictionary(grouping: try fdb.list()) { $0.mac?.description ?? "none" }.mapValues { $0[0] }
            let first = try #require(records["02:00:00:00:00:01"])
            #expect(first.via == nil)
            #expect(first.destination == IPv6Address("2001:db8::1"))
            #expect(first.entry == nil, "not complete, so it cannot be deleted through this interface")
            let second = try #require(records["02:00:00:00:00:02"])
            #expect(second.isLearned)
            #expect(!second.isPermanent)
            #expect(
                second.entry
                    == FdbEntry(
                        mac: MACAddress("02:00:00:00:00:02")!,
                        destination: IPv6Address("fe80::2")!,
                        via: loopback
                    )
            )
        }
    }

    @Test("tells of an absent MAC that it is absent", arguments: [MACAddress.zero, mac])
    func deleteAbsent(mac: MACAddress) throws {
        try withFdb { fdb, _ throws in
            #expect(try fdb.delete([FdbEntry(mac: mac, destination: router, via: loopback)]) == [.absent])
        }
    }

    @Test("keeps other destinations when an absent one is deleted, and goes with the last one")
    func deleteOne() throws {
        try withFdb { fdb, _ throws in
            let (first, second) = (FdbEntry.flood(to: router, via: loopback), FdbEntry.flood(to: other, via: loopback))
            #expect(try fdb.append([first]) == [.done])
            #expect(try fdb.delete([second]) == [.done], "the kernel does not tell that there was no such destination")
            #expect(try fdb.list().map(\.entry) == [first])
            #expect(try fdb.delete([first]) == [.done])
            #expect(try fdb.list() == [])
            #expect(try fdb.delete([first]) == [.absent])
        }
    }

    @Test("takes the same destination with another via for another entry")
    func viaMismatch() throws {
        try withFdb { fdb, link throws in
            try withVXLAN { wrong throws in
                let entry = FdbEntry.flood(to: router, via: loopback)
                let mismatch = FdbEntry.flood(to: router, via: wrong.index)
                #expect(try fdb.append([entry]) == [.done])
                #expect(try fdb.delete([mismatch]) == [.done])
                #expect(try fdb.list().map(\.entry) == [entry], "the entry stays")
                #expect(try fdb.append([mismatch]) == [.done])
                #expect(try fdb.list().map(\.entry) == [entry, mismatch])
            }
        }
    }

    @Test("shows nothing of another VXLAN interface")
    func filter() throws {
        try withFdb { fdb, _ throws in
            try withFdb { another, _ throws in
                #expect(try another.append([.flood(to: other, via: loopback)]) == [.done])
                #expect(try fdb.list() == [])
            }
        }
    }

    @Test("carries on after an entry that fails, and names it")
    func oneFails() throws {
        try withFdb { fdb, link throws in
            let bad = FdbEntry.flood(to: other, via: InterfaceIndex(0x7fff_fff0)!)
            let good = FdbEntry.flood(to: router, via: loopback)
            let outcomes = try fdb.append([bad, good])
            #expect(outcomes[1] == .done)
            guard case .failed(let error) = outcomes[0] else {
                Issue.record("\(outcomes)")
                return
            }
            #expect(error.refusal == .addressNotAvailable)
            #expect(
                "\(error)".hasPrefix(
                    "cannot add fdb entry \(bad) on interface \(link.index): Cannot assign requested address (errno 99)"
                )
            )
            #expect(try fdb.list().map(\.entry) == [good])
        }
    }

    @Test("of an interface that is gone fails with ENODEV")
    func gone() throws {
        var fdb: VXLANFdb?
        try withVXLAN { link in fdb = try VXLANFdb(device: link.index) }
        let entry = FdbEntry.flood(to: router, via: loopback)
        for outcome in try #require(try fdb?.append([entry])) + #require(try fdb?.delete([entry])) {
            guard case .failed(let error) = outcome else {
                Issue.record("\(outcome)")
                continue
            }
            #expect(error.refusal == .operationNotSupportedByDevice)
        }
    }

    @Test("takes 1,000 routers at once and gives them back")
    func many() throws {
        try withFdb { fdb, _ throws in
            let entries = (1...1000).map { FdbEntry.flood(to: IPv6Address(high: 0xfe80 << 48, low: $0), via: loopback) }
            #expect(try fdb.append(entries) == [FdbOutcome](repeating: .done, count: 1000))
            #expect(try fdb.list().map(\.entry) == entries)
            #expect(try fdb.delete(entries) == [FdbOutcome](repeating: .done, count: 1000))
            #expect(try fdb.list() == [])
        }
    }
}
