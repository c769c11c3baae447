import Checkout
import Foundation
import Glibc
import Patience
import Testing

/// A Debian with systemd that a test can tell what to do.
///
/// The process behind it ends with this one, however that ends. Scripts run one after another.
class Machine: @unchecked Sendable {
    struct Outcome {
        var status: Int
        var output: String
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// What it was given, and what it may write to.
    let folder: String
    fileprivate(set) var process: pid_t = 0
    fileprivate var connection: Int32 = -1
    private var lifeline: Int32 = -1

    fileprivate init(patience: Double) throws {
        self.patience = patience
        // A machine that is gone is an error of the write, not the end of this process.
        signal(SIGPIPE, SIG_IGN)
        folder = FileManager.default.temporaryDirectory.appending(path: "kex-machine-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    /// The system's console and what the program that runs the machine says.
    var console: String { (try? String(contentsOfFile: "\(folder).console", encoding: .utf8)) ?? "" }

    /// Starts the process that is the machine. It is killed when this process ends.
    fileprivate func start(_ arguments: [String]) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "\(folder).console", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // The machine is killed when the other end of descriptor 9 is closed: by us, or because we are no more.
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Failure("no pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        posix_spawn_file_actions_adddup2(&actions, ends[0], 9)
        lifeline = ends[1]
        defer { close(ends[0]) }
        // A container's first process goes with it: alone, systemd-nspawn would leave it running. A word on the
        // descriptor is a power cut; its end without one is our own, and then nobody needs the files any more.
        let supervisor = """
            "$@" 9<&- & machine=$!
            {
                read -r -u 9 word
                kill -KILL $(ps --ppid $machine -o pid=) $machine
                [ -n "$word" ] || rm -rf "$0" "$0.tar" "$0.console"
            } 2>/dev/null &
            wait $machine
            """
        let all = ["/bin/bash", "-c", supervisor, folder] + arguments
        var words = all.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        let result = posix_spawn(&process, all[0], &actions, nil, &words, environ)
        guard result == 0 else { throw Failure("cannot start \(all): \(String(cString: strerror(result)))") }
    }

    /// How long it is given for anything: see ``Patience``.
    let patience: Double

    /// Connects to the agent and waits until it speaks.
    fileprivate func connect(to path: String) throws {
        let deadline = Date(timeIntervalSinceNow: patience)
        while Date() < deadline {
            if let connection = try? Self.connect(to: path) {
                self.connection = connection
                setTimeout(deadline.timeIntervalSinceNow)
                if (try? receive()) != nil { return }
                close(connection)
            }
            guard waitpid(process, nil, WNOHANG) == 0 else { break }
            usleep(50_000)
        }
        throw Failure("the machine did not come up:\n\(console.suffix(4000))")
    }

    private static func connect(to path: String) throws -> Int32 {
        let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            close(number)
            throw Failure("cannot connect to \(path)")
        }
        return number
    }

    private func setTimeout(_ seconds: Double) {
        var limit = timeval(tv_sec: Int(max(seconds, 1)), tv_usec: 0)
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    private func receive() throws -> Data {
        func exactly(_ count: Int) throws -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: count)
            var got = 0
            while got < count {
                let more = bytes.withUnsafeMutableBytes { read(connection, $0.baseAddress! + got, count - got) }
                guard more > 0 else { throw Failure("the machine does not answer:\n\(console.suffix(4000))") }
                got += more
            }
            return bytes
        }
        let length = try exactly(4).reduce(0) { $0 << 8 | Int($1) }
        return Data(try exactly(length))
    }

    // MARK: - What tests use

    /// Runs a script with bash in the machine's `/share`.
    ///
    /// After ``patience`` it is killed, and its status is 124.
    func run(_ script: String) throws -> Outcome {
        let request = try JSONSerialization.data(
            withJSONObject: ["script": script, "seconds": patience] as [String: Any]
        )
        var length = UInt32(request.count).bigEndian
        let bytes = Data(bytes: &length, count: 4) + request
        var sent = 0
        while sent < bytes.count {
            let more = bytes.dropFirst(sent).withUnsafeBytes { write(connection, $0.baseAddress, $0.count) }
            guard more > 0 else { throw Failure("the machine is gone:\n\(console.suffix(4000))") }
            sent += more
        }
        setTimeout(patience + Patience.program)
        let answer = try JSONSerialization.jsonObject(with: try receive()) as? [String: Any]
        guard let status = answer?["status"] as? Int, let output = answer?["output"] as? String else {
            throw Failure("an answer that is none")
        }
        return Outcome(status: status, output: output)
    }

