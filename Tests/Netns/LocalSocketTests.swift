import Foundation
import Surroundings
import Testing

@testable import HandlerChannel

/// Words of the handler's protocol for Python, and what each test says after them. `sys.argv[1]` is the gateway's
/// folder.
private let words = """
    import os, socket, struct, sys, time
    PATIENCE = 60
    def path(name): return sys.argv[1] + '/' + name + '.sock'
    def connect(name):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(PATIENCE)
        s.connect(path(name))
        return s
    def frame(kind, *records): return struct.pack('>BBH', 1, kind, len(records)) + b''.join(records)
    def text(name, size=42): return struct.pack('>B%ds' % size, len(name), name.encode())
    def key(number): return struct.pack('>IH', 0x51525354, number) + bytes(25) + b'\\x10'
    domain = text('ffww01')
    def registration(number, source=b''): return struct.pack('>I16s', number, source) + key(number) + domain
    def remote(number): return struct.pack('>I', number) + key(number) + domain
    def news(number, kind, when): return struct.pack('>IBq', number, kind, when) + key(number) + domain
    def ask(s, packet):
        s.send(packet)
        return s.recv(30000)
    def refusals(answer):
        return {n: r for n, r in (struct.unpack('>IB', answer[4 + 5 * i:9 + 5 * i]) for i in range(answer[3]))}
    def become(user):
        os.setgroups([]); os.setresgid(user, user, user); os.setresuid(user, user, user)
    def run(user, body):
        # As another user, in a process of its own.
        child = os.fork()
        if child == 0:
            try:
                become(user)
                body()
                os._exit(0)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
        return child
    def check(child): assert os.waitpid(child, 0)[1] == 0, 'the other user'

    """

/// The handler's sockets, as programs that were taken over would use them.
@Suite("Local sockets of a running handler", .needsRoot, .serialized) struct LocalSocketTests {
    private func run(_ script: String, _ gateway: GatewayFixture, _ arguments: String...) throws {
        let result = try Command.run("python3", ["-c", words + script, gateway.folder] + arguments)
        #expect(result.status == 0, "\(result.output)\(result.errors)")
    }

    /// The frames that `socket` takes, as `2,4`.
    private func taken(at socket: HandlerSocket) -> String {
        socket.requests.map { "\($0.rawValue)" }.sorted().joined(separator: ",")
    }

    @Test("Each frame is answered at the sockets that take it, and ends the connection at the others")
    func frames() throws {
        let gateway = try GatewayFixture(domains: ["ffww01"])
        try gateway.startHandler()
        let script = """
            size = lambda n: bytes(n)
            frames = {
                1: registration(1), 2: struct.pack('>IB', 1, 0), 3: b'\\x01' + domain, 4: size(84), 5: size(228),
                6: domain, 7: domain + size(43), 8: news(1, 2, 1), 9: bytes(8) + domain, 10: size(40),
                11: b'\\x01' + bytes(8) + domain, 12: remote(1), 13: size(308), 14: remote(2), 15: struct.pack('>IB', 1, 0),
                16: size(32),
            }
            for argument in sys.argv[2:]:
                name, kinds = argument.split('=')
                kinds = set(map(int, kinds.split(',')))
                for kind in frames:
                    s = connect(name)
                    answer = ask(s, frame(kind, frames[kind]))
                    assert bool(answer) == (kind in kinds), (name, kind, answer)
                    s.close()
            """
        let rows = HandlerSocket.allCases.map { "\($0.name)=\(taken(at: $0))" }
        try run(script, gateway, rows[0], rows[1], rows[2])
        #expect(Frame.Kind.allCases.count == 16, "the script has each kind")
    }

    @Test("Whoever is in the group of the control socket lets nobody in and takes nobody out")
    func control() throws {
        let gateway = try GatewayFixture(domains: ["ffww01"])
        try gateway.startHandler()
        let router = try gateway.makeRouter(1)
        chown("\(gateway.folder)/control.sock", 0, 4242)
        let script = """
            import base64
            router = base64.b64decode(sys.argv[2])
            s = connect('handler')
            assert refusals(ask(s, frame(1, struct.pack('>I16s', 7, b'') + router + domain))) == {7: 0}
            def attack():
                for name in ('handler', 'fleet'):
                    try: connect(name); raise SystemExit('connected to ' + name)
                    except PermissionError: pass
                now = int(time.time())
                gone = struct.pack('>IBq', 1, 2, now + 10 ** 9) + router + domain
                for packet in (frame(8, *(news(n, 1, now) for n in range(64))), frame(8, gone), frame(1, registration(1)),
                               frame(14, remote(1)), frame(9, bytes(8) + domain), frame(6, domain)):
                    assert ask(connect('control'), packet) == b'', packet[1]
            child = os.fork()
            if child == 0:
                try:
                    os.setgroups([4242]); os.setresgid(3000, 3000, 3000); os.setresuid(3000, 3000, 3000)
                    attack()
                    os._exit(0)
                except BaseException as error:
                    print(repr(error), file=sys.stderr, flush=True)
                    os._exit(1)
            check(child)
            """
        try run(script, gateway, router)
        #expect(try Array(gateway.peers().keys) == [router])
    }

