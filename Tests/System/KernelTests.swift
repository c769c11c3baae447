import Foundation
import Testing

/// The installed package on Debian's own kernel.
@Suite("On a machine of its own", .serialized) struct KernelTests {
    let machine: Machine

    init() throws { machine = try VirtualMachine.shared.get() }

    @Test("The machine is up") func up() throws {
        #expect(try machine.check("uname -r; ip link add wg0 type wireguard; ip link del wg0").contains("amd64"))
    }
}
