import NetworkAddresses
import Testing
import Time

@testable import SystemCalls

@Suite("Host names") struct HostLookupTests {
    private func endpoints(_ host: String) throws -> [Endpoint] {
        try HostLookup.endpoints(ofHost: host, port: 10012, until: .now + .seconds(5))
    }

    @Test(
        "Addresses are their own names",
        arguments: [("192.0.2.1", "192.0.2.1:10012"), ("2001:db8::1", "[2001:db8::1]:10012"), ("::1", "[::1]:10012")]
    )
    func addresses(host: String, endpoint: String) throws {
        #expect(try endpoints(host) == [try #require(Endpoint(endpoint))])
    }

    @Test("A link-local address has its interface as scope")
    func scope() throws {
        // Loopback is interface 1 in every network namespace.
        #expect(try endpoints("fe80::1%lo") == [.v6(IPv6Address("fe80::1")!, port: 10012, scope: 1)])
    }

    @Test("A name has all its addresses")
    func names() throws {
        #expect(try endpoints("localhost").contains(.v4(IPv4Address("127.0.0.1")!, port: 10012)))
    }

    @Test(
        "An unknown name and an unknown interface are told in the resolver's words",
        arguments: ["no.invalid", "fe80::1%none"]
    )
    func unknown(host: String) {
        let error = #expect(throws: HostLookupError.self) { try endpoints(host) }
        #expect(error?.description.hasPrefix("cannot look up \(host): ") == true)
        #expect(error != .timedOut(host: host))
    }

    @Test("A deadline that is over is over")
    func deadline() {
        #expect(throws: HostLookupError.timedOut(host: "localhost")) {
            try HostLookup.endpoints(ofHost: "localhost", port: 1, until: .now)
        }
    }

    @Test("Sleeping ends at the time and not before, and does not begin for one that is over", .timeLimit(.minutes(60)))
    func sleep() {
        let start = MonotonicTime.now
        start.sleep()
        #expect(MonotonicTime.now - start < .milliseconds(20))
        (start + .milliseconds(30)).sleep()
        #expect((.milliseconds(30)..<(.milliseconds(300))).contains(MonotonicTime.now - start))
    }
}
