import Foundation
package import LinkControl
package import NetworkAddresses

/// The tests were started in a way in which they cannot run.
package struct WrongSurroundings: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

/// Tests that change interfaces run as root in a network namespace of their own, never in that of the machine:
/// `unshare --net sh -c 'ip link set lo up; exec swift test'`.
package func requirePrivateNamespace() throws {
    guard geteuid() == 0 else { throw WrongSurroundings(description: "this test needs root") }
    // A namespace is known by its way out: only the machine's has a default route.
    let routes = try String(contentsOfFile: "/proc/self/net/route", encoding: .utf8)
    let hasDefaultRoute = routes.split(separator: "\n").contains { line in
        line.split(separator: "\t").dropFirst().first == "00000000"
    }
    guard !hasDefaultRoute else {
        throw WrongSurroundings(description: "this test needs a network namespace of its own: unshare --net")
    }
}

/// A name that no other test has, and no other run of the tests either.
package func uniqueInterfaceName(_ prefix: String = "kx") -> InterfaceName {
    let number = String(UInt64.random(in: 0..<1 << 40), radix: 36)
    guard let name = InterfaceName(prefix + number) else { fatalError("prefix too long") }
    return name
}

/// The loopback interface, which is number 1 in every network namespace.
package let loopback = InterfaceIndex(1)!

/// Makes a VXLAN interface on the loopback interface for the length of `body`.
package func withVXLAN(learns: Bool = false, _ body: (Link) throws -> Void) throws {
    try requirePrivateNamespace()
    var links = try LinkControl()
    let name = uniqueInterfaceName("vx")
    let settings = VXLANSettings(
        identifier: .random(in: 1...VXLANSettings.maximumIdentifier),
        local: IPv6Address("fe80::1")!,
        underlying: loopback,
        port: 8472,
        learns: learns
    )
    try links.createVXLAN(name, settings)
    guard let link = try links.link(named: name) else { fatalError("just made") }
    let result = Result { try body(link) }
    try links.delete(name)
    try result.get()
}