    @Test("No source stands for another gateway: each has its limits at the socket for front doors")
    func noSentinel() throws {
        let gateway = try GatewayFixture(domains: ["ffww01"], unlimited: "127.0.0.0/8")
        try gateway.startHandler()
        let script = """
            # What another gateway passes on comes in by a socket of its own.
            fleet = connect('fleet')
            assert refusals(ask(fleet, frame(14, remote(100)))) == {100: 0}
            answers = refusals(ask(connect('handler'), frame(1, *(registration(n) for n in range(64)))))
            assert sum(r == 0 for r in answers.values()) == 32, answers
            answers = refusals(ask(fleet, frame(14, *(remote(200 + n) for n in range(64)))))
            assert all(r == 0 for r in answers.values()), answers
            """
        try run(script, gateway)
        let log = try #require(gateway.handler).output
        #expect(log.contains(" from ::: "))
        #expect(log.contains(" from another gateway: "))
    }

    @Test(
        "A user who holds all of his places is turned away at once, and others find theirs",
        arguments: HandlerSocket.allCases.map(\.name)
    )
    func places(name: String) throws {
        let gateway = try GatewayFixture(domains: ["ffww01"])
        try gateway.startHandler()
        // A group for each of the users.
        chown("\(gateway.folder)/\(name).sock", 0, 4242)
        let script = """
            name, most, users = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
            question = frame(3, b'\\x01' + domain) if name == 'control' else frame(6, domain)
            def works(s): return ask(s, question) != b''
            def closed(s):
                try: return s.recv(100) == b''
                except ConnectionResetError: return True
            def member(user):
                os.setgroups([4242]); os.setresgid(user, user, user); os.setresuid(user, user, user)
            def hold(user):
                # Takes all of its places, tells, and keeps them until it is told to end.
                child = os.fork()
                if child: return child
                try:
                    os.close(end)
                    member(user)
                    held = [connect(name) for _ in range(most)]
                    assert all(works(s) for s in held), 'the user has all of them'
                    for _ in range(3): assert closed(connect(name)), 'one too many is closed'
                    held.pop().close()
                    deadline = time.time() + PATIENCE
                    while True:
                        # The handler has to notice that one has gone.
                        s = connect(name)
                        try:
                            if works(s): break
                        except (BrokenPipeError, ConnectionResetError): pass
                        assert time.time() < deadline, 'a place that is left is another one'
                    held.append(s)
                    os.write(tell, b'x')
                    os.read(wait, 1)
                    os._exit(0)
                except BaseException as error:
                    print(user, repr(error), file=sys.stderr, flush=True)
                    os.write(tell, b'e')
                    os._exit(1)
            (ready, tell), (wait, end) = os.pipe(), os.pipe()
            users = [3000 + n for n in range(users)]
            children = [hold(users[0])]
            assert os.read(ready, 1) == b'x'
            # One user has all of his; root finds a place at once, and so does the next user.
            mine = connect(name)
            assert works(mine)
            mine.close()
            # Until all are taken: then nobody finds one, and nobody waits.
            for user in users[1:]:
                children.append(hold(user))
                assert os.read(ready, 1) == b'x', user
            assert closed(connect(name)), 'all places are taken'
            os.close(end)
            for child in children: check(child)
            deadline = time.time() + PATIENCE
            while True:
                s = connect(name)
                try:
                    if works(s): break
                except (BrokenPipeError, ConnectionResetError): pass
                assert time.time() < deadline
            """
        try run(
            script,
            gateway,
            name,
            "\(ChannelLimit.connectionsOfUser)",
            "\(ChannelLimit.connections / ChannelLimit.connectionsOfUser)"
        )
        #expect(try #require(gateway.handler).output.contains("no place left at \(gateway.folder)/\(name).sock"))
    }

    @Test("A user who connects again and again keeps nobody else out")
    func knocking() throws {
        let gateway = try GatewayFixture(domains: ["ffww01"])
        try gateway.startHandler()
        let script = """
            # As many as he may have; then one after the other, which are all closed.
            def knock():
                held = [connect('handler') for _ in range(64)]
                os.write(told, b'x')
                while os.getppid() == parent:
                    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                    s.setblocking(False)
                    try: s.connect(path('handler'))
                    except BlockingIOError: pass
                    waiting.append(s)
                    if len(waiting) > 500: waiting.pop(0).close()
            waiting, parent = [], os.getpid()
            ready, told = os.pipe()
            child = run(65534, knock)
            assert os.read(ready, 1) == b'x'
            for number in range(20):
                deadline = time.time() + PATIENCE
                while True:
                    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                    s.settimeout(PATIENCE)
                    try:
                        s.connect(path('handler'))
                        break
                    except BlockingIOError: assert time.time() < deadline
                assert refusals(ask(s, frame(1, registration(number)))) == {number: 0}
                s.close()
            os.kill(child, 9)
            os.waitpid(child, 0)
            """
        try run(script, gateway)
    }
}
