import Foundation
import Glibc
import Surroundings
import Testing

/// A neighbour on a link may have any number of link-local addresses.
@Suite("Neighbours on a link", .needsRoot, .serialized) struct LinkTests {
    @Test("With 60 link-local addresses a neighbour gets no more new keys than a home")
    func newKeys() throws {
        let gateway = try GatewayFixture(domains: ["ffww01"])
        try gateway.startHandler()
        let unique = "\(getpid() % 100_000)"
        let (near, far, neighbour) = ("kxn\(unique)", "kxf\(unique)", "kex-neighbour-\(unique)")
        try Command.check("ip netns add \(neighbour)")
        defer { _ = try? Command.run("ip", ["netns", "delete", neighbour]) }
        try Command.check("ip link add \(near) type veth peer name \(far) netns \(neighbour)")
        try Command.check("ip link set \(near) addrgenmode none")
        try Command.check("ip link set \(near) up")
        try Command.check("ip address add fe80::1/64 dev \(near) nodad")
        try Command.check("ip -n \(neighbour) link set \(far) addrgenmode none")
        try Command.check("ip -n \(neighbour) link set \(far) up")
        for number in 1...60 {
            try Command.check("ip -n \(neighbour) address add fe80::a:\(number)/64 dev \(far) nodad")
        }
        try gateway.startListener(on: "[::]:0")
        let script = """
            import base64, os, socket, sys
            interface, port = socket.if_nametoindex(sys.argv[1]), int(sys.argv[2])
            answers = []
            for number in range(1, 61):
                s = socket.socket(socket.AF_INET6)
                s.settimeout(60)
                s.bind((f'fe80::a:{number}', 0, 0, interface))
                s.connect(('fe80::1', port, 0, interface))
                key = bytearray(os.urandom(32))
                key[31] &= 0x7f
                s.sendall(b'ffww01\\n' + base64.b64encode(key) + b'\\n')
                answers.append(s.recv(100).decode())
                s.close()
            assert answers == [''] * 32 + ['ERR: RATE_LIMITED\\n'] * 28, answers
            """
        let words = ["netns", "exec", neighbour, "python3", "-c", script, far, "\(gateway.port)"]
        let result = try Command.run("ip", words)
        #expect(result.status == 0, "\(result.errors)")
        #expect(try gateway.peers().count == 32)
        #expect(try #require(gateway.handler).output.contains(#/from fe80::a:1%\d+: /#))
        // Others have what they had.
        #expect(try gateway.register(anyKey()) == "")
    }
}
