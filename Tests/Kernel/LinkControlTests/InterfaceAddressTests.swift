import KernelTestSupport
import LinkControl
import Netlink
import NetworkAddresses
import Surroundings
import Testing

private func ip(_ arguments: String...) throws { _ = try output(of: "/usr/sbin/ip", arguments) }

@Suite("Addresses of the machine", .needsRoot) struct InterfaceAddressTests {
    private let name = uniqueInterfaceName()

    init() throws { try requirePrivateNamespace() }

    /// Those of an interface that is made for the length of `body`, by their texts.
    private func withInterface(_ body: (inout LinkControl, Link) throws -> Void) throws {
        try ip("link", "add", name.text, "type", "bridge")
        defer { try? ip("link", "delete", name.text) }
        var links = try LinkControl()
        let link = try #require(try links.link(named: name))
        try body(&links, link)
    }

    private func addresses(_ links: inout LinkControl, _ link: Link) throws -> [String: InterfaceAddress] {
        let own = try links.addresses().filter { $0.interface == link.index }
        return Dictionary(uniqueKeysWithValues: own.map { ("\($0.prefix)", $0) })
    }

    @Test("are told of both families, with what the kernel says of each")
    func flags() throws {
        try withInterface { links, link in
            try ip("link", "set", name.text, "up")
            try ip("address", "add", "192.0.2.1/24", "dev", name.text)
            try ip("address", "add", "192.0.2.2/24", "dev", name.text)
            try ip("address", "add", "198.51.100.1", "peer", "198.51.100.2/32", "dev", name.text)
            try ip("address", "add", "2001:db8::1/64", "dev", name.text, "nodad")
            try ip("address", "add", "2001:db8::2/64", "dev", name.text, "nodad", "preferred_lft", "0")
            let found = try addresses(&links, link)
            #expect(found["192.0.2.1/24"] == InterfaceAddress(interface: link.index, prefix: IPPrefix("192.0.2.1/24")!))
            #expect(found["192.0.2.2/24"]?.isTemporary == false)
            #expect(found["198.51.100.1/32"] != nil && found["198.51.100.2/32"] == nil)
            #expect(found["2001:db8::1/64"]?.isDeprecated == false && found["2001:db8::1/64"]?.isTentative == false)
            #expect(found["2001:db8::2/64"]?.isDeprecated == true)
            // An interface that is down tells of no check that is over.
            try ip("link", "set", name.text, "down")
            try ip("address", "add", "2001:db8::3/64", "dev", name.text)
            #expect(try addresses(&links, link)["2001:db8::3/64"]?.isTentative == true)
            #expect(try links.links().contains { $0.name == name && !$0.isUp })
            #expect(try links.links().contains { $0.index == loopback })
        }
    }

    @Test("are taken away, and a missing one is no error")
    func removal() throws {
        try withInterface { links, link in
            for text in ["fe80::1/64", "192.0.2.1/24"] {
                let prefix = try #require(IPPrefix(text))
                try links.addAddress(prefix, to: name)
                #expect(try addresses(&links, link)[text] != nil)
                #expect(try links.removeAddress(prefix, from: name))
                #expect(try addresses(&links, link)[text] == nil)
                #expect(try !links.removeAddress(prefix, from: name))
            }
            #expect(try !links.removeAddress(IPPrefix("fe80::1/64")!, from: uniqueInterfaceName()))
        }
    }
}

@Suite("News of ways", .needsRoot, .serialized) struct NetworkWatchTests {
    @Test("tell of interfaces, addresses, routes and rules of both families")
    func kinds() throws {
        try requirePrivateNamespace()
        let name = uniqueInterfaceName().text
        let watch = try NetworkWatch()
        func tells(_ arguments: String...) throws {
            _ = try output(of: "/usr/sbin/ip", arguments)
            #expect(try watch.hasChanged(), "\(arguments)")
            // The kernel may have more to say of it a moment later.
            while try watch.hasChanged() {}
        }
        #expect(try !watch.hasChanged())
        try tells("link", "add", name, "type", "bridge")
        defer { try? ip("link", "delete", name) }
        try tells("address", "add", "192.0.2.1/24", "dev", name)
        try tells("address", "add", "2001:db8::1/64", "dev", name)
        try tells("link", "set", name, "up")
        try tells("route", "add", "198.51.100.0/24", "dev", name)
        try tells("-6", "route", "add", "2001:db8:1::/64", "dev", name)
        try tells("rule", "add", "fwmark", "51", "table", "77")
        try tells("-6", "rule", "add", "fwmark", "51", "table", "77")
        try tells("rule", "del", "fwmark", "51", "table", "77")
        try tells("-6", "rule", "del", "fwmark", "51", "table", "77")
    }
}
