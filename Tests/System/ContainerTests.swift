import Foundation
import Testing

/// The installed package under systemd, in a container.
@Suite("Under systemd", .serialized) struct ContainerTests {
    let machine: Machine

    init() throws { machine = try Container.shared.get() }

    @Test("The machine is up") func up() throws {
        #expect(try machine.check("systemctl is-active agent; uname -r").contains("active"))
    }
}
