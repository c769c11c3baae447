import Foundation
import Glibc
import Synchronization

/// An internet of network namespaces, for machines that look for direct ways to each other. It goes with the test.
///
/// ```
///                       ┌──────────── pub (bridge, router) 198.51.100.1 ────────────┐
///                       │                         │                                 │
///        hub 198.51.100.10         site 1: router 198.51.100.101          site 2: router 198.51.100.102
///                                         10.1.0.1 (or 203.0.113.9)               10.2.0.1
///                                          │ lan (bridge)                           │ lan
///                                     host 10.1.0.2, host 10.1.0.3              host 10.2.0.2
/// ```
///
/// With IPv6 each network also has a part of 2001:db8::/32, without translation; the routers of sites let nobody in
/// unasked, as those of homes do.
public final class LinkLaboratory {
    /// Other runs have laboratories at the same time.
    public let id: String
    /// For files of a test.
    public let folder: String
    public let hasIPv6: Bool
    public var publicNamespace: String { "kl\(id)p" }
    private var hubCount = 0
    private var siteCount = 0
    private var routers: [String] = []
    /// All that has to end with the laboratory. Machines and sites hold it and not the other way round, so that it is
    /// there as long as one of them is.
    private var namespaces: [String] = []
    private var processes: [LabProcess] = []
    private var sockets: [String] = []
    private static let count = Atomic<Int>(0)

    public init(hasIPv6: Bool = false) throws {
        guard getuid() == 0 else { throw LabFailure("this test makes network namespaces and needs root") }
        let number = Self.count.add(1, ordering: .relaxed).newValue
        id = String(getpid() % 46656, radix: 36) + "x\(number)"
        folder = "/run/kex-links-\(id)"
        self.hasIPv6 = hasIPv6
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try makeNamespace(publicNamespace)
        try shell(
            """
            ip netns exec \(publicNamespace) sh -ec '
                ip link set lo up
                ip link add internet type bridge
                ip link set internet up
                ip address add 198.51.100.1/24 dev internet
                sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 \
                    net.ipv4.conf.internet.send_redirects=0
            '
            """
        )
        guard hasIPv6 else { return }
        try shell(
            """
            ip netns exec \(publicNamespace) sysctl -qw net.ipv6.conf.all.forwarding=1
            ip -n \(publicNamespace) address add 2001:db8::1/64 dev internet nodad
            """
        )
    }

    deinit {
        for process in processes.reversed() { process.end(with: SIGKILL) }
        for socket in sockets { unlink(socket) }
        _ = try? shell(namespaces.map { "ip netns del \($0)\n" }.joined(), mayFail: true)
        try? FileManager.default.removeItem(atPath: folder)
    }

    func makeNamespace(_ name: String) throws {
        try shell("ip netns add \(name)")
        namespaces.append(name)
        // Nobody has an address twice, and the search for such takes seconds.
        try shell("ip netns exec \(name) sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0")
    }

    /// A program that ends with the laboratory at the latest.
    func keep(_ process: LabProcess, socket: String? = nil) -> LabProcess {
        processes.append(process)
        if let socket { sockets.append(socket) }
        return process
    }

    /// Runs a script with `sh -e`, outside of all namespaces.
    @discardableResult
    public func shell(_ script: String, mayFail: Bool = false) throws -> LabResult {
        let result = try run(["/bin/sh", mayFail ? "-c" : "-ec", script])
        guard mayFail || result.status == 0 else {
            throw LabFailure("\(script)\nended with \(result.status): \(result.errors)")
        }
        return result
    }

    /// Runs a program to its end.
    func run(_ words: [String]) throws -> LabResult {
        let name = "\(folder)/command-\(UUID().uuidString)"
        let (output, errors) = ("\(name).out", "\(name).err")
        defer { for file in [output, errors] { unlink(file) } }
        let process = try LabProcess(words, log: output, errors: errors)
        process.waitForEnd()
        return LabResult(
            status: process.status ?? -1,
            output: process.output,
            errors: (try? String(contentsOfFile: errors, encoding: .utf8)) ?? ""
        )
    }

    /// A machine that all can reach.
    public func makeHub(_ name: String = "hub") throws -> LabMachine {
        let number = 10 + hubCount
        hubCount += 1
        let hub = try LabMachine(name, in: self, number: number)
        try shell(
            """
            ip link add \(hub.namespace)e netns \(publicNamespace) type veth peer name eth0 netns \(hub.namespace)
            ip -n \(publicNamespace) link set \(hub.namespace)e master internet up
            """
        )
        try hub.setUp(
            address: "198.51.100.\(number)",
            gateway: "198.51.100.1",
            v6: "2001:db8::\(number)",
            "2001:db8::1",
            site: nil
        )
        return hub
    }

    /// A network with a router before it.
    ///
    /// - Parameter hasCable: whether what its router sends and gets can be delayed and cut: see ``LabSite/cable``.
    public func makeSite(_ kind: LabNAT, hasCable: Bool = false) throws -> LabSite {
        siteCount += 1
        let site = try LabSite(kind, number: siteCount, in: self, hasCable: hasCable)
        routers.append(site.namespace)
        return site
    }

    /// A host alone behind a router of its own.
    public func makeHost(_ name: String, behind kind: LabNAT, hasCable: Bool = false) throws -> LabMachine {
        try makeSite(kind, hasCable: hasCable).makeHost(name)
    }

    /// The routers forget who has talked to whom.
    public func flush() throws { for router in routers { try flush(router) } }

    func flush(_ router: String) throws {
        let script = "conntrack -F 2>/dev/null; nft flush set ip lab known"
        _ = try run(["ip", "netns", "exec", router, "sh", "-c", script])
    }
}
