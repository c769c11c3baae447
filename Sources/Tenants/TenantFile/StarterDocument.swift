public import NetworkAddresses
public import TenantModel
public import WireGuardTypes

/// A document to begin with: one network over a machine with a public address and some behind routers, with comments
/// that say what else there is.
public struct StarterDocument: Hashable, Sendable, CustomStringConvertible {
    public var network: NetworkName
    /// Where prefixes come from. Of a local block (fc00::/7) nothing leaves by IPv6.
    public var prefix: IPv6Prefix
    /// The exit.
    public var publicNode: NodeName
    /// At most one of each family is used: the first.
    public var publicAddresses: [IPPrefix.Address]
    public var hiddenNodes: [NodeName]
    /// Those that are known. The others stay to be filled in.
    public var keys: [NodeName: PublicKey]

    public init(
        network: NetworkName,
        prefix: IPv6Prefix,
        publicNode: NodeName,
        publicAddresses: [IPPrefix.Address],
        hiddenNodes: [NodeName],
        keys: [NodeName: PublicKey] = [:]
    ) {
        self.network = network
        self.prefix = prefix
        self.publicNode = publicNode
        self.publicAddresses = publicAddresses
        self.hiddenNodes = hiddenNodes
        self.keys = keys
    }

    private var ipv4: IPv4Address? {
        for case .v4(let address) in publicAddresses { return address }
        return nil
    }

    private var ipv6: IPv6Address? {
        for case .v6(let address) in publicAddresses { return address }
        return nil
    }

    /// The text of the file.
    public var description: String {
        let isLocal = prefix.address.high >> 57 == 0xfc >> 1
        var lines = [
            "# Networks of kex-net. `kex-net check FILE` tells what is wrong in here, with lines.",
            "format: 1",
            "",
            "# Each member of a network gets a /64 of an allocation: `kex-net allocate`.",
            "allocations:",
            "  - number: 0",
            "    prefix: \(prefix)",
            "",
            "# The machines. `hidden`: behind a NAT or a firewall. `public`: others can speak to the address.",
            "# A family that a machine does not have is left out. Machines with the same `lan: NAME` and an",
            "# address, as in `ipv4: {hidden: 192.168.1.21}`, speak to each other directly.",
            "nodes:",
            "  \(publicNode):",
        ]
        if let ipv4 { lines.append("    ipv4: {public: \(ipv4)}") }
        if let ipv6 { lines.append("    ipv6: {public: \"\(ipv6)\"}") }
        for node in hiddenNodes {
            lines.append("  \(node):")
            if ipv4 != nil { lines.append("    ipv4: hidden") }
            if ipv6 != nil { lines.append("    ipv6: hidden") }
        }
        lines += [
            "",
            "networks:",
            "  \(network):",
            "    # Raise it with each change.",
            "    version: 1",
            "    # The key of each member, a new one for each network. On the node:",
            "    #   umask 077; wg genkey | tee \(network).key | wg pubkey",
            "    members:",
        ]
        for node in [publicNode] + hiddenNodes { lines.append("      \(node):\(keys[node].map { " \($0)" } ?? "")") }
        lines += [
            "    # Where the network reaches the internet, and hidden members each other.",
            "    exit:",
            "      node: \(publicNode)",
        ]
        if ipv4 != nil { lines.append("      ipv4: shared") }
        if isLocal || ipv6 == nil { lines.append("      ipv6: none") }
        return lines.joined(separator: "\n") + "\n"
    }
}
