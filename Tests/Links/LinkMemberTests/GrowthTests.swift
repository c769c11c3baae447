import Glibc
import Surroundings
import Testing
import VirtualNetwork

@testable import LinkMember

/// What a mesh of many whole machines costs, with links on demand.
@Suite struct GrowthTests {
    private struct Cost: CustomStringConvertible {
        /// Bytes a minute that each machine sends when nothing happens.
        var idle: Int
        /// Bytes that each machine sends because one is somewhere else.
        var change: Int
        /// Bytes a minute that all send for each link in use.
        var link: Int

        var description: String {
            "\(idle) bytes a minute and machine when idle, \(change) for a change, \(link) a minute for each link in use"
        }
    }

    /// Bytes that go out within two minutes, the hub's too, for each minute.
    private func bytes(_ mesh: VirtualMesh, _ body: () -> Void = {}) -> Int {
        func sent() -> Int { ([mesh.hub] + mesh.machines).map(\.sentBytes).reduce(0, +) }
        let before = sent()
        body()
        mesh.clock.run(for: .seconds(120))
        return (sent() - before) / 2
    }

    private func cost(of count: Int) -> Cost {
        let mesh = VirtualMesh()
        for number in 0..<count { _ = mesh.machine("m\(number)", .none) }
        for machine in [mesh.hub] + mesh.machines {
            machine.settings.linksOnDemand = true
            machine.start()
        }
        mesh.clock.run(for: .seconds(60))
        #expect(mesh.machines.allSatisfy { $0.status().count == count })
        let idle = bytes(mesh)
        let change = (bytes(mesh) { mesh.machines[0].move(to: "203.0.100.1") } - idle) * 2
        let links = 3
        let pings = (1...links).map { number in
            mesh.machines[number * 2].ping(mesh.machines[number * 2 + 1], each: .milliseconds(100))
        }
        mesh.clock.run(for: .seconds(10))
        #expect((1...links).allSatisfy { mesh.isDirect(mesh.machines[$0 * 2], mesh.machines[$0 * 2 + 1]) })
        let busy = bytes(mesh)
        for pings in pings { pings.stop() }
        return Cost(idle: idle / count, change: change / count, link: (busy - idle) / links)
    }

    /// Kilobytes of this process.
    private var memory: Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss
    }

    @Test func `an idle mesh costs what changes in it, and what links are in use`() throws {
        let few = cost(of: 10)
        print("figure: 10 machines, links on demand: \(few)")
        for count in Extent.isLong ? [100, 300] : [100] {
            let start = ContinuousClock.now
            let many = cost(of: count)
            print(
                "figure: \(count) machines, links on demand: \(many); \(ContinuousClock.now - start) of the test, "
                    + "\(memory / 1024) MB at most"
            )
            #expect(many.idle < few.idle * 5 / 4 && many.change < few.change * 2 && many.link < few.link * 5 / 4)
        }
    }
}
