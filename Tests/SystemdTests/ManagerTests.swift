import Glibc
import SystemCalls
import Testing

@testable import Systemd

/// One after the other: the environment belongs to the process.
@Suite("What systemd is told", .serialized) struct ManagerTests {
    let manager: ManagerSocket

    init() throws { manager = try ManagerSocket() }

    @Test("The service's states")
    func states() {
        manager.asManager {
            ServiceState.ready(status: "here")
            ServiceState.status("working")
            ServiceState.extendStart(by: .milliseconds(1500))
            ServiceState.stopping()
            #expect(ServiceState.hasManager)
        }
        #expect(manager.next() == "READY=1\nSTATUS=here")
        #expect(manager.next() == "STATUS=working")
        #expect(manager.next() == "EXTEND_TIMEOUT_USEC=1500000")
        #expect(manager.next() == "STOPPING=1")
        #expect(manager.next() == nil)
        #expect(!ServiceState.hasManager)
    }

    @Test("A reload has the time of the clock that systemd compares it with")
    func reloading() throws {
        func now() -> UInt64 {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000
        }
        let start = now()
        manager.asManager { ServiceState.reloading() }
        let lines = try #require(manager.next()).split(separator: "\n")
        #expect(lines.first == "RELOADING=1")
        let time = try #require(lines.last?.split(separator: "=").last.flatMap { UInt64($0) })
        #expect((start...now()).contains(time))
    }

    @Test("The watchdog is fed at once, and then at every quarter of its limit, however often the loop goes round")
    func watchdog() {
        let start = MonotonicTime(nanoseconds: 1_000_000_000)
        var watchdog = Watchdog(limit: .seconds(10), now: start)
        manager.asManager {
            #expect(watchdog.nextFeed == start)
            watchdog.feed(now: start)
            #expect(manager.next() == "WATCHDOG=1")
            #expect(watchdog.nextFeed == start + .milliseconds(2500))
            watchdog.feed(now: start + .milliseconds(2499))
            #expect(manager.next() == nil)
            watchdog.feed(now: start + .milliseconds(2500))
            #expect(manager.next() == "WATCHDOG=1")
            // A late round does not make the next feed early.
            watchdog.feed(now: start + .milliseconds(9000))
            #expect(watchdog.nextFeed == start + .milliseconds(11500))
        }
    }

    @Test(
        "The watchdog is the one of this process, or none",
        arguments: [
            (String?.none, String?.none, false), ("2000000", nil, true), ("2000000", "self", true),
            ("2000000", "1", false), ("nonsense", nil, false),
        ]
    )
    func environment(limit: String?, process: String?, isFed: Bool) {
        if let limit { setenv("WATCHDOG_USEC", limit, 1) }
        if let process { setenv("WATCHDOG_PID", process == "self" ? "\(getpid())" : process, 1) }
        defer {
            unsetenv("WATCHDOG_USEC")
            unsetenv("WATCHDOG_PID")
        }
        var watchdog = Watchdog()
        let now = MonotonicTime.now
        manager.asManager { watchdog.feed(now: now) }
        #expect(manager.next() == (isFed ? "WATCHDOG=1" : nil))
        #expect(watchdog.nextFeed == (isFed ? now + .milliseconds(500) : nil))
    }
}
