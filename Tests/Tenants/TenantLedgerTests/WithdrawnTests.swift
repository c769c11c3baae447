import TenantLedger
import TenantModel
import Testing

@Suite("Prefixes in quarantine") struct WithdrawnTests {
    @Test("are those that members had, until their quarantine ends or they come back")
    func withdrawn() throws {
        let allocation = Sample.allocation("2001:db8:1::/48")
        let member = Sample.member("acme/cellar")
        let network = member.network
        let start = Sample.start
        var ledger = Ledger()
        _ = try ledger.prefix(for: Sample.member("acme/other"), from: [allocation], at: start)
        let segment = try ledger.prefix(for: member, from: [allocation], at: start)
        #expect(ledger.withdrawn(of: network, at: start) == [])
        _ = ledger.release(member, at: start)
        #expect(ledger.withdrawn(of: network, at: start) == [segment])
        let end = start + Ledger.quarantine
        #expect(ledger.withdrawn(of: network, at: end + .seconds(-1)) == [segment])
        #expect(ledger.withdrawn(of: network, at: end) == [])
        #expect(try ledger.prefix(for: member, from: [allocation], at: start) == segment)
        #expect(ledger.withdrawn(of: network, at: start) == [])
    }
}
