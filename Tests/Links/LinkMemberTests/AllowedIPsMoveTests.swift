import LinkMessages
import Testing
import Time

@testable import LinkMember

/// One side of a move of allowed IPs, without a mesh.
@Suite struct AllowedIPsMoveTests {
    private let start = MonotonicTime.start + .seconds(100)

    private func says(_ steps: [AllowedIPsMove.Step], _ phase: LinkMessage.SwitchPhase) -> Bool {
        steps.contains(.say(phase))
    }

    @Test func `the initiator tells nobody before it holds, and moves when nothing more comes through the hub`() {
        var move = AllowedIPsMove(isInitiator: true)
        #expect(move.due(isDone: true, hasHub: true, at: start) == [.hold])
        move.noteHold(true, at: start + .milliseconds(1))
        #expect(move.due(isDone: true, hasHub: true, at: start + .milliseconds(1)) == [.say(.move), .sayDrained])
        // That it has moved is no sign that nothing is on its way.
        move.take(.moved, at: start + .milliseconds(9))
        #expect(move.due(isDone: true, hasHub: true, at: start + .milliseconds(9)).isEmpty && !move.isMoved)
        move.take(.drained, at: start + .milliseconds(20))
        #expect(move.due(isDone: true, hasHub: true, at: start + .milliseconds(20)).isEmpty && move.isMoved)
        #expect(move.due(isDone: false, hasHub: true, at: start + .milliseconds(21)).isEmpty)
        #expect(move.due(isDone: true, hasHub: true, at: start + .milliseconds(22)) == [.release, .say(.moved)])
        #expect(!move.isHolding && move.nextDeadline == nil)
    }

    @Test func `the responder says its last word also if it need not wait for that of the other`() {
        var move = AllowedIPsMove(isInitiator: false)
        #expect(move.due(isDone: true, hasHub: true, at: start).isEmpty)
        move.take(.drained, at: start)
        move.take(.move, at: start + .milliseconds(1))
        #expect(move.due(isDone: true, hasHub: true, at: start + .milliseconds(1)) == [.hold])
        move.noteHold(false, at: start + .milliseconds(2))
        #expect(move.due(isDone: true, hasHub: true, at: start + .milliseconds(2)) == [.say(.move), .sayDrained])
        #expect(move.isMoved)
        #expect(move.due(isDone: true, hasHub: true, at: start + .milliseconds(3)) == [.say(.moved)])
        move.take(.moved, at: start + .milliseconds(5))
        #expect(move.due(isDone: true, hasHub: true, at: start + .milliseconds(5)) == [.say(.settled)])
        // Nobody answers that for ever.
        move.take(.settled, at: start + .milliseconds(6))
        #expect(move.due(isDone: true, hasHub: true, at: start + .milliseconds(6)).isEmpty)
    }

    @Test(arguments: [true, false])
    func `where no last word comes it is waited for its time`(hasHub: Bool) {
        let time = hasHub ? AllowedIPsMove.drainTime : AllowedIPsMove.blindDrainTime
        var move = AllowedIPsMove(isInitiator: false)
        move.take(.move, at: start)
        _ = move.due(isDone: true, hasHub: hasHub, at: start)
        move.noteHold(true, at: start)
        _ = move.due(isDone: true, hasHub: hasHub, at: start)
        #expect((move.nextDeadline ?? start) > start)
        _ = move.due(isDone: true, hasHub: hasHub, at: start + (time - .nanoseconds(1)))
        #expect(!move.isMoved)
        _ = move.due(isDone: true, hasHub: hasHub, at: start + time)
        #expect(move.isMoved)
    }

    @Test func `a last word of long ago is none of this move`() {
        var move = AllowedIPsMove(isInitiator: false)
        move.take(.drained, at: start)
        let later = start + AllowedIPsMove.overtaking
        move.take(.move, at: later)
        _ = move.due(isDone: true, hasHub: true, at: later)
        move.noteHold(true, at: later)
        _ = move.due(isDone: true, hasHub: true, at: later)
        #expect(!move.isMoved)
    }

    @Test func `an initiator that nobody answers lets its packets go, and does not move`() {
        var move = AllowedIPsMove(isInitiator: true)
        _ = move.due(isDone: true, hasHub: true, at: start)
        move.noteHold(true, at: start)
        var words = 0
        var now = start
        for _ in 0..<30 {
            now = now + .milliseconds(50)
            let steps = move.due(isDone: true, hasHub: true, at: now)
            #expect(steps.contains(.release) == (now == start + AllowedIPsMove.limit))
            words += says(steps, .move) ? 1 : 0
        }
        #expect(!move.isMoved && !move.isHolding && (10...13).contains(words))
        #expect(!move.isUnanswered(at: start + .milliseconds(2499)))
        #expect(move.isUnanswered(at: start + .milliseconds(2500)))
        // It moves all the same when the other side comes.
        move.take(.move, at: now)
        move.take(.drained, at: now)
        _ = move.due(isDone: true, hasHub: true, at: now)
        #expect(move.isMoved)
    }

    @Test func `a keeper that does not answer is not waited for`() {
        var move = AllowedIPsMove(isInitiator: true)
        _ = move.due(isDone: true, hasHub: true, at: start)
        #expect(move.due(isDone: true, hasHub: true, at: start + .milliseconds(299)).isEmpty)
        let late = start + AllowedIPsMove.keeperPatience
        #expect(says(move.due(isDone: true, hasHub: true, at: late), .move))
        // It may hold all the same.
        #expect(move.isHolding)
    }

    @Test func `what went back to the hub begins anew`() {
        var move = AllowedIPsMove(isInitiator: false)
        move.take(.move, at: start)
        _ = move.due(isDone: true, hasHub: true, at: start)
        move.goBack()
        #expect(!move.isHolding && move.due(isDone: true, hasHub: true, at: start).isEmpty)
    }
}
