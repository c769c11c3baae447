import Glibc
import SystemCalls
import SystemPackage
import Testing
import Time

@testable import EventLoop

@Suite("The event loop") struct EventLoopTests {
    @Test("says which descriptors are ready, by their tokens")
    func tokens() throws {
        var loop = try EventLoop()
        let first = try FileDescriptor.pipe()
        let second = try FileDescriptor.pipe()
        defer { for end in [first.readEnd, first.writeEnd, second.readEnd, second.writeEnd] { try? end.close() } }
        // Both halves of the token count.
        try loop.watch(first.readEnd, for: .readable, token: 0xfedc_ba98_7654_3210)
        try loop.watch(second.readEnd, for: .readable, token: 2)
        #expect(try loop.wait(until: .now) == 0)
        _ = try first.writeEnd.writeAll([1])
        _ = try second.writeEnd.writeAll([1])
        let count = try loop.wait(until: nil)
        let events = Set((0..<count).map { loop[$0] })
        #expect(
            events == [
                EventLoop.Event(token: 0xfedc_ba98_7654_3210, readiness: .readable),
                EventLoop.Event(token: 2, readiness: .readable),
            ]
        )
        // Level triggered: nobody has read.
        #expect(try loop.wait(until: .now) == 2)
    }

    @Test("watches for what it was told last")
    func change() throws {
        var loop = try EventLoop()
        let pipe = try FileDescriptor.pipe()
        defer { for end in [pipe.readEnd, pipe.writeEnd] { try? end.close() } }
        try loop.watch(pipe.writeEnd, for: [], token: 1)
        #expect(try loop.wait(until: .now) == 0)
        try loop.change(pipe.writeEnd, to: .writable, token: 3)
        #expect(try loop.wait(until: .now) == 1)
        #expect(loop[0] == EventLoop.Event(token: 3, readiness: .writable))
        try loop.stopWatching(pipe.writeEnd)
        #expect(try loop.wait(until: .now) == 0)
    }

    @Test("reports a broken connection as ready for everything")
    func broken() throws {
        var loop = try EventLoop()
        let pipe = try FileDescriptor.pipe()
        try pipe.readEnd.close()
        defer { try? pipe.writeEnd.close() }
        try loop.watch(pipe.writeEnd, for: [], token: 1)
        #expect(try loop.wait(until: nil) == 1)
        #expect(loop[0].readiness == [.readable, .writable])
    }

    @Test("names what is wrong with a watch")
    func errors() throws {
        let loop = try EventLoop()
        let pipe = try FileDescriptor.pipe()
        defer { for end in [pipe.readEnd, pipe.writeEnd] { try? end.close() } }
        try loop.watch(pipe.readEnd, for: .readable, token: 1)
        let object = "descriptor \(pipe.readEnd.rawValue)"
        #expect(throws: SystemCallError("watch", object, errno: .fileExists)) {
            try loop.watch(pipe.readEnd, for: .readable, token: 1)
        }
        try loop.stopWatching(pipe.readEnd)
        #expect(throws: SystemCallError("watch", object, errno: .noSuchFileOrDirectory)) {
            try loop.change(pipe.readEnd, to: .readable, token: 1)
        }
    }

    @Test("waits until a deadline, not shorter and not forever")
    func deadline() throws {
        var loop = try EventLoop()
        let deadline = MonotonicTime.now + .milliseconds(30)
        #expect(try loop.wait(until: deadline) == 0)
        #expect(MonotonicTime.now >= deadline)
    }

    @Test("keeps its timer for a later deadline, and sets it for an earlier one")
    func movingDeadline() throws {
        var loop = try EventLoop()
        let pipe = try FileDescriptor.pipe()
        defer { for end in [pipe.readEnd, pipe.writeEnd] { try? end.close() } }
        try loop.watch(pipe.readEnd, for: .readable, token: 1)
        _ = try pipe.writeEnd.writeAll([1])
        let start = MonotonicTime.now
        // Ready before the deadline, which stays armed.
        #expect(try loop.wait(until: start + .milliseconds(400)) == 1)
        #expect(MonotonicTime.now < start + .milliseconds(300))
        try loop.stopWatching(pipe.readEnd)
        #expect(try loop.wait(until: start + .milliseconds(100)) == 0)
        let early = MonotonicTime.now
        #expect(early >= start + .milliseconds(100) && early < start + .milliseconds(300))
        var wakes = 0
        while MonotonicTime.now < start + .milliseconds(600) {
            #expect(try loop.wait(until: start + .milliseconds(600)) == 0)
            wakes += 1
        }
        #expect(wakes <= 2)
    }

    @Test("gives many events in rounds of 256")
    func rounds() throws {
        var loop = try EventLoop()
        var descriptors: [FileDescriptor] = []
        defer { for descriptor in descriptors { try? descriptor.close() } }
        let pipe = try FileDescriptor.pipe()
        descriptors = [pipe.readEnd, pipe.writeEnd]
        for token in 0..<257 {
            let duplicate = try pipe.writeEnd.duplicate()
            descriptors.append(duplicate)
            try loop.watch(duplicate, for: .writable, token: UInt64(token))
        }
        #expect(try loop.wait(until: nil) == 256)
        let first = (0..<256).map { loop[$0].token }
        // epoll(7): those that were not reported come first in the next round.
        #expect(try loop.wait(until: nil) == 256)
        #expect(Set(first + (0..<256).map { loop[$0].token }).count == 257)
    }
}

@Suite("Signals") struct SignalReceiverTests {
    // raise(3) signals the calling thread, and a blocked signal waits there: other threads of the tests are not
    // touched.
    @Test("can be read one after the other")
    func read() throws {
        let receiver = try SignalReceiver(for: [.hangup, .terminate])
        #expect(try receiver.next() == nil)
        raise(SIGTERM)
        raise(SIGHUP)
        var loop = try EventLoop()
        try loop.watch(receiver.descriptor, for: .readable, token: 1)
        #expect(try loop.wait(until: .now) == 1)
        var signals: Set<SignalReceiver.Signal> = []
        while let signal = try receiver.next() { signals.insert(signal) }
        #expect(signals == [.hangup, .terminate])
    }

    @Test("of a broken pipe are ignored")
    func brokenPipe() throws {
        let receiver = try SignalReceiver(for: [.hangup])
        let pipe = try FileDescriptor.pipe()
        try pipe.readEnd.close()
        defer { try? pipe.writeEnd.close() }
        #expect(throws: Errno.brokenPipe) { try pipe.writeEnd.writeAll([1]) }
        #expect(try receiver.next() == nil)
    }
}
