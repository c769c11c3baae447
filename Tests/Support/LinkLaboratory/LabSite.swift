import Foundation
import Glibc

/// A network of hosts behind one router.
public final class LabSite {
    public let kind: LabNAT
    public let number: Int
    /// Of the router.
    public let namespace: String
    private var hostCount = 0
    /// What lies between the router and the internet, if it can be delayed.
    public private(set) var cable: LabCable?
    private let laboratory: LinkLaboratory
    private var cableNamespace: String { "\(namespace)c" }

    /// The router's address on the internet, and so that of hosts whose addresses are translated.
    public private(set) var wanAddress: String
    private var network: String { kind.translates ? "10.\(number).0" : "203.0.\(number)" }
    private var network6: String { "2001:db8:\(number)" }

    init(_ kind: LabNAT, number: Int, in laboratory: LinkLaboratory, hasCable: Bool) throws {
        precondition((1...49).contains(number), "there are addresses for 49 sites")
        wanAddress = "198.51.100.\(100 + number)"
        self.kind = kind
        self.number = number
        self.laboratory = laboratory
        namespace = "kl\(laboratory.id)s\(number)"
        let pub = laboratory.publicNamespace
        try laboratory.makeNamespace(namespace)
        if hasCable {
            try laboratory.makeNamespace(cableNamespace)
            // Two cables, and between them a program that carries over what comes at one end.
            try laboratory.shell(
                """
                ip netns exec \(cableNamespace) sysctl -qw net.ipv6.conf.all.disable_ipv6=1 \
                    net.ipv6.conf.default.disable_ipv6=1
                ip link add inside netns \(cableNamespace) type veth peer name wan netns \(namespace)
                ip link add outside netns \(cableNamespace) type veth peer name \(namespace)e netns \(pub)
                ip -n \(cableNamespace) link set inside up
                ip -n \(cableNamespace) link set outside up
                """
            )
            cable = try LabCable(
                in: laboratory,
                namespace: cableNamespace,
                ends: [(namespace, "wan"), (pub, "\(namespace)e")]
            )
        } else {
            try laboratory.shell("ip link add \(namespace)e netns \(pub) type veth peer name wan netns \(namespace)")
        }
        try laboratory.shell(
            """
            ip -n \(pub) link set \(namespace)e master internet up
            ip netns exec \(namespace) sh -ec '
                ip link set lo up
                ip link set wan up
                ip address add \(wanAddress)/24 dev wan
                ip route add default via 198.51.100.1
                ip link add lan type bridge
                ip link set lan up
                ip address add \(network).1/24 dev lan
                sysctl -qw net.ipv4.ip_forward=1
            '
            """
        )
        try setRules()
        if !kind.translates { try laboratory.shell("ip -n \(pub) route add \(network).0/24 via \(wanAddress)") }
        guard laboratory.hasIPv6 else { return }
        try laboratory.shell(
            """
            ip netns exec \(namespace) sysctl -qw net.ipv6.conf.all.forwarding=1
            ip -n \(namespace) address add 2001:db8::\(100 + number)/64 dev wan nodad
            ip -n \(namespace) -6 route add default via 2001:db8::1
            ip -n \(namespace) address add \(network6)::1/64 dev lan nodad
            ip -n \(pub) -6 route add \(network6)::/64 via 2001:db8::\(100 + number)
            """
        )
    }

    private func setRules() throws {
        let rules = kind.rules(host: "\(network).2", wan: wanAddress)
        try laboratory.shell("ip netns exec \(namespace) nft -f - <<END\nflush ruleset\n\(rules)\nEND")
    }

    /// The provider gives the router another address, as some do each night. What was translated to the old one is lost,
    /// and cuts are repaired.
    public func renumber() throws {
        let old = wanAddress
        wanAddress = "198.51.100.\((old.hasSuffix("\(100 + number)") ? 150 : 100) + number)"
        try onRouter(
            """
            ip address del \(old)/24 dev wan
            ip address add \(wanAddress)/24 dev wan
            ip route replace default via 198.51.100.1
            """
        )
        if !kind.translates {
            try laboratory.shell(
                "ip -n \(laboratory.publicNamespace) route replace \(network).0/24 via \(wanAddress)"
            )
        }
        try setRules()
        try flush()
    }

    /// Adds a host to the network.
    @discardableResult
    public func makeHost(_ name: String) throws -> LabMachine {
        let host = try LabMachine(name, in: laboratory, number: number * 100 + hostCount + 2)
        try takeIn(host)
        return host
    }

    /// Gives a machine a place in this network.
    func takeIn(_ host: LabMachine) throws {
        let place = hostCount + 2
        hostCount += 1
        try laboratory.shell(
            """
            ip link add port\(place) netns \(namespace) type veth peer name eth0 netns \(host.namespace)
            ip -n \(namespace) link set port\(place) master lan up
            """
        )
        try host.setUp(
            address: "\(network).\(place)",
            gateway: "\(network).1",
            v6: "\(network6)::\(place)",
            "\(network6)::1",
            site: self
        )
    }

    /// Runs a script in the router's namespace.
    @discardableResult
    public func onRouter(_ script: String, mayFail: Bool = false) throws -> LabResult {
        let shell = ["ip", "netns", "exec", namespace, "sh", mayFail ? "-c" : "-ec", script]
        let result = try laboratory.run(shell)
        guard mayFail || result.status == 0 else { throw LabFailure("\(script): \(result.errors)") }
        return result
    }

    /// The router forgets who has talked to whom, as if it was started anew.
    public func flush() throws {
        try laboratory.flush(namespace)
    }

    /// The hosts of the site no longer hear each other, and nothing tells them.
    public func separateHosts(_ isSeparate: Bool = true) throws {
        for place in 0..<hostCount {
            try onRouter("bridge link set dev port\(place + 2) isolated \(isSeparate ? "on" : "off")")
        }
    }

    /// Drops, or lets through again, what comes from one of these addresses and is for one of those.
    func cut(_ sources: [String], _ destinations: [String], isCut: Bool) throws {
        for source in sources {
            for destination in destinations where source.contains(":") == destination.contains(":") {
                let family = source.contains(":") ? "ip6" : "ip"
                let action = isCut ? "add" : "delete"
                try onRouter(
                    "nft \(action) element \(family) lab cut '{ \(source) . \(destination) }'",
                    mayFail: !isCut
                )
            }
        }
    }
}

extension LinkLaboratory {
    /// Nothing travels any more between two machines of different sites, and nothing tells them. What they send each
    /// other through a third machine does.
    ///
    /// - Parameter direction: `true` cuts only what the first one sends.
    public func cut(_ first: LabMachine, _ second: LabMachine, oneWay direction: Bool = false) throws {
        try setCut(first, second, oneWay: direction, isCut: true)
    }

    /// What ``cut(_:_:oneWay:)`` cut travels again.
    public func repair(_ first: LabMachine, _ second: LabMachine) throws {
        try setCut(first, second, oneWay: false, isCut: false)
    }

    private func setCut(_ first: LabMachine, _ second: LabMachine, oneWay: Bool, isCut: Bool) throws {
        for (sender, receiver) in oneWay ? [(first, second)] : [(first, second), (second, first)] {
            if let site = receiver.site {
                // Where it arrives, before anything is translated back.
                try site.cut(sender.publicAddresses, receiver.publicAddresses, isCut: isCut)
            } else if let site = sender.site {
                try site.cut(sender.ownAddresses, receiver.publicAddresses, isCut: isCut)
            }
        }
    }
}