    /// The output of a script that must succeed.
    @discardableResult
    func check(_ script: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
        let result = try run("set -euo pipefail\n\(script)")
        guard result.status == 0 else {
            let journal = try run("journalctl -n 40 --no-pager -o short-monotonic -u 'kex*'").output
            Issue.record(
                "status \(result.status) of:\n\(script)\n\(result.output)\n\(journal)",
                sourceLocation: sourceLocation
            )
            throw Failure("status \(result.status)")
        }
        return result.output.trimmingCharacters(in: .newlines)
    }

    /// The same for a script that uses the functions of `lab.sh`.
    @discardableResult
    func lab(_ script: String, _ location: SourceLocation = #_sourceLocation) throws -> String {
        try check(". /share/lab.sh\n\(script)", sourceLocation: location)
    }

    /// Waits until a script succeeds; fails the test if it does not in time.
    ///
    /// - Returns: how many seconds that took.
    @discardableResult
    func wait(
        for what: String,
        until script: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Double {
        let start = Date()
        var last = Outcome(status: 0, output: "")
        while Date().timeIntervalSince(start) < patience {
            last = try run(script)
            if last.status == 0 { return Date().timeIntervalSince(start) }
            usleep(100_000)
        }
        let journal = try run("journalctl -n 40 --no-pager -o short-monotonic -u 'kex*'").output
        Issue.record("\(patience) s in vain for \(what): \(last.output)\n\(journal)", sourceLocation: sourceLocation)
        throw Failure("in vain: \(what)")
    }

    /// Installs packages as an operator does, with a domain `ffww01` whose interfaces are made at each boot, and
    /// enables and starts what README says. Does nothing the second time.
    ///
    /// - Parameter files: where they are in the machine.
    func installPackage(_ files: String = "/share/kex*.deb") throws {
        guard !isInstalled else { return }
        try check(
            """
            apt-get update -qq
            apt-get install -y -qq \(files) >/dev/null
            """
        )
        try check(
            """
            . /share/lab.sh
            \(isContainer ? "cp /share/wireguard-go@.service /etc/systemd/system/" : "")
            mesh_at_boot
            wg show wgww01 public-key > /etc/kex/prohibited-keys
            cat > /etc/kex/kex.conf <<END
            [Gateway]
            ProhibitedKeys=/etc/kex/prohibited-keys
            UnlimitedSources=127.0.0.0/8 ::1 192.0.2.0/24
            [Domain ffww01]
            WireGuard=wgww01
            VXLAN=vxww01
            END
            kex-handler --check-config >/dev/null
            systemctl enable -q --now kexd.socket kex-handler.socket kex-control.socket kex-cleanup@ffww01.timer
            field
            """
        )
        try wait(for: "the handler", until: "systemctl is-active kex-handler")
        isInstalled = true
    }

    private var isInstalled = false

    fileprivate(set) var isContainer = false

    /// Ends it as a power cut does.
    func cutPower() {
        if connection >= 0 { close(connection) }
        connection = -1
        guard process != 0 else { return }
        _ = write(lifeline, "cut\n", 4)
        close(lifeline)
        waitpid(process, nil, 0)
        process = 0
    }

    deinit {
        cutPower()
        try? FileManager.default.removeItem(atPath: folder)
        unlink("\(folder).console")
        unlink("\(folder).tar")
    }

    /// Puts what tests need into the folder: the agent, the packages, and the program that plays routers.
    fileprivate func fillFolder() throws {
        let here = Checkout.file("Tests/Machines")
        let copies = try FileManager.default.contentsOfDirectory(atPath: here.path)
            .filter { !$0.hasSuffix(".swift") }.map { here.appending(path: $0).path }
        let package = Checkout.file(".build/package").path
        let packages = try FileManager.default.contentsOfDirectory(atPath: package)
            .filter { $0.hasSuffix(".deb") }.map { "\(package)/\($0)" }
        guard packages.count == 7 else { throw Failure("seven packages are wanted in \(package): run scripts/package") }
        try FileManager.default.createDirectory(atPath: "\(folder)/link", withIntermediateDirectories: false)
        for file in copies + packages + [Checkout.file(".build/release/kex-crowd").path] {
            let name = file.split(separator: "/").last!
            // kex-link has nothing to do with the gateway, and must not be installed with it.
            let place = name.hasPrefix("kex-link_") ? "link/\(name)" : "\(name)"
            try FileManager.default.copyItem(atPath: file, toPath: "\(folder)/\(place)")
        }
    }

    /// The folder that `scripts/system-image` printed.
    fileprivate static func image() throws -> String {
        guard let image = ProcessInfo.processInfo.environment["KEX_SYSTEM_IMAGE"] else {
            throw Failure("KEX_SYSTEM_IMAGE is not set: scripts/test sets it to what scripts/system-image prints")
        }
        return image
    }
}

/// What the first test prepares for those behind it.
///
/// Tests of one machine come one after another.
private final class Preparation: @unchecked Sendable {
    private var hasFailed = false

