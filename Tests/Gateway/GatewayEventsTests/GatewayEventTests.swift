import GatewayEvents
import Logging
import RecordingLog
import SystemCalls
import Systemd
import Testing
import Time

@Suite("Events in the log") struct GatewayEventTests {
    let written = RecordingLog()
    var log: Logger { Logger(label: "test") { [written] _ in written } }

    @Test("have fields for the journal")
    func fields() {
        log.log(.outOfService, .error, "all")
        log.log(.refused, .info, domain: "ffww01", key: "K", "one")
        #expect(
            written.all == [
                .init(level: .error, message: "all", fields: ["KEX_EVENT": "out-of-service"]),
                .init(
                    level: .info,
                    message: "one",
                    fields: ["KEX_EVENT": "refused", "KEX_DOMAIN": "ffww01", "KEX_KEY": "K"]
                ),
            ]
        )
    }

    @Test("cost nothing when nobody wants them")
    func unwanted() {
        func fail() -> String {
            Issue.record("the message was made")
            return ""
        }
        log.log(.exchange, .debug, fail())
        var budget = LineBudget()
        for _ in 0..<100 { budget.log(.exchange, .debug, fail(), to: log) }
        #expect(written.all.isEmpty)
    }

    @Test("have names of small letters and hyphens, other ones than those of every service")
    func names() {
        let names = GatewayEvent.allCases.map(\.rawValue)
        #expect(names.allSatisfy { $0.wholeMatch(of: #/[a-z]+(-[a-z]+)*/#) != nil })
        #expect(Set(names).isDisjoint(with: ServiceEvent.allCases.map(\.rawValue)))
    }

    @Test("of strangers have fifty lines a second, and then how many were left out")
    func lineBudget() {
        var budget = LineBudget()
        let start = MonotonicTime(nanoseconds: 7_000_000_000)
        for number in 1...53 { budget.log(.refused, .info, "\(number)", to: log, at: start) }
        #expect(written.all.map(\.message) == (1...50).map { "\($0)" })
        budget.log(.refused, .info, "next", to: log, at: start + .seconds(1))
        #expect(written.all.suffix(2).map(\.message) == ["3 more lines left out", "next"])
        #expect(written.all.suffix(2).map { $0.fields["KEX_EVENT"] } == ["left-out", "refused"])
    }
}
