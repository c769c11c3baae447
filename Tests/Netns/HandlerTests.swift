import Foundation
import Surroundings
import Testing

@testable import kex_handler

@Suite("The handler's limits and local sockets", .needsRoot, .serialized) struct HandlerTests {
    @Test("Frames that wait together are answered together, each request once, in frames of 64 at most")
    func frames() throws {
        let gateway = try GatewayFixture(domains: ["ffww01"])
        try gateway.startHandler()
        let script = """
            import os, signal, socket, struct, sys
            s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            s.settimeout(5)
            s.connect(sys.argv[1])
            handler = int(sys.argv[2])
            def request(number):
                return struct.pack('>I16s32sB42s', number, b'', bytes(range(32)), 7, b'unknown')
            def frame(numbers):
                return struct.pack('>BBH', 1, 1, len(numbers)) + b''.join(map(request, numbers))
            # 63 are not enough, so the next frame, of 64, comes with them: as many as can be.
            os.kill(handler, signal.SIGSTOP)
            s.send(frame(range(0, 63)))
            s.send(frame(range(63, 127)))
            s.send(frame(range(127, 128)))
            os.kill(handler, signal.SIGCONT)
            counts, numbers = [], []
            while len(numbers) < 128:
                answer = s.recv(1000)
                count, = struct.unpack('>H', answer[2:4])
                counts.append(count)
                numbers += [struct.unpack('>IB', answer[4 + 5 * i:9 + 5 * i])[0] for i in range(count)]
            assert counts == [64, 63, 1], counts
            assert sorted(numbers) == list(range(128))
            """
        let process = try #require(gateway.handler).processIdentifier
        let result = try Command.run("python3", ["-c", script, "\(gateway.folder)/handler.sock", "\(process)"])
        #expect(result.status == 0, "\(result.errors)")
    }

    @Test("Front doors are told how domains are doing")
    func status() throws {
        let gateway = try GatewayFixture(domains: ["ffww01", "ffww02"])
        try gateway.startHandler()
        try gateway.startListener()
        _ = try gateway.makeConnectedRouter(1)
        #expect(try gateway.register(anyKey()) == "")
        try gateway.removeDevices(of: gateway.domains[1])
        let script = """
            import base64, socket, struct, sys
            s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            s.settimeout(5)
            s.connect(sys.argv[1])
            def record(name): return struct.pack('>B42s', len(name), name.encode())
            names = ['ffww01', 'ffww02', 'other']
            key, port = base64.b64decode(sys.argv[2]), int(sys.argv[3])
            s.send(bytes([1, 6, 0, 3]) + b''.join(map(record, names)))
            tails = [struct.pack('>B32sHII', 1, key, port, 1, 2)] + [bytes(43)] * 2
            expected = bytes([1, 7, 0, 3]) + b''.join(record(n) + t for n, t in zip(names, tails))
            answer = s.recv(1000)
            assert answer == expected, (answer, expected)
            # Questions and registrations that wait together are all answered.
            registration = struct.pack('>I16s32sB42s', 7, b'', bytes(range(32)), 5, b'other')
            s.send(bytes([1, 1, 0, 1]) + registration)
            s.send(bytes([1, 6, 0, 1]) + record('other'))
            answers = {s.recv(1000) for _ in range(2)}
            assert bytes([1, 2, 0, 1]) + struct.pack('>IB', 7, 2) in answers, answers
            assert bytes([1, 7, 0, 1]) + record('other') + bytes(43) in answers, answers
            """
        let port = try Command.check("wg show \(gateway.domains[0].wireGuard) listen-port")
        let arguments = ["\(gateway.folder)/handler.sock", try gateway.ownKey(), port]
        // The handshake is in the next snapshot at the latest.
        try wait(for: "the status") {
            let result = try Command.run("python3", ["-c", script] + arguments)
            if result.status != 0 { print(result.errors) }
            return result.status == 0
        }
    }

    @Test("Sockets of systemd are known by their names, and their files stay when the handler ends")
    func activation() throws {
        let gateway = try GatewayFixture(domains: ["ffww01"])
        let script = """
            import os, socket, sys
            sockets = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)]
            for s, path in zip(sockets, ('control', 'handler', 'fleet')):
                s.bind(sys.argv[1] + '/' + path + '.sock')
                s.listen()
            high = [os.dup2(s.fileno(), 10 + n) for n, s in enumerate(sockets)]
            for n in range(3):
                os.dup2(high[n], 3 + n)
            os.environ.update(LISTEN_FDS='3', LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=sys.argv[2])
            os.execv(sys.argv[3], [sys.argv[3], '--config', sys.argv[1] + '/kex.conf'])
            """
        func start(_ names: String) throws -> Daemon {
            let program = Command.path(of: "kex-handler")
            let words = [
                "ip", "netns", "exec", gateway.namespace, "python3", "-c", script, gateway.folder, names, program,
            ]
            return try Daemon(words, log: "\(gateway.folder)/activated.log")
        }
        let handler = try start("control:handler:fleet")
        try handler.waitFor(#/ready: 1 of 1/#)
        #expect(try gateway.cleanup().output == "ffww01: 0 routers checked\n")
        handler.end(with: SIGTERM)
        #expect(handler.status == 0)
        for name in ["handler", "fleet", "control"] {
            #expect(FileManager.default.fileExists(atPath: "\(gateway.folder)/\(name).sock"))
            unlink("\(gateway.folder)/\(name).sock")
        }
        let stranger = try start("control:other:fleet")
        try stranger.waitFor(#/cannot find a use for socket other of systemd/#)
    }
}
