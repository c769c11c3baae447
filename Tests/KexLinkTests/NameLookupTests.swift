import NetworkAddresses
import SystemCalls
import SystemPackage
import Testing
import Time

@testable import kex_link

@Suite("Names of machines") struct NameLookupTests {
    private func wait(_ lookups: inout NameLookups) throws -> NameLookups.Result {
        while try Socket.wait(for: .readable, of: lookups.descriptor, until: .now + .seconds(60)) {
            if let result = lookups.take() { return result }
        }
        throw SystemCallError("wait for", "a name", errno: .timedOut)
    }

    @Test("are looked up one after the other, each once while it waits; without an answer there is none")
    func names() throws {
        var lookups = try NameLookups()
        #expect(lookups.take() == nil)
        let local = try #require(HostPort("localhost:7", defaultPort: nil))
        let address = try #require(HostPort("192.0.2.1:8", defaultPort: nil))
        let none = try #require(HostPort("none.invalid:9", defaultPort: nil))
        for name in [local, address, address, none] { lookups.want(name) }
        let first = try wait(&lookups)
        #expect(first.name == local && first.endpoints.contains(Endpoint("127.0.0.1:7")!))
        #expect(try wait(&lookups) == NameLookups.Result(name: address, endpoints: [Endpoint("192.0.2.1:8")!]))
        #expect(try wait(&lookups) == NameLookups.Result(name: none, endpoints: []))
        #expect(lookups.take() == nil)
        lookups.want(address)
        #expect(try wait(&lookups).name == address)
    }
}
