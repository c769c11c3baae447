import LinkMember
import NetworkAddresses
import Testing
import Time
import VirtualNetwork
import WireGuardTypes

@testable import LinkMember

/// What `status` says about what was tried. Each line is so.
@Suite struct AttemptTests {
    private func mesh(_ one: NATKind, _ other: NATKind) -> (VirtualMesh, VirtualMachine, VirtualMachine) {
        let mesh = VirtualMesh()
        let (a, b) = (mesh.machine("a", one), mesh.machine("b", other))
        mesh.hub.start()
        a.start()
        return (mesh, a, b)
    }

    private func attempts(_ machine: VirtualMachine, _ other: VirtualMachine) -> [String] {
        machine.status()[other.key]?.attempts ?? ["not known"]
    }

    private let bothChange = "both NATs give each destination another port: over IPv4 only the hub remains"

    @Test func `two NATs that give each destination another port`() throws {
        let (mesh, a, b) = mesh(.symmetric, .symmetric)
        // With one port of the relay it is not known yet what the NAT does with two.
        b.start()
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isRelayed(a, b) })
        #expect(!attempts(a, b).contains(bothChange))
        mesh.machine("c", .symmetric).start()
        mesh.clock.run(for: .seconds(30))
        #expect(attempts(a, b).first == bothChange && attempts(b, a).first == bothChange)
        // What was tried beside it did not answer.
        #expect(attempts(a, b).dropFirst().allSatisfy { $0.hasSuffix(": no answer") })
    }

    @Test func `one NAT that gives each destination another port is not two`() throws {
        let (mesh, a, b) = mesh(.symmetric, .portRestricted)
        b.start()
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isRelayed(a, b) })
        mesh.clock.run(for: .seconds(30))
        for lines in [attempts(a, b), attempts(b, a)] {
            #expect(!lines.isEmpty && lines.allSatisfy { $0.hasSuffix(": no answer") })
        }
    }

    @Test func `a direct path that nobody asks about has not failed`() throws {
        let (mesh, a, b) = mesh(.full, .full)
        b.start()
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(a, b) })
        mesh.clock.run(for: .seconds(600))
        guard case .direct(let endpoint)? = a.status()[b.key]?.way else {
            Issue.record("no direct path")
            return
        }
        #expect(!attempts(a, b).contains { $0.hasPrefix("\(endpoint)") })
        #expect(attempts(a, b).allSatisfy { $0.hasSuffix(": no answer") || $0.hasSuffix("not asked since") })
    }

    @Test func `a path that failed is named once`() throws {
        let (mesh, a, b) = mesh(.portRestricted, .full)
        b.start()
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isDirect(a, b) })
        guard case .direct(let endpoint)? = a.status()[b.key]?.way else {
            Issue.record("no direct path")
            return
        }
        let pings = a.ping(b, each: .milliseconds(10))
        mesh.clock.run(for: .seconds(5))
        mesh.underlay.cut(a.site.address!, b.site.address!)
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isRelayed(a, b) })
        let lines = attempts(a, b).filter { $0.hasPrefix("\(endpoint)") }
        #expect(lines.count == 1 && lines[0].contains(": failed, tried again in "))
        // Later it is only a path that does not answer any more.
        mesh.clock.run(for: .seconds(60))
        #expect(attempts(a, b).contains("\(endpoint): has answered, does no longer"))
        pings.stop()
    }

    @Test func `a machine where nobody runs the program`() {
        let (mesh, a, b) = mesh(.full, .full)
        mesh.clock.run(for: .seconds(30))
        #expect(attempts(a, b).first == "kex-link does not run there, says the hub: no probes, no relay")
    }

    @Test func `a hub where nobody runs the program`() throws {
        let (mesh, a, b) = mesh(.symmetric, .symmetric)
        b.start()
        _ = try #require(mesh.clock.run(upTo: .seconds(30)) { mesh.isRelayed(a, b) })
        mesh.hub.kill()
        // Its relay has ended with it, and it says nothing about that.
        mesh.clock.run(for: .seconds(900))
        #expect(attempts(a, b).first == "the hub does not answer: no relay")
    }

    @Test func `a relay that a firewall keeps out`() throws {
        let (mesh, a, b) = mesh(.symmetric, .symmetric)
        // Only WireGuard's port is open.
        mesh.hub.hidesRelay = true
        b.start()
        mesh.clock.run(for: .seconds(30))
        #expect(attempts(a, b).first?.hasPrefix("relay at 198.51.100.1:") == true)
        #expect(attempts(a, b).first?.hasSuffix(": no answer") == true)
    }

    @Test func `a pair that has no traffic`() {
        let mesh = VirtualMesh()
        let (a, b) = (mesh.machine("a", .full), mesh.machine("b", .full))
        mesh.hub.start()
        for machine in [a, b] {
            machine.settings.linksOnDemand = true
            machine.start()
        }
        mesh.clock.run(for: .seconds(30))
        #expect(attempts(a, b) == ["no traffic: there is a link when there is some"])
    }
}
