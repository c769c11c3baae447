public import Firewall
public import Netlink
public import NetworkAddresses
public import SystemCalls

/// Why packets cannot be held.
public enum HoldError: Error, Hashable, Sendable, CustomStringConvertible {
    case firewall(FirewallError)
    case netlink(NetlinkError)
    case system(SystemCallError)
    /// A name that the language of nft(8) has no way to write.
    case unusableName(InterfaceName)
    case tooManyHolds
    case tooManyPrefixes(Int)

    public var description: String {
        switch self {
        case .firewall(let error): "\(error)"
        case .netlink(let error): "\(error)"
        case .system(let error): "\(error)"
        case .unusableName(let name): "packets of \(name) cannot be held: nftables cannot write that name"
        case .tooManyHolds: "the packets of \(HoldLimits.holds) peers are held already"
        case .tooManyPrefixes(let count): "\(count) prefixes are more than \(HoldLimits.prefixes)"
        }
    }
}

/// Runs a call whose errors become errors of a hold.
func failing<Result: ~Copyable, Failure: Error>(
    as kind: (Failure) -> HoldError,
    _ call: () throws(Failure) -> Result
) throws(HoldError) -> Result {
    do throws(Failure) {
        return try call()
    } catch {
        throw kind(error)
    }
}
