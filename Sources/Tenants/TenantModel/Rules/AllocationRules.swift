internal import NetworkAddresses

extension RuleCheck {
    /// I3, and what a block of addresses can be at all.
    mutating func checkAllocations(_ path: DocumentPath) {
        var numbers: Set<UInt8> = []
        for (index, allocation) in document.allocations.enumerated() {
            let place = path.appending(index)
            let prefix = allocation.prefix
            if !numbers.insert(allocation.number).inserted {
                fail(
                    place.appending("number"),
                    "a second allocation with number \(allocation.number)",
                    advice: "the number stands in names of interfaces; give each allocation its own"
                )
            }
            for (other, earlier) in document.allocations[..<index].enumerated() where earlier.prefix.overlaps(prefix) {
                fail(
                    place.appending("prefix"),
                    "\(prefix) overlaps allocation \(earlier.number), \(earlier.prefix) (allocations[\(other)]), "
                        + "so one address could be handed out twice",
                    advice: "keep one of them"
                )
            }
            if let reason = Self.reasonAgainst(prefix) {
                fail(place.appending("prefix"), "\(prefix) cannot be routed to networks: \(reason)")
            } else if Self.documentation.contains(where: { $0.overlaps(prefix) }) {
                warn(place.appending("prefix"), "\(prefix) is for documentation only and is routed nowhere")
            } else if Self.isLocal(prefix) {
                warn(place.appending("prefix"), "\(prefix) is local (ULA): members reach the internet by NAT only")
            }
            let block = min(allocation.segmentCount, 0x1_0000)
            if allocation.reservedCount >= block {
                fail(
                    place.appending("reserve"),
                    "reserve \(allocation.reservedCount) leaves nothing of \(prefix), which has \(block) /64",
                    advice: "leave reserve out, or name less than \(block)"
                )
            }
            checkGateway(of: allocation, place)
        }
    }

    private mutating func checkGateway(of allocation: Allocation, _ place: DocumentPath) {
        guard let gateway = allocation.gateway, !gateway.isLinkLocal else { return }
        if !allocation.routerSegment.prefix.contains(gateway) {
            fail(
                place.appending("gateway"),
                "the gateway \(gateway) is not in \(allocation.routerSegment), the first /64 of the allocation, "
                    + "where the routers are",
                advice: "leave it out for \(allocation.routerSegment.address(1)), or name a link-local address"
            )
        } else if gateway.low == 0 || gateway.low > 0xff {
            warn(
                place.appending("gateway"),
                "the gateway \(gateway) is behind ::ff, where addresses of exits begin",
                advice: "::1 to ::ff are for routers"
            )
        }
    }

    /// Why addresses of a prefix are nobody's to hand out; `nil` if they can be somebody's.
    static func reasonAgainst(_ prefix: IPv6Prefix) -> String? {
        let address = prefix.address
        if address.isMulticast { return "it is for groups (ff00::/8)" }
        if address.isLinkLocal { return "it is link-local (fe80::/10)" }
        // ::/8 has the unspecified address, loopback and mapped IPv4 in it. Source: RFC 4291, section 2.5.
        if address.high >> 56 == 0 { return "it is in ::/8, which has mapped IPv4 addresses and loopback in it" }
        return nil
    }

    /// Source: RFC 3849; RFC 9637.
    private static let documentation = ["2001:db8::/32", "3fff::/20"].compactMap { IPv6Prefix($0) }

    /// Source: RFC 4193, section 3.1.
    static func isLocal(_ prefix: IPv6Prefix) -> Bool { prefix.length >= 7 && prefix.address.high >> 57 == 0xfc >> 1 }
}
