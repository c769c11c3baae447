import Glibc
import SystemPackage
import Testing
import Time

@testable import SystemCalls

@Suite("A process of one's own") struct ChildProcessTests {
    /// Runs a shell script, and says what it wrote to its end of the conversation.
    private func run(_ script: String, environment: [String] = []) throws -> (text: String, ending: ChildProcess.Ending)
    {
        let (here, there) = try Socket.pair(.stream)
        let own = OwnedDescriptor(adopting: here)
        let other = OwnedDescriptor(adopting: there)
        let child = try ChildProcess(
            name: "child",
            program: "/bin/sh",
            arguments: ["-c", script],
            environment: environment,
            descriptor: other.raw
        )
        let ending = child.end(by: .now + .seconds(10))
        var buffer = [UInt8](repeating: 0, count: 4096)
        guard case .bytes(let count) = try Socket.receive(from: own.raw, into: &buffer) else { return ("", ending) }
        return (String(decoding: buffer.prefix(count), as: UTF8.self), ending)
    }

    @Test("has its end of the conversation, what it is given for an environment, and nothing else that is open")
    func surroundings() throws {
        let (text, ending) = try run("env >&3; ls /proc/$$/fd | tr '\\n' ' ' >&3; exit 7", environment: ["A=1"])
        #expect(ending == .exit(7))
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("PWD=") && !$0.hasPrefix("_=") }
        #expect(lines == ["A=1", "0 1 2 3 "], "\(text)")
    }

    @Test("can be signalled although its parent has blocked that")
    func signals() throws {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGTERM)
        pthread_sigmask(SIG_BLOCK, &set, nil)
        defer { pthread_sigmask(SIG_UNBLOCK, &set, nil) }
        #expect(try run("kill -TERM $$; exit 0").ending == .signal(SIGTERM))
    }

    @Test("is killed at the deadline, and with its owner", .timeLimit(.minutes(60)))
    func end() throws {
        let (here, there) = try Socket.pair(.stream)
        let own = OwnedDescriptor(adopting: here)
        let other = OwnedDescriptor(adopting: there)
        func start() throws -> ChildProcess {
            try ChildProcess(
                name: "child",
                program: "/bin/sleep",
                arguments: ["600"],
                environment: [],
                descriptor: other.raw
            )
        }
        let late = try start().end(by: .now + .milliseconds(20))
        let atOnce = try start().end()
        #expect(late == .signal(SIGKILL) && atOnce == .signal(SIGKILL))
        let number = try start().number
        #expect(kill(number, 0) == -1 && errno == ESRCH)
        _ = own.raw
    }

    @Test("that cannot be started is told of")
    func missing() {
        let error = #expect(throws: SystemCallError.self) {
            _ = try ChildProcess(
                name: "child",
                program: "/nonexistent",
                arguments: [],
                environment: [],
                descriptor: .standardInput
            )
        }
        #expect(error?.errno == .noSuchFileOrDirectory)
    }

    @Test("keeps rights as long as it has not given them up, and root has none to give up")
    func rights() {
        #expect(OwnRights.remaining(UserAccount(user: 1, group: 1)) != nil)
        #expect(throws: SystemCallError.self) {
            try OwnRights.giveUp(for: UserAccount(user: 0, group: 0), parent: getppid())
        }
        #expect(UserAccount(named: "root") == UserAccount(user: 0, group: 0))
        #expect(UserAccount(named: "no-such-user") == nil)
    }
}
