public import NetworkAddresses
internal import TenantModel

/// A route of one namespace. Routes of both families are alike.
public struct Route: Hashable, Sendable {
    public enum Target: Hashable, Sendable {
        /// `hop` is `nil` where the destination is on the link. It may be of IPv6 where the route is of IPv4.
        case nic(String, hop: IPPrefix.Address?)
        /// The sender is told at once that nobody is there.
        case unreachable
    }

    /// Without host bits.
    public var destination: IPPrefix
    public var target: Target
    /// 0 for the kernel's own choice.
    public var metric: UInt32

    public init(_ destination: IPPrefix, _ target: Target, metric: UInt32 = 0) {
        self.destination = destination
        self.target = target
        self.metric = metric
    }

    /// The nic; `nil` for one that leads nowhere.
    public var nic: String? { if case .nic(let name, _) = target { name } else { nil } }
}

extension Route: CustomStringConvertible {
    /// As iproute2 has it.
    public var description: String {
        let metric = metric == 0 ? "" : " metric \(metric)"
        return switch target {
        case .unreachable: "unreachable \(destination)\(metric)"
        case .nic(let name, nil): "\(destination) dev \(name)\(metric)"
        case .nic(let name, let hop?):
            "\(destination) via \(hop.family == destination.address.family ? "" : "inet6 ")\(hop.text) dev \(name)\(metric)"
        }
    }
}
