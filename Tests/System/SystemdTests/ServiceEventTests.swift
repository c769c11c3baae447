import Logging
import RecordingLog
import SystemCalls
import Systemd
import Testing
import Time

@Suite("Events of every service") struct ServiceEventTests {
    let written = RecordingLog()
    var log: Logger { Logger(label: "test") { [written] _ in written } }

    @Test("have the journal's field, and those that are given besides")
    func fields() {
        log.log(.reloadFailed, .error, "all")
        log.write(ServiceEvent.ready, .info, fields: ["KEX_DOMAIN": "ffww01", "KEX_KEY": nil], "one")
        #expect(
            written.all == [
                .init(level: .error, message: "all", fields: ["KEX_EVENT": "reload-failed"]),
                .init(level: .info, message: "one", fields: ["KEX_EVENT": "ready", "KEX_DOMAIN": "ffww01"]),
            ]
        )
    }

    @Test("have names of small letters and hyphens", arguments: ServiceEvent.allCases)
    func names(event: ServiceEvent) {
        #expect(event.rawValue.wholeMatch(of: #/[a-z]+(-[a-z]+)*/#) != nil)
    }

    @Test("A budget lets fifty lines a second through, and says how many it did not")
    func lineBudget() {
        var budget = LineBudget()
        let start = MonotonicTime(nanoseconds: 7_000_000_000)
        var permitted = 0
        for _ in 1...53 where budget.permits(.info, to: log, at: start) { permitted += 1 }
        #expect(permitted == 50)
        let isDebugPermitted = budget.permits(.debug, to: log, at: start + .seconds(1))
        #expect(!isDebugPermitted, "the log does not take it")
        #expect(written.all.isEmpty)
        let isNextPermitted = budget.permits(.info, to: log, at: start + .seconds(1))
        #expect(isNextPermitted)
        #expect(
            written.all == [
                .init(level: .notice, message: "3 more lines left out", fields: ["KEX_EVENT": "left-out"])
            ]
        )
    }
}
