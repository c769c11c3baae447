public import NetworkAddresses
public import TenantModel
public import WireGuardTypes

/// Short words for parts of documents. What a test writes is right, so what is not stops it.
public func node(_ name: String) -> NodeName {
    guard let name = NodeName(name) else { fatalError("no name of a node: \(name)") }
    return name
}

public func network(_ name: String) -> NetworkName {
    guard let name = NetworkName(name) else { fatalError("no name of a network: \(name)") }
    return name
}

public func place(_ name: String) -> PlaceName {
    guard let name = PlaceName(name) else { fatalError("no name of a place: \(name)") }
    return name
}

public func nic(_ name: String) -> InterfaceName {
    guard let name = InterfaceName(name) else { fatalError("no name of a nic: \(name)") }
    return name
}

public func v4(_ text: String) -> IPv4Address {
    guard let address = IPv4Address(text) else { fatalError("no IPv4 address: \(text)") }
    return address
}

public func v6(_ text: String) -> IPv6Address {
    guard let address = IPv6Address(text) else { fatalError("no IPv6 address: \(text)") }
    return address
}

public func prefix4(_ text: String) -> IPv4Prefix {
    guard let prefix = IPv4Prefix(text) else { fatalError("no IPv4 prefix: \(text)") }
    return prefix
}

public func prefix6(_ text: String) -> IPv6Prefix {
    guard let prefix = IPv6Prefix(text) else { fatalError("no IPv6 prefix: \(text)") }
    return prefix
}

public func prefix(_ text: String) -> IPPrefix {
    guard let prefix = IPPrefix(text) else { fatalError("no prefix: \(text)") }
    return prefix
}

/// A public key of this number; no two numbers have the same.
public func key(_ number: Int) -> PublicKey {
    var bytes = [UInt8](repeating: 7, count: PublicKey.length)
    for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: number >> (8 * index)) }
    guard let key = PublicKey(bytes: bytes.span) else { fatalError("a key has 32 bytes") }
    return key
}

extension TenantDocument {
    /// What a ledger would give: the first prefixes of the first allocation, and relay ports from 12000 upwards.
    public func assignments() -> Assignments {
        var assigned = Assignments()
        guard let allocation = allocations.first else { return assigned }
        var index = allocation.reservedCount
        var relay: UInt16 = 12000
        for network in networks {
            for member in network.members {
                let id = MemberID(network: network.name, node: member.node)
                while let segment = allocation.segment(at: index), let tag = allocation.tag(of: segment),
                    !tag.allowsIPv4 || allocation.isReserved(index)
                {
                    index += 1
                }
                guard let segment = allocation.segment(at: index) else { fatalError("more members than prefixes") }
                index += 1
                assigned.prefixes[id] = Assignments.Prefix(segment, allocation: allocation.number)
                assigned.relayPorts[id] = relay
                relay = relay == 16383 ? 1024 : relay + 1
            }
        }
        return assigned
    }

    /// The networks with what ``assignments()`` gives.
    public func resolved() -> [ResolvedNetwork] {
        do throws(DocumentError) {
            return try resolve(assignments())
        } catch {
            fatalError("\(error)")
        }
    }
}

extension Allocation {
    public static let sample: Allocation = {
        guard let allocation = Allocation(prefix: prefix6("2a02:1807:1100::/48"), number: 0)
        else { fatalError("a /48 is an allocation") }
        return allocation
    }()
}
