import Foundation
import KernelTestSupport
import LinkControl
import Netlink
import NetworkAddresses
import Surroundings
import SystemPackage
import Testing

/// What ip(8) says, one line for each interface or address.
private func ip(_ arguments: String...) throws -> String { try output(of: "/usr/sbin/ip", arguments) }

@Suite("Interfaces", .needsRoot) struct LinkControlTests {
    @Test("are found by name")
    func lookUp() throws {
        var links = try LinkControl()
        let link = try #require(try links.link(named: InterfaceName("lo")!))
        #expect(link.index == loopback)
        #expect(link.kind == nil)
        #expect(link.mac == .zero)
    }

    @Test("that do not exist are nil, for a name of 15 characters too", arguments: ["kxnone", "kxnone789012345"])
    func missing(name: String) throws {
        var links = try LinkControl()
        #expect(try links.link(named: InterfaceName(name)!) == nil)
    }

    @Test("for VXLAN are made as asked")
    func vxlan() throws {
        try withVXLAN(learns: true) { link throws in
            #expect(link.kind == "vxlan")
            #expect(!link.isUp)
            #expect(link.mac != nil)
            let shown = try ip("-d", "link", "show", "dev", link.name.text)
            for word in [" local fe80::1 ", " dev lo ", " dstport 8472 ", " noudp6zerocsumtx ", " udp6zerocsumrx "] {
                #expect(shown.contains(word), "\(word)in \(shown)")
            }
            #expect(!shown.contains("nolearning"))
            #expect(!shown.contains(" hoplimit"))
        }
    }

    @Test("for VXLAN take every setting the other way round, too")
    func otherVXLAN() throws {
        try requirePrivateNamespace()
        var links = try LinkControl()
        let name = uniqueInterfaceName()
        try links.createVXLAN(
            name,
            VXLANSettings(
                identifier: VXLANSettings.maximumIdentifier,
                local: IPv6Address("2001:db8::1")!,
                underlying: loopback,
                port: 4789,
                learns: false,
                sendsZeroChecksum: true,
                acceptsZeroChecksum: false,
                hopLimit: 3
            )
        )
        defer { _ = try? links.delete(name) }
        let shown = try ip("-d", "link", "show", "dev", name.text)
        for word in [
            "id 16777215 ", "local 2001:db8::1 ", "dstport 4789 ", "nolearning ", " udp6zerocsumtx ",
            "noudp6zerocsumrx ", "ttl 3 ",
        ] {
            #expect(shown.contains(word), "\(word)in \(shown)")
        }
    }

    @Test("are not made twice under one name, and the error can be read")
    func exists() throws {
        try withVXLAN { link throws in
            var links = try LinkControl()
            let settings = VXLANSettings(
                identifier: 1,
                local: IPv6Address("fe80::1")!,
                underlying: loopback,
                port: 1,
                learns: false
            )
            let error = #expect(throws: NetlinkError.self) { try links.createVXLAN(link.name, settings) }
            #expect(
                try #require(error).description == "cannot create VXLAN interface \(link.name): File exists (errno 17)"
            )
        }
    }

    @Test("for WireGuard need a kernel that has it, and this one has not")
    func wireGuard() throws {
        try requirePrivateNamespace()
        var links = try LinkControl()
        let error = #expect(throws: NetlinkError.self) { try links.createWireGuard(InterfaceName("kxwg")!) }
        #expect(error?.refusal == .notSupportedOnSocket)
        #expect(error?.description.hasPrefix("cannot create WireGuard interface kxwg: ") == true)
        #expect(error?.description.hasSuffix(": Unknown device type") == true)
    }

    @Test("change MAC, MTU and state, each alone and all at once")
    func change() throws {
        try withVXLAN { link throws in
            var links = try LinkControl()
            let mac = MACAddress("02:de:5d:b8:5b:59")!
            try links.change(link.name, mac: mac)
            #expect(try links.link(named: link.name)?.mac == mac)
            try links.change(link.name, mtu: 1280)
            #expect(try links.link(named: link.name)?.mtu == 1280)
            try links.change(link.name, isUp: true)
            #expect(try links.link(named: link.name)?.isUp == true)
            try links.change(link.name, mac: MACAddress("02:00:00:00:00:01")!, mtu: 1350, isUp: false)
            let changed = try #require(try links.link(named: link.name))
            #expect(changed.mac == MACAddress("02:00:00:00:00:01"))
            #expect(changed.mtu == 1350)
            #expect(!changed.isUp)
        }
    }

    @Test("get a link-local address of their own only if nobody turned that off", arguments: [true, false])
    func addressGeneration(turnedOff: Bool) throws {
        try withVXLAN { link throws in
            var links = try LinkControl()
            if turnedOff { try links.turnOffAddressGeneration(of: link.name) }
            try links.change(link.name, isUp: true)
            #expect(try ip("-6", "addr", "show", "dev", link.name.text).contains("fe80::") == !turnedOff)
        }
    }

    @Test("get addresses of both families, usable at once", arguments: ["fe80::de:5dff:feb8:5b59/64", "192.0.2.1/24"])
    func addresses(text: String) throws {
        try withVXLAN { link throws in
            var links = try LinkControl()
            try links.turnOffAddressGeneration(of: link.name)
            try links.change(link.name, isUp: true)
            try links.addAddress(IPPrefix(text)!, to: link.name)
            let shown = try ip("addr", "show", "dev", link.name.text)
            #expect(shown.contains(" \(text) "))
            #expect(!shown.contains("tentative"))
            let error = #expect(throws: NetlinkError.self) { try links.addAddress(IPPrefix(text)!, to: link.name) }
            #expect(error?.refusal == .fileExists)
            #expect(
                error?.description.hasPrefix("cannot add address \(text) to \(link.name): File exists (errno 17)")
                    == true
            )
        }
    }

    @Test("check an address for duplicates if asked")
    func duplicateCheck() throws {
        try withVXLAN { link throws in
            var links = try LinkControl()
            try links.change(link.name, isUp: true)
            try links.addAddress(IPPrefix("fe80::2/64")!, to: link.name, checksForDuplicates: true)
            #expect(!(try ip("addr", "show", "dev", link.name.text)).contains("nodad"))
            try links.addAddress(IPPrefix("fe80::3/64")!, to: link.name)
            #expect(try ip("addr", "show", "dev", link.name.text).contains("nodad"))
        }
    }

    @Test("that are missing can be neither changed nor given an address, and deleting them is no error")
    func absent() throws {
        try requirePrivateNamespace()
        var links = try LinkControl()
        let name = uniqueInterfaceName()
        let changing = #expect(throws: NetlinkError.self) { try links.change(name, isUp: true) }
        #expect(changing?.description == "cannot change interface \(name): No such device (errno 19)")
        let adding = #expect(throws: NetlinkError.self) { try links.addAddress(IPPrefix("fe80::1/64")!, to: name) }
        #expect(adding?.description == "cannot add address fe80::1/64 to \(name): No such device (errno 19)")
        #expect(try links.delete(name) == false)
    }

    @Test("are gone after they have been deleted")
    func delete() throws {
        var gone: InterfaceName?
        try withVXLAN { link in gone = link.name }
        var links = try LinkControl()
        #expect(try links.link(named: #require(gone)) == nil)
    }
}
