import BusMessages
import KexProtocol
import Testing

@testable import KexMQTT

@Suite("What others publish of this gateway") struct CorrectionTests {
    @Test("Topics are corrected together, a second apart, and reported once an hour")
    func corrections() {
        var corrections = Corrections()
        let topics = (1...3).map { BusTopic.status(GatewayName("gw0\($0)")!) }
        #expect(corrections.insert(topics[0], at: .seconds(1)) == true)
        #expect(corrections.insert(topics[1], at: .seconds(1)) == false)
        #expect(corrections.due == .seconds(1))
        #expect(corrections.take(at: .milliseconds(999)) == [])
        #expect(corrections.take(at: .seconds(1)) == [topics[0], topics[1]])
        #expect(corrections.due == nil)
        #expect(corrections.take(at: .seconds(9)) == [])
        #expect(corrections.insert(topics[2], at: .seconds(1)) == false)
        #expect(corrections.due == .seconds(1) + BusLimit.correctionInterval)
        corrections.forget()
        #expect(corrections.due == nil)
        #expect(corrections.insert(topics[2], at: .seconds(1) + BusLimit.noticeInterval) == true)
    }
}
