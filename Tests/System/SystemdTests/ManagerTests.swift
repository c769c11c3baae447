import Foundation
import Synchronization
import SystemCalls
import Testing
import Time

@testable import Systemd

@Suite("What systemd is told") struct ManagerTests {
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

    @Test("It may listen at a name of the kernel's own, and is then told the same")
    func abstractName() throws {
        let manager = try ManagerSocket(isAbstract: true)
        manager.asManager { ServiceState.status("working") }
        #expect(manager.next() == "STATUS=working")
        // Longer by a NUL, as a path's address is, it would be another name.
        #expect(SocketAddress(environment: "@") != nil)
        #expect(SocketAddress(environment: "@" + String(repeating: "x", count: 107)) == nil)
    }

    @Test("A manager that reads late is told all the same")
    func lateManager() throws {
        try manager.fill()
        let packets = Mutex<Set<String>>([])
        let isRead = DispatchSemaphore(value: 0)
        Thread.detachNewThread { [manager] in
            usleep(100_000)
            for _ in 0..<400 where !packets.withLock({ $0.contains("STATUS=late") }) {
                while let packet = manager.next() { packets.withLock { _ = $0.insert(packet) } }
                usleep(10_000)
            }
            isRead.signal()
        }
        manager.asManager { ServiceState.status("late") }
        isRead.wait()
        #expect(packets.withLock { $0.contains("STATUS=late") })
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
        var variables: [String: String] = [:]
        variables["WATCHDOG_USEC"] = limit
        variables["WATCHDOG_PID"] = process.map { $0 == "self" ? "\(getpid())" : $0 }
        var watchdog = ManagerEnvironment.$variables.withValue(variables) { Watchdog() }
        let now = MonotonicTime.now
        manager.asManager { watchdog.feed(now: now) }
        #expect(manager.next() == (isFed ? "WATCHDOG=1" : nil))
        #expect(watchdog.nextFeed == (isFed ? now + .milliseconds(500) : nil))
    }
}
