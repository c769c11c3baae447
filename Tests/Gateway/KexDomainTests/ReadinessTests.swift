import NetworkAddresses
import Testing

@testable import KexDomain

@Suite("What keeps a domain's interfaces from carrying traffic") struct ReadinessTests {
    private func readiness(_ change: (inout Readiness) -> Void = { _ in }) -> Readiness {
        var readiness = Readiness(
            wireGuard: InterfaceName("wg0")!,
            vxlan: InterfaceName("vx0")!,
            mtu: 1420,
            addresses: [IPPrefix("fe80::1/64")!],
            hasRoute: true,
            linkAddress: IPv6Address("fe80::1")!,
            vxlanLocal: IPPrefix("fe80::1")!.address,
            vxlanNumbers: (7, 8472)
        )
        change(&readiness)
        return readiness
    }

    @Test("Nothing, as a rule: with or without LinkAddress=, with a shorter prefix, and with further addresses")
    func ready() {
        #expect(readiness().failure == nil)
        #expect(readiness { $0.linkAddress = nil }.failure == nil)
        #expect(readiness { $0.vxlanLocal = nil }.failure == nil)
        #expect(readiness { $0.mtu = 1280 }.failure == nil)
        #expect(readiness { $0.addresses = [IPPrefix("fe80::1/48")!] }.failure == nil)
        // The route was made by hand.
        #expect(readiness { $0.addresses = [IPPrefix("fe80::1/128")!, IPPrefix("2001:db8::1/64")!] }.failure == nil)
    }

    @Test("Each reason has its remedy")
    func reasons() {
        let address = "ip address replace fe80::1/64 dev wg0 nodad"
        let none = readiness {
            $0.addresses = []
            $0.hasRoute = false
        }
        #expect(
            readiness { $0.mtu = 1279 }.failure
                == "wg0 has an MTU of 1279, and IPv6 takes 1280: ip link set wg0 mtu 1420 && \(address)"
        )
        #expect(
            readiness { $0.isIPv6Off = true }.failure
                == "IPv6 is switched off on wg0: echo 0 > /proc/sys/net/ipv6/conf/wg0/disable_ipv6 && \(address)"
        )
        #expect(
            readiness { $0.vxlanLocal = IPPrefix("192.0.2.1")!.address }.failure
                == "vx0 sends from 192.0.2.1, and routers have IPv6 addresses: ip link delete vx0 && ip link add vx0 type "
                + "vxlan id 7 dstport 8472 local fe80::1 dev wg0 && ip link set vx0 mtu 1280 up"
        )
        #expect(none.failure == "wg0 does not have the address fe80::1 of LinkAddress=: \(address)")
        #expect(
            readiness { $0.vxlanLocal = IPPrefix("fe80::2")!.address }.failure
                == "vx0 sends from fe80::2, which wg0 does not have: ip address replace fe80::2/64 dev wg0 nodad"
        )
        #expect(
            readiness {
                $0 = none
                $0.linkAddress = nil
                $0.vxlanLocal = nil
            }.failure == "wg0 has no link-local address: \(address)"
        )
        #expect(
            readiness {
                $0.addresses = [IPPrefix("fe80::1/128")!]
                $0.hasRoute = false
            }.failure
                == "wg0 has no link-local address with a /64: ip address delete fe80::1/128 dev wg0 && \(address)"
        )
        #expect(
            readiness { $0.hasRoute = false }.failure
                == "there is no route to fe80::/64 over wg0: ip -6 route add fe80::/64 dev wg0"
        )
        let down = Readiness.remedy(down: InterfaceName("wg0")!, address: IPv6Address("fe80::1"))
        #expect(down == "ip link set wg0 up && \(address)")
    }
}
