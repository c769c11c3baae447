import Testing
import WireGuardTypes

@testable import KexGateway

@Suite("The record of removals") struct RemovalRecordTests {
    private var record = RemovalRecord()

    @Test("Each is told once to whoever knows the number of the last one")
    mutating func numbers() {
        #expect(record.keys(after: 0).isEmpty)
        for number in 1...3 { record.note(key(number), lastHeard: 0) }
        #expect(Array(record.keys(after: 0)) == [key(1), key(2), key(3)])
        #expect(Array(record.keys(after: 2)) == [key(3)])
        #expect(record.keys(after: record.lastNumber).isEmpty)
        #expect(Array(record.keys(after: .max)) == [key(1), key(2), key(3)], "a number of another record")
    }

    @Test("So many are remembered; with one more the older half is forgotten")
    mutating func limit() {
        for number in 0..<DomainLimit.removals { record.note(key(number), lastHeard: 7) }
        #expect(record.keys(after: 0).count == DomainLimit.removals)
        #expect(record.isOld(7, of: key(0), at: 9) && !record.isOld(8, of: key(0), at: 9))
        record.note(key(DomainLimit.removals), lastHeard: 7)
        #expect(record.keys(after: 0).count == DomainLimit.removals / 2 + 1)
        #expect(record.keys(after: 0).first == key(DomainLimit.removals / 2))
        #expect(!record.isOld(7, of: key(0), at: 9))
        #expect(record.isOld(7, of: key(DomainLimit.removals), at: 9))
    }

    @Test("What was heard in the future, before the clock was put back, keeps nobody out")
    mutating func clock() {
        record.note(key(1), lastHeard: 1000)
        #expect(record.isOld(1000, of: key(1), at: 1000))
        #expect(!record.isOld(999, of: key(1), at: 999))
    }
}
