import EUI64
import Foundation
import NetworkAddresses
import SystemCalls
import Testing
import WireGuardTypes

/// Two network namespaces with a cable between them: a gateway and a router. They go with the test.
///
/// The gateway has wireguard-go, a VXLAN interface and a key exchange that admits whoever comes, as a real one would.
final class Laboratory {
    /// Namespaces and interfaces of several runs may exist at a time; so may the control sockets of wireguard-go,
    /// which no namespace separates.
    let id = String(UUID().uuidString.prefix(6)).lowercased()
    let folder: TemporaryFolder
    var router: String { "kexr-\(id)" }
    var gateway: String { "kexg-\(id)" }
    /// The gateway's and the router's interfaces.
    var names: (gatewayWireGuard: String, gatewayVXLAN: String, wireGuard: String, vxlan: String) {
        ("wgg\(id)", "vxg\(id)", "wgr\(id)", "vxr\(id)")
    }
    let gatewayKey: String
    static let gatewayAddress = "fe80::5757:bb:1"
    static let wireGuardPort = 51820

    init() throws {
        guard getuid() == 0 else {
            Issue.record("these tests make network namespaces: run them as root")
            throw CancellationError()
        }
        folder = try TemporaryFolder()
        gatewayKey = try Self.sh("wg genkey | tee \(folder.path)/gateway.key | wg pubkey").output
            .trimmingCharacters(in: .whitespacesAndNewlines)
        try Self.sh(
            """
            ip netns add \(gateway) && ip netns add \(router)
            ip link add c\(id) netns \(gateway) type veth peer name c\(id) netns \(router)
            for n in \(gateway) \(router); do ip -n $n link set lo up; ip -n $n link set c\(id) up; done
            ip -n \(gateway) addr add 192.0.2.1/24 dev c\(id); ip -n \(router) addr add 192.0.2.2/24 dev c\(id)
            ip netns exec \(gateway) wireguard-go \(names.gatewayWireGuard) >/dev/null 2>&1
            ip netns exec \(gateway) wg set \(names.gatewayWireGuard) listen-port \(Self.wireGuardPort) \
                private-key \(folder.path)/gateway.key
            ip -n \(gateway) link set \(names.gatewayWireGuard) addrgenmode none up
            ip -n \(gateway) addr add \(Self.gatewayAddress)/64 dev \(names.gatewayWireGuard) nodad
            ip -n \(gateway) link add \(names.gatewayVXLAN) type vxlan id 99 local \(Self.gatewayAddress) \
                dev \(names.gatewayWireGuard) dstport 8472
            ip -n \(gateway) link set \(names.gatewayVXLAN) mtu 1280 up
            ip -n \(gateway) addr add 10.99.0.1/24 dev \(names.gatewayVXLAN)
            """
        )
    }

    deinit {
        // An interface goes with its namespace, and wireguard-go with its interface.
        _ = try? Self.sh(
            """
            ip -n \(gateway) link del \(names.gatewayWireGuard); ip -n \(router) link del \(names.wireGuard)
            ip netns del \(gateway); ip netns del \(router)
            """,
            mayFail: true
        )
    }

    /// Runs a script with `sh -e`.
    @discardableResult
    static func sh(_ script: String, mayFail: Bool = false) throws -> ProgramRun {
        let run = try Program.run("/bin/sh", [mayFail ? "-c" : "-ec", script])
        if !mayFail && run.status != 0 { Issue.record("\(script)\nended with \(run.status): \(run.errors)") }
        return run
    }

    /// Runs a script in the router's namespace.
    @discardableResult
    func onRouter(_ script: String, mayFail: Bool = false) throws -> ProgramRun {
        let run = try Program.run("/usr/sbin/ip", ["netns", "exec", router, "sh", mayFail ? "-c" : "-ec", script])
        if !mayFail && run.status != 0 { Issue.record("\(script)\nended with \(run.status): \(run.errors)") }
        return run
    }

    /// Runs the program in the router's namespace.
    func client(_ arguments: String...) throws -> ProgramRun {
        try Program.run("/usr/sbin/ip", ["netns", "exec", router, Program.clientPath] + arguments)
    }

    /// A key exchange in the gateway's namespace that makes the peer and the flood entry of whoever registers.
    func exchange() throws -> FakeGateway {
        let (gateway, names) = (gateway, names)
        return try FakeGateway(
            .admits { _, key in
                guard let key = PublicKey(text: key) else { return }
                let address = AddressProfile.eui64.linkLocalAddress(of: key)
                _ = try? Self.sh(
                    """
                    ip netns exec \(gateway) wg set \(names.gatewayWireGuard) peer \(key) allowed-ips \(address)/128
                    ip netns exec \(gateway) bridge fdb append 00:00:00:00:00:00 dev \(names.gatewayVXLAN) \
                        dst \(address) via \(names.gatewayWireGuard)
                    """
                )
            },
            on: "192.0.2.1",
            namespace: gateway
        )
    }

    /// Writes a file for `up` and returns its path.
    func file(gateways: String..., key: String? = nil) throws -> String {
        try folder.file(
            "router.conf",
            """
            [Router]
            Domain=ffww01
            PrivateKeyFile=\(folder.path)/router.key
            WireGuard=\(names.wireGuard)
            VXLAN=\(names.vxlan)
            VXLANId=99

            """ + gateways.joined(separator: "\n")
        )
    }

    /// The section of the laboratory's gateway.
    func section(exchange: String, key: String? = nil, address: String = gatewayAddress) -> String {
        """
        [Gateway]
        Exchange=\(exchange)
        Endpoint=192.0.2.1:\(Self.wireGuardPort)
        PublicKey=\(key ?? gatewayKey)
        LinkAddress=\(address)
        """
    }

    /// The router's interfaces that are there.
    var interfaces: Set<String> {
        get throws {
            let list = try onRouter("ls /sys/class/net 2>/dev/null; ip -br link | cut -d' ' -f1", mayFail: true).output
            return Set(list.split { $0.isWhitespace }.map { String($0.prefix { $0 != "@" }) })
                .intersection([names.wireGuard, names.vxlan])
        }
    }

    /// Bytes that came from the router's one peer, since that was made.
    func receivedBytes() throws -> Int {
        let text = try onRouter("wg show \(names.wireGuard) transfer | cut -f2").output
        return try #require(Int(text.trimmingCharacters(in: .newlines)))
    }

    /// The number by which the kernel knows one of the router's interfaces: another one if it was made anew.
    func index(of interface: String) throws -> Substring {
        try onRouter("ip -o link show \(interface)").output.prefix { $0 != ":" }
    }
}
