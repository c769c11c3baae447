import Glibc
import SystemPackage
import Testing
import Time

@testable import SystemCalls

@Suite("Side threads") struct SideThreadTests {
    private func isReadable(_ thread: SideThread<Int>) throws -> Bool {
        try Socket.wait(for: .readable, of: thread.descriptor, until: .now)
    }

    @Test("The work is done beside, its outcome is told once, and then there is the next")
    func outcome() throws {
        let thread = try SideThread<Int>()
        let (own, release) = (pthread_self(), try SideThread<Int>())
        #expect(thread.outcome() == nil)
        #expect(thread.wait() == nil, "nothing was begun")
        for number in 1...3 {
            thread.run {
                // As long as it is not let go on, it is not done.
                while release.outcome() == nil { usleep(1000) }
                return pthread_self() == own ? 0 : number
            } orElse: { _ in
                -1
            }
            #expect(try !isReadable(thread))
            #expect(thread.outcome() == nil)
            #expect(thread.wait(until: .now + .milliseconds(20)) == nil)
            release.run {
                0
            } orElse: { _ in
                0
            }
            #expect(try Socket.wait(for: .readable, of: thread.descriptor, until: .now + .seconds(10)))
            #expect((number.isMultiple(of: 2) ? thread.wait() : thread.outcome()) == number)
            #expect(try !isReadable(thread))
            #expect(thread.outcome() == nil)
        }
    }

    @Test("A thousand times in a row, whoever is faster")
    func many() throws {
        let thread = try SideThread<Int>()
        for number in 0..<1000 {
            thread.run {
                number
            } orElse: { _ in
                -1
            }
            #expect(thread.wait() == number)
            #expect(try !isReadable(thread))
        }
    }

    @Test("No thread to be had is an outcome too")
    func noThread() throws {
        // A stack that no address space has.
        let thread = try SideThread<Int>(stackSize: 1 << 50)
        thread.run {
            0
        } orElse: {
            Int($0.errno.rawValue)
        }
        #expect(try isReadable(thread))
        #expect(thread.outcome() == Int(EAGAIN))
    }
}
