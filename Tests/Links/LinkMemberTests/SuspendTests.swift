import LinkMember
import Testing
import Time
import VirtualNetwork

/// One of a pair sleeps, as a laptop that is closed.
@Suite struct SuspendTests {
    struct Case {
        let span: Duration
        let hasTraffic: Bool
        let isInitiator: Bool
        let isNoticed: Bool
    }

    static let cases = (0..<12).map { number in
        Case(
            span: .seconds(number & 1 == 0 ? 60 : 3_600),
            hasTraffic: number & 2 == 0,
            isInitiator: number < 8,
            isNoticed: number >= 4
        )
    }

    @Test(arguments: cases) func `who wakes is reached again within seconds`(_ one: Case) throws {
        let (span, hasTraffic, isInitiator, isNoticed) = (one.span, one.hasTraffic, one.isInitiator, one.isNoticed)
        let mesh = VirtualMesh()
        let both = [mesh.machine("one", .portRestricted), mesh.machine("other", .portRestricted)]
        for machine in [mesh.hub] + both { machine.start() }
        let initiator = both[0].key < both[1].key ? 0 : 1
        let b = both[isInitiator ? initiator : 1 - initiator]
        let a = both[isInitiator ? 1 - initiator : initiator]
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(a, b) })
        mesh.clock.run(for: .seconds(hasTraffic ? 5 : 600))
        let others = hasTraffic ? a.ping(b, each: .milliseconds(100)) : nil
        b.sleep(for: span, isNoticed: isNoticed)
        mesh.clock.run(for: span)
        let pings = b.ping(a, each: .milliseconds(100))
        mesh.clock.run(for: .seconds(1))
        let back = try #require(mesh.clock.run(upTo: .seconds(60)) { mesh.isDirect(a, b) })
        mesh.clock.run(for: .seconds(60))
        #expect(mesh.isDirect(a, b))
        let lost = b.lost(pings).count
        print("figure: sleep of \(span), \(isNoticed ? "" : "not ")noticed: direct after \(back), \(lost) of 10/s lost")
        // If an initiator does not notice it, the responder complains.
        #expect(isNoticed ? back < .seconds(5) && lost < 15 : back < .seconds(20) && lost < 80)
        _ = others
    }
}
