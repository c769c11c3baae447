/// What the router of a site does to UDP, in the words of RFC 4787: its mapping, then its filtering.
public enum LabNAT: String, CaseIterable, Sendable {
    /// Public addresses, and whoever wants comes in.
    case open
    /// Public addresses, and nobody comes in unasked.
    case firewall
    /// Endpoint-independent, endpoint-independent. All goes to the first host of the site.
    case full
    /// Endpoint-independent, address-dependent. The same.
    case restricted
    /// Endpoint-independent, address- and port-dependent: what most homes have.
    case portRestricted
    /// Address- and port-dependent, both: what mobile networks have.
    case symmetric
    /// No UDP at all.
    case blocked

    /// Whether hosts have addresses that only the site knows.
    public var translates: Bool { self != .open && self != .firewall }

    /// The rules of the router, of which `wan` is the side of the internet and `lan` the other.
    ///
    /// - Parameters:
    ///   - host: address of the first host.
    ///   - wan: address of the router.
    func rules(host: String, wan: String) -> String {
        var prerouting = ""
        var postrouting = ""
        var forward = "iifname \"lan\" accept"
        switch self {
        case .open: forward += "\naccept"
        case .firewall: break
        case .full:
            prerouting = "iifname \"wan\" meta l4proto udp dnat to \(host)"
            postrouting = "oifname \"wan\" snat to \(wan) persistent"
        case .restricted:
            prerouting = "iifname \"wan\" ip saddr . udp dport @known dnat to \(host)"
            postrouting = "oifname \"wan\" snat to \(wan)"
            forward = "iifname \"lan\" meta l4proto udp update @known { ip daddr . udp sport }\n" + forward
        case .portRestricted: postrouting = "oifname \"wan\" masquerade"
        case .symmetric:
            postrouting = "oifname \"wan\" meta l4proto udp masquerade fully-random\noifname \"wan\" masquerade"
        case .blocked:
            postrouting = "oifname \"wan\" masquerade"
            forward = "meta l4proto udp drop\n" + forward
        }
        // A router that answers a stranger's packet itself takes the port away from the host behind it: real ones drop.
        return """
            table ip lab {
                set known {
                    type ipv4_addr . inet_service
                    flags dynamic,timeout
                    timeout 120s
                }
                set cut { type ipv4_addr . ipv4_addr; }
                chain before {
                    type nat hook prerouting priority dstnat
                    \(prerouting)
                }
                chain after {
                    type nat hook postrouting priority srcnat
                    \(postrouting)
                }
                chain cutting {
                    type filter hook prerouting priority -350
                    ip saddr . ip daddr @cut drop
                }
                chain forwarding {
                    type filter hook forward priority filter
                    policy drop
                    \(forward)
                    ct state established,related accept
                    ct status dnat accept
                }
                chain arriving {
                    type filter hook input priority filter
                    policy drop
                    iifname { "lan", "lo" } accept
                    ct state established,related accept
                    icmp type echo-request accept
                }
            }
            table ip6 lab {
                set cut { type ipv6_addr . ipv6_addr; }
                chain cutting {
                    type filter hook prerouting priority -350
                    ip6 saddr . ip6 daddr @cut drop
                }
                chain forwarding {
                    type filter hook forward priority filter
                    policy \(self == .open ? "accept" : "drop")
                    iifname "lan" accept
                    ct state established,related accept
                    meta l4proto ipv6-icmp accept
                }
            }
            """
    }
}
