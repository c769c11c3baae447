internal import NetworkAddresses
internal import TenantPlan

/// The first packet of a connection or an answer to it. IPv4 addresses are mapped ones.
struct Packet: Hashable {
    var source: IPv6Address
    var sourcePort: UInt16
    var destination: IPv6Address
    var port: UInt16
    var transport: FilterRule.Transport

    var isIPv4: Bool { destination.isMapped }

    /// What the receiver sends back.
    var answer: Packet {
        Packet(source: destination, sourcePort: port, destination: source, port: sourcePort, transport: transport)
    }
}

/// What a namespace remembers of a connection.
struct Track {
    var space: Int
    /// As it came.
    var before: Packet
    /// As it left.
    var after: Packet

    /// An answer, as the one that began the connection expects it; `nil` if it is none.
    func undo(_ packet: Packet) -> Packet? {
        guard packet == after.answer else { return nil }
        return before.answer
    }
}
