import TenantModel
import TenantPlan
import TenantSamples
import Testing

@Suite("Routes of a site's router") struct UpstreamTests {
    private static let document = Farm.document([Farm.exit, Farm.hiddenNode("cellar", 1)])

    @Test("lead the prefix of each member to the exit's address")
    func routes() {
        let routes = UpstreamRoute.all(Self.document.resolved())
        #expect(
            UpstreamForm.iproute2.text(routes) == """
                ip -6 route replace 2a02:1807:1100:100::/64 via 2a02:1807:1100::100  # acme/exit
                ip -6 route replace 2a02:1807:1100:101::/64 via 2a02:1807:1100::100  # acme/cellar

                """
        )
        #expect(
            UpstreamForm.frr.text(routes) == """
                ! acme/exit
                ipv6 route 2a02:1807:1100:100::/64 2a02:1807:1100::100
                ! acme/cellar
                ipv6 route 2a02:1807:1100:101::/64 2a02:1807:1100::100

                """
        )
        #expect(
            UpstreamForm.bird.text(routes) == """
                protocol static tenants {
                    ipv6;
                    route 2a02:1807:1100:100::/64 via 2a02:1807:1100::100;  # acme/exit
                    route 2a02:1807:1100:101::/64 via 2a02:1807:1100::100;  # acme/cellar
                }

                """
        )
    }

    @Test("lead to the node where the exit has no nic of its own, and are none where nothing is routed")
    func others() {
        var document = Self.document
        document.nodes[0].legs[0].kind = .existing(nic("gre1"))
        #expect(
            UpstreamRoute.all(document.resolved()).map(\.via) == [v6("2001:db8:1100::10"), v6("2001:db8:1100::10")]
        )
        document.networks[0].exit?.ipv6 = nil
        #expect(UpstreamRoute.all(document.resolved()).isEmpty)
        document.networks[0].exit = nil
        #expect(UpstreamRoute.all(document.resolved()).isEmpty)
    }
}
