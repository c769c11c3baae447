import Foundation
import NetworkAddresses
import Surroundings
import TenantLedger
import TenantLedgerFile
import TenantModel
import Testing

@Suite("A ledger whose writers are killed, or are several") struct CrashTests {
    /// Of these, half are killed by the kernel at a byte that chance chose, and half from outside at any time.
    private static let kills = Extent.isLong ? 1000 : 40
    private static let allocations = Extent.isLong ? 10_000 : 400

    @Test("loses nothing that was told, at whatever byte a writer is killed")
    func kills() throws {
        let folder = try Folder()
        let path = folder.file("net.ledger")
        var random = SystemRandomNumberGenerator()
        var told: [MemberID: Segment] = [:]
        var torn = 0
        for round in 0..<Self.kills {
            let isByByte = round % 2 == 0
            let scribe = try Scribe(
                path,
                "net\(round)",
                1000,
                bytes: isByByte ? .random(in: 1...600, using: &random) : nil
            )
            if !isByByte { scribe.kill(after: .random(in: 0...4, using: &random)) }
            let end = try scribe.end()
            #expect(scribe.process.terminationReason == .uncaughtSignal)
            #expect(end.status == (isByByte ? SIGXFSZ : SIGKILL))
            told.merge(end.told) { _, _ in preconditionFailure("a network is told of once") }
            let isTorn = try folder.names().contains("net.ledger") && folder.bytes("net.ledger").last ?? 0x0a != 0x0a
            if isTorn { torn += 1 }
            let ledger = try LedgerFile(path: path).read()
            for (member, segment) in told {
                try #require(ledger.prefix(of: member) == segment, "\(member), round \(round)")
            }
        }
        // Every other one of them stopped in a line.
        #expect(torn > Self.kills / 3)
        print("\(Self.kills) kills, \(torn) within a line, \(told.count) allocations told, all there")
        let last = try Scribe(path, "last", 2).end()
        #expect(last.told.count == 2 && last.status == 0)
        #expect(try folder.bytes("net.ledger").last == 0x0a)
        let ledger = try LedgerFile(path: path).read()
        #expect(!ledger.isMerged && ledger.conflicts.isEmpty)
    }

    @Test("gives nothing twice to two processes at once")
    func twoProcesses() throws {
        let folder = try Folder()
        let path = folder.file("net.ledger")
        let start = ContinuousClock.now
        let scribes = try ["one", "other"].map { try Scribe(path, $0, Self.allocations / 2) }
        let ends = try scribes.map { try $0.end() }
        #expect(ends.allSatisfy { $0.status == 0 && $0.complaint.isEmpty })
        let told = ends[0].told.merging(ends[1].told) { _, _ in preconditionFailure("they have networks of their own") }
        #expect(told.count == Self.allocations)
        #expect(Set(told.values).count == Self.allocations)
        let ledger = try LedgerFile(path: path).read()
        #expect(ledger.lineCount == Self.allocations + 1 && !ledger.isMerged && ledger.conflicts.isEmpty)
        #expect(told.allSatisfy { ledger.prefix(of: $0.key) == $0.value })
        // Both wrote at the same time, and not one after the other.
        let writers = ledger.all.map(\.holding.member.network.text)
        let changes = zip(writers, writers.dropFirst()).count { $0 != $1 }
        #expect(changes > 10)
        print("\(Self.allocations) allocations by two processes in \(ContinuousClock.now - start), \(changes) turns")
    }
}
