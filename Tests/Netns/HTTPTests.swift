import EUI64
import FieldRouter
import Foundation
import Surroundings
import Testing
import WireGuardTypes

/// Routers of deployed firmware at a whole gateway.
@Suite("HTTP", .needsRoot, .serialized) struct HTTPTests {
    private func gateway(_ settings: String = "AddressProfile=ffmuc\nLinkAddress=fe80::5757:bb:1") throws
        -> GatewayFixture
    {
        let gateway = try GatewayFixture(settings: settings)
        try gateway.startHandler()
        try gateway.startHTTPListener()
        return gateway
    }

    private func address(of key: String) throws -> String {
        "\(AddressProfile.ffmuc.linkLocalAddress(of: try #require(PublicKey(text: key))))/128"
    }

    @Test("A router is in the kernel, under its address of profile ffmuc, when it is answered")
    func exchange() throws {
        let gateway = try gateway()
        let (first, second) = (anyKey(), anyKey())
        #expect(
            FieldRouter(domain: "ffww01", key: first).post("/api/v1/wg/key/exchange", gateway.httpPort) == .registered
        )
        #expect(try gateway.peers() == [first: address(of: first)])
        let port = try Command.check("wg show \(gateway.domains[0].wireGuard) listen-port")
            .trimmingCharacters(in: .newlines)
        let own = try gateway.ownKey()
        #expect(
            FieldRouter(domain: "ffww01", key: second).exchange(port: gateway.httpPort)
                == .gateway(address: "gw01.example.net", port: port, publicKey: own, allowedIP: "fe80::5757:bb:1")
        )
        #expect(try gateway.peers() == [first: address(of: first), second: address(of: second)])
        #expect(try gateway.fdb().count == 2)
        // The gateway's own key may not register.
        #expect(FieldRouter(domain: "ffww01", key: own).exchange(port: gateway.httpPort) == .failed(8))
        #expect(try gateway.peers().count == 2)
    }

    @Test("A domain without interfaces, and one without LinkAddress=, cannot be named")
    func noGateway() throws {
        let gateway = try gateway("")
        let router = FieldRouter(domain: "ffww01", key: anyKey())
        #expect(router.post("/api/v2/wg/key/exchange", gateway.httpPort) == .failed(8))
        #expect(router.exchange(port: gateway.httpPort) == .registered)
        try gateway.removeDevices(of: gateway.domains[0])
        #expect(router.exchange(port: gateway.httpPort) == .failed(8))
    }

    @Test("The handler is killed: 503 at once, and all is well with the next one")
    func killedHandler() throws {
        let gateway = try gateway()
        let router = FieldRouter(domain: "ffww01", key: anyKey())
        guard case .gateway = router.exchange(port: gateway.httpPort) else { throw Failure("not in") }
        gateway.handler?.end(with: SIGKILL)
        let client = try HTTPClient(port: gateway.httpPort)
        for path in ["/api/v1/wg/key/exchange", "/api/v2/wg/key/exchange"] {
            let (head, body) = router.request(path)
            try client.send(head + body)
            #expect(try client.answer().status == 503)
        }
        try gateway.startHandler()
        usleep(200_000)  // a listener that has called in vain rests for a tenth of a second
        guard case .gateway = router.exchange(port: gateway.httpPort) else { throw Failure("not in again") }
        #expect(gateway.httpListener?.isRunning == true)
    }

    @Test("A router that is in finds the page at the gateway's address inside the tunnel, from an address of its own")
    func frontPage() throws {
        let gateway = try GatewayFixture(settings: "LinkAddress=fe80::5757:bb:1", unlimited: "192.0.2.1")
        try gateway.startHandler()
        try gateway.startListener()
        _ = try gateway.makeConnectedRouter(1)
        let listener = try Daemon(
            [
                "ip", "netns", "exec", gateway.namespace, Command.path(of: "kex-http"), "--config",
                "\(gateway.folder)/kex.conf", "--listen", "[::]:80",
            ],
            log: "\(gateway.folder)/inside.log"
        )
        try listener.waitFor(#/listening on/#)
        let request = #"printf 'GET / HTTP/1.1\r\nHost: [x]\r\nConnection: close\r\n\r\n' >&3; cat <&3"#
        let peer = "\(GatewayFixture.gatewayAddress)%\(gateway.domains[0].wireGuard)r1"
        let result = try Command.run(
            "ip",
            [
                "netns", "exec", gateway.namespace, "timeout", "10", "bash", "-c",
                "exec 3<>'/dev/tcp/\(peer)/80'; \(request)",
            ]
        )
        #expect(result.output.hasPrefix("HTTP/1.1 200 OK\r\n"), "\(result)")
    }

    @Test("A thousand routers at once are all in, and memory is below 40 MiB")
    func crowd() async throws {
        let gateway = try gateway("LinkAddress=fe80::5757:bb:1\nMaximumPeers=2000")
        let keys = (0..<1000).map { _ in anyKey() }
        let port = gateway.httpPort
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<64 {
                group.addTask {
                    try await onThread {
                        for index in stride(from: worker, to: keys.count, by: 64) {
                            let outcome = FieldRouter(domain: "ffww01", key: keys[index]).exchange(port: port)
                            guard case .gateway = outcome else { throw Failure("\(outcome)") }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try Set(gateway.peers().keys) == Set(keys))
        let process = try #require(gateway.httpListener).processIdentifier
        let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        let memory = try #require(status.firstMatch(of: /VmRSS:\s+(\d+) kB/)).1
        #expect(try #require(Int(memory)) < 40 * 1024, "\(memory) kB")
    }
}