    /// - Throws: what is wrong with the machine the first time, and after that only that something is.
    func of<Kind: Machine>(_ machine: Result<Kind, any Error>) throws -> Kind {
        guard !hasFailed else { throw Machine.Failure("the machine is not ready: the first test says why") }
        hasFailed = true
        let ready = try machine.get()
        try ready.installPackage()
        hasFailed = false
        return ready
    }
}

/// systemd in a container on this machine's kernel, whose WireGuard is in user space: comes up in a third of a second.
final class Container: Machine, @unchecked Sendable {
    private static let machine = Result { try Container() }
    private static let preparation = Preparation()

    /// The one that most tests share, with the package installed.
    static func prepared() throws -> Container { try preparation.of(machine) }

    init() throws {
        try super.init(patience: Patience.container)
        isContainer = true
        try fillFolder()
        setenv("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1", 1)
        try start([
            "/usr/bin/systemd-nspawn", "--quiet", "--directory=\(try Self.image())/root", "--volatile=overlay",
            "--boot",
            "--register=no", "--keep-unit", "--console=pipe", "--private-network", "--capability=all",
            "--machine=kex-test-\(getpid())", "--bind=/dev/net/tun", "--bind=\(folder):/share",
        ])
        try connect(to: "\(folder)/agent.sock")
    }
}

/// A computer with Debian's own kernel: real WireGuard, real control groups, a clock and a disk of its own.
final class VirtualMachine: Machine, @unchecked Sendable {
    private static let machine = Result { try VirtualMachine() }
    private static let preparation = Preparation()

    /// The one that the tests share, with the package installed.
    static func prepared() throws -> VirtualMachine { try preparation.of(machine) }

    init() throws {
        try super.init(patience: Patience.emulatedMachine)
        try fillFolder()
        try Self.tool("tar", "--create", "--file=\(folder).tar", "--directory=\(folder)", "--owner=0", "--group=0", ".")
        try Self.tool("truncate", "--size=%1M", "\(folder).tar")
        try Self.tool("cp", "--sparse=always", "\(try Self.image())/disk.ext4", "\(folder)/disk")
        try boot()
    }

    /// Boots from the disk as it is.
    func boot() throws {
        unlink("\(folder)/agent.sock")
        try start([
            "/usr/bin/qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
            "-m", "1024", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", "\(try Self.image())/vmlinuz", "-initrd", "\(try Self.image())/initrd",
            "-append", "console=ttyS0 quiet panic=-1 mitigations=off systemd.show_status=0",
            "-serial", "file:\(folder).console", "-device", "virtio-serial-pci",
            "-chardev", "socket,id=agent,path=\(folder)/agent.sock,server=on,wait=off",
            "-device", "virtserialport,chardev=agent,name=agent", "-device", "virtio-rng-pci",
            "-drive", "file=\(folder)/disk,format=raw,if=virtio",
            "-drive", "file=\(folder).tar,format=raw,if=virtio,readonly=on",
        ])
        try connect(to: "\(folder)/agent.sock")
    }

    private static func tool(_ arguments: String...) throws {
        var number: pid_t = 0
        var words = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var status: Int32 = 0
        guard posix_spawnp(&number, arguments[0], nil, nil, &words, environ) == 0,
            waitpid(number, &status, 0) == number, status == 0
        else { throw Failure("\(arguments) failed") }
    }
}
