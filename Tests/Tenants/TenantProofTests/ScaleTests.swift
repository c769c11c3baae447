import Foundation
import Surroundings
import TenantModel
import TenantPlan
import TenantProof
import TenantSamples
import Testing

@Suite("Large documents", .serialized) struct ScaleTests {
    /// Networks of so many members each, over a farm with several exits, rented machines, and hidden ones in pairs.
    static let shapes =
        Extent.isLong ? [(250, 5), (500, 5), (1_000, 5), (1, 50), (1, 100), (1, 200)] : [(50, 5), (1, 30)]

    @Test("are planned and proved; the figures are printed, and not judged", arguments: shapes)
    func figures(networks: Int, members: Int) throws {
        let document = Self.document(networks, members)
        let resolved = try document.resolve(document.assignments())
        let before = Memory.resident()
        var plan: Plan?
        let planning = measure { plan = Plan(resolved) }
        let made = try #require(plan)
        #expect(made.mistakes.isEmpty)
        let between = Memory.resident()
        var proof: Proof?
        let preparing = measure { proof = Proof(resolved, made) }
        var verdicts = 0
        var findings = 0
        let proving = measure {
            proof?.forEach { network in
                verdicts += network.verdicts.count
                findings += network.findings.count
            }
        }
        let after = Memory.resident()
        #expect(findings == 0)
        let pairs = networks * members * (members - 1) / 2
        print(
            "\(networks) networks of \(members), \(pairs) pairs, \(verdicts) verdicts: plan \(planning) s, tables "
                + "\(preparing) s, walks \(proving) s; memory \(before) MB, with the plan \(between), after the proof \(after)"
        )
    }

    /// Seconds of the processor, for others may use the machine as well.
    private func measure(_ work: () -> Void) -> Double {
        func now() -> Double {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        }
        let start = now()
        work()
        return ((now() - start) * 1000).rounded() / 1000
    }

    private static func document(_ networks: Int, _ members: Int) -> TenantDocument {
        let count = max(members, 20)
        var document = TenantDocument(allocations: [.sample])
        for index in 0..<count {
            var machine =
                switch index % 5 {
                case 0, 1: Farm.publicNode("n\(index)", index + 1)
                case 2: Farm.hiddenNode("n\(index)", lan: "lan\(index)", 20)
                default: Farm.hiddenNode("n\(index)", lan: "lan\(index / 5)", 20 + index % 5)
                }
            machine.wireGuardLimit = 4096
            document.nodes.append(machine)
        }
        for number in 0..<networks {
            var network = TenantNetwork(name: network("net\(number)"), allocations: [0])
            let first = number * 5 % count
            for index in 0..<members {
                let node = document.nodes[(first + index) % count]
                network.members.append(Member(node: node.name, key: key(number * 1_000 + index)))
            }
            network.exit = Exit(node: document.nodes[first].name, ipv4: .shared)
            document.networks.append(network)
        }
        return document
    }
}

private enum Memory {
    /// Of this process, in MB.
    static func resident() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        let pages = status.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * 4096 / 1_000_000
    }
}
