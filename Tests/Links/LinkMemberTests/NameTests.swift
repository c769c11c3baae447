import LinkMember
import NetworkAddresses
import Testing
import Time
import VirtualNetwork
import WireGuardTypes

@Suite struct `Names of machines` {
    @Test func `are looked up each minute while the machine is not there, and not while it is`() throws {
        let mesh = VirtualMesh()
        let a = mesh.machine("a", .none)
        let absent = PublicKey(bytes: [UInt8](repeating: 9, count: 32).span)!
        let (hubName, absentName) = (
            HostPort("hub.example:1", defaultPort: nil)!, HostPort("x.example:2", defaultPort: nil)!
        )
        a.settings.members = [
            MemberSettings(publicKey: mesh.hub.key, endpoints: [hubName]),
            MemberSettings(publicKey: absent, endpoints: [absentName, HostPort("192.0.2.1:3", defaultPort: nil)!]),
        ]
        mesh.hub.start()
        a.start()
        let start = mesh.clock.now
        mesh.clock.run(for: .seconds(200))
        let times = a.lookups.filter { $0.name == absentName }.map { $0.time - start }
        #expect(times.count == 4 && zip(times, times.dropFirst()).allSatisfy { $1 - $0 >= .seconds(60) }, "\(times)")
        // The hub is there after its first answer.
        #expect(a.lookups.filter { $0.name == hubName }.count <= 1)
        #expect(Set(a.lookups.map(\.name)).isSubset(of: [hubName, absentName]))
    }

    @Test func `order what people are told; who has none comes last`() {
        func member(_ name: String?, _ number: UInt8) -> MemberStatus {
            MemberStatus(
                key: PublicKey(bytes: [UInt8](repeating: number, count: 32).span)!,
                name: name,
                isOurs: true,
                isAlive: true,
                way: .throughHub(nil),
                since: .zero,
                roundTrip: nil,
                attempts: [],
                allowedIPs: []
            )
        }
        let members = [member(nil, 2), member("b", 1), member("a", 4), member(nil, 1), member("a", 3)]
        let sorted = LinkStatus(members: members).members.map { "\($0.name ?? "-")\($0.key.bytes[0])" }
        #expect(sorted == ["a3", "a4", "b1", "-1", "-2"])
    }
}
