import Foundation
import KexGateway
import KexProtocol
import Surroundings
import SystemCalls
import SystemPackage
import Testing
import Time
import WireGuardTypes

@testable import GatewayState

private func key(_ number: Int) -> PublicKey {
    var bytes = [UInt8](repeating: 0x21, count: 32)
    bytes[0] = UInt8(number & 255)
    bytes[1] = UInt8(number >> 8)
    return PublicKey(bytes: bytes.span)!
}

private func state(routers: Int) -> DomainState {
    DomainState(
        device: DeviceIdentity(bootID: "8e1b-77", networkNamespace: .max, interfaceIndex: 7),
        clocks: Moment(seconds: 1_790_000_000, sinceStart: .nanoseconds(123_456_789_012)),
        restoredAt: .milliseconds(1500),
        routers: (0..<routers).map { number in
            let mark = StaleMark(since: .seconds(77), receivedBytes: UInt64(number))
            return KnownRouter(key: key(number), lastHeard: Int64(number) - 1, mark: number % 2 == 0 ? nil : mark)
        }
        .sorted { $0.key.description < $1.key.description }
    )
}

@Suite("State as text") struct StateTextTests {
    @Test("What is written is read to the same", arguments: [0, 1, 2, 1000])
    func roundTrip(routers: Int) {
        let state = state(routers: routers)
        #expect(StateText.parse(StateText.encode(state)) == StateText.Parsed(state: state, damage: nil))
    }

    @Test(
        "Whose peer a router's is, and the operator's own that look like one, are read to the same",
        arguments: [1, 1024]
    )
    func owners(operators: Int) {
        var state = state(routers: 3)
        for index in [0, 2] { state.routers[index].isAdopted = true }
        state.operatorsPeers = (0..<operators).map { key(5000 + $0) }.sorted { $0.description < $1.description }
        let bytes = StateText.encode(state)
        #expect(StateText.parse(bytes) == StateText.Parsed(state: state, damage: nil))
        // One too many is left out, and the text is whole.
        state.operatorsPeers.append(key(9999))
        let parsed = StateText.parse(StateText.encode(state))
        #expect(parsed.damage == nil)
        #expect(parsed.state.operatorsPeers.count == min(operators + 1, 1024))
    }

    @Test("Times at their limits, and an interface that is not known")
    func extremes() {
        var state = state(routers: 0)
        state.device = nil
        state.clocks = Moment(seconds: .min, sinceStart: .nanoseconds(Int64.max))
        state.routers = [
            KnownRouter(
                key: key(1),
                lastHeard: .max,
                mark: StaleMark(since: .zero, receivedBytes: .max)
            )
        ]
        #expect(StateText.parse(StateText.encode(state)) == StateText.Parsed(state: state, damage: nil))
        let lines = StateText.encode(state).split(separator: 0x0a)
        #expect(lines.allSatisfy { $0.count < StateText.maximumLine })
    }

    @Test("The text is as documented, and equal states give equal bytes whatever their order")
    func form() {
        var state = state(routers: 2)
        let text = String(decoding: StateText.encode(state), as: UTF8.self)
        let pattern =
            #/
            kex-state\ 1\ 8e1b-77\ 18446744073709551615\ 7\ 1790000000\ 123456789012\ 1500000000\ [0-9a-f]{16}\n
            [^\ ]{44}\ -1\ -\ -\ [0-9a-f]{16}\n
            [^\ ]{44}\ 0\ 77000000000\ 1\ [0-9a-f]{16}\n
            end\ 2\ [0-9a-f]{16}\n
            /#
        #expect(text.wholeMatch(of: pattern) != nil, "\(text)")
        state.routers.reverse()
        #expect(text == String(decoding: StateText.encode(state), as: UTF8.self))
    }

    @Test("A byte that is not what it was loses its line and nothing else, and makes nobody up")
    func flips() {
        let whole = state(routers: 3)
        let bytes = StateText.encode(whole)
        for index in bytes.indices {
            for flip in [UInt8(1), 0x20, 0x80] {
                var broken = bytes
                broken[index] ^= flip
                let parsed = StateText.parse(broken)
                #expect(parsed.damage != nil, "byte \(index)")
                #expect(Set(parsed.state.routers).isSubset(of: whole.routers))
                #expect(parsed.state.routers.count >= 1)
                let header = parsed.state
                #expect(header.device == nil || (header.device == whole.device && header.clocks == whole.clocks))
            }
        }
    }

    @Test("A text that ends early keeps what came before its end")
    func truncations() {
        let whole = state(routers: 3)
        let bytes = StateText.encode(whole)
        for count in 0..<bytes.count {
            let parsed = StateText.parse(Array(bytes.prefix(count)))
            #expect(parsed.damage != nil, "\(count) bytes")
            #expect(parsed.state.routers == Array(whole.routers.prefix(parsed.state.routers.count)))
            let lines = bytes.prefix(count).count { $0 == 0x0a }
            #expect(parsed.state.routers.count == min(max(lines - 1, 0), 3))
        }
    }

    @Test("A line that comes twice counts once, and what follows the end does not")
    func extraLines() {
        let bytes = StateText.encode(state(routers: 2))
        let lines = bytes.split(separator: 0x0a).map { Array($0) + [0x0a] }
        let twice = StateText.parse(lines[0] + lines[1] + lines[1] + lines[2] + lines[3])
        #expect(twice.state.routers.count == 2 && twice.damage != nil)
        let after = StateText.parse(bytes + lines[1])
        #expect(after.state.routers.count == 2 && after.damage != nil)
    }

    @Test("What is lost is said in numbers")
    func words() {
        let lines = StateText.encode(state(routers: 5)).split(separator: 0x0a).map { Array($0) + [0x0a] }
        func damage(_ kept: [[UInt8]]) -> String? { StateText.parse(Array(kept.joined())).damage }
        #expect(damage(lines.filter { $0 != lines[2] }) == "1 of 5 routers are lost")
        #expect(damage(Array(lines.dropLast())) == "the end is missing, 5 routers are left")
        #expect(
            damage(Array(lines.dropFirst()))
                == "5 routers, none lost, and it is not known which interface they were in"
        )
        #expect(damage(lines) == nil)
    }

    @Test("Boot IDs have 1 to 64 letters, digits and hyphens")
    func bootID() {
        #expect(DeviceIdentity.isBootID("8e1b0c3e-6c0e-4b8f-9a44-5f1f8c1f3f11"))
        #expect(DeviceIdentity.isBootID(String(repeating: "a", count: 64)))
        for bad in ["", "-", "-a", "a b", "a\n", "é", String(repeating: "a", count: 65)] {
            #expect(!DeviceIdentity.isBootID(bad))
        }
    }
}

@Suite("State file") final class StateFileTests {
    let folder = FileManager.default.temporaryDirectory.appending(path: "kex-state-\(UUID())").path
    let file: StateFile

    init() throws {
        file = StateFile(directory: folder, domain: DomainName("ffww01")!)
        try File.makeDirectory(folder)
        try File.makeDirectory(folder)  // once more is no error
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted() }

    @Test("There is none at first; then what was written, for its owner alone")
    func replace() throws {
        #expect(try file.read() == nil)
        try file.write(state(routers: 3))
        try file.write(state(routers: 2))
        #expect(try file.read() == StateFile.Reading(state: state(routers: 2), damage: nil))
        #expect(names == ["ffww01.state"])
        let mode = try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    @Test("What a killed process left beside it does not matter, and a link there is not followed")
    func leftover() throws {
        try file.write(state(routers: 1))
        let victim = "\(folder)/victim"
        try "precious".write(toFile: victim, atomically: false, encoding: .utf8)
        try FileManager.default.createSymbolicLink(atPath: file.path + ".new", withDestinationPath: victim)
        #expect(try file.read()?.state == state(routers: 1))
        try file.write(state(routers: 2))
        #expect(try file.read()?.state == state(routers: 2))
        #expect(try String(contentsOfFile: victim, encoding: .utf8) == "precious")
    }

    @Test("A damaged file is kept, what is good of it is used, and the next write does not touch the copy")
    func damaged() throws {
        let bytes = StateText.encode(state(routers: 4))
        let broken = Data(bytes.prefix(bytes.count - 10))
        try broken.write(to: URL(filePath: file.path))
        let reading = try #require(try file.read())
        #expect(reading.state.routers.count == 4)
        let damage = try #require(reading.damage)
        #expect(
            damage == "\(file.path) was damaged: the end is missing, 4 routers are left; kept as \(file.path).damaged"
        )
        try file.write(reading.state)
        #expect(try Data(contentsOf: URL(filePath: file.path + ".damaged")) == broken)
        #expect(try file.read()?.damage == nil)
    }

    @Test("A file of the largest size is read; one byte more is no state, and is kept", arguments: [0, 1])
    func size(excess: Int) throws {
        _ = FileManager.default.createFile(atPath: file.path, contents: nil)
        truncate(file.path, StateText.maximumSize + excess)
        let damage = try #require(try file.read()?.damage)
        #expect(damage.contains("too large") == (excess == 1))
        #expect(names == ["ffww01.state.damaged"])
    }

    @Test(
        "A disk that is full leaves the old file, no other, and an error that names what could not be done",
        .needsRoot
    )
    func fullDisk() throws {
        let small = "\(folder)/small"
        try File.makeDirectory(small)
        // A page for the folder's first file, and one for a second: too few for the large one.
        #expect(mount("tmpfs", small, "tmpfs", 0, "size=16k") == 0)
        defer { umount2(small, Int32(MNT_DETACH)) }
        let file = StateFile(directory: small, domain: DomainName("ffww01")!)
        try file.write(state(routers: 10))
        let error = try #require(throws: SystemCallError.self) { try file.write(state(routers: 1000)) }
        #expect("\(error)" == "cannot write \(file.path).new: No space left on device (errno 28)")
        #expect(try file.read() == StateFile.Reading(state: state(routers: 10), damage: nil))
        #expect(try FileManager.default.contentsOfDirectory(atPath: small) == ["ffww01.state"])
        try file.write(state(routers: 11))
    }

    @Test("A folder that is not there is an error that names it, for writing; for reading there is no file")
    func noFolder() throws {
        let file = StateFile(directory: "\(folder)/none", domain: DomainName("a")!)
        #expect(try file.read() == nil)
        let error = try #require(throws: SystemCallError.self) { try file.write(state(routers: 0)) }
        #expect(error.errno == .noSuchFileOrDirectory && error.object.hasPrefix("\(folder)/none/"))
    }

    @Test("A file that cannot be read is an error, and no empty state")
    func unreadable() throws {
        try File.makeDirectory(file.path)
        #expect(throws: SystemCallError.self) { try file.read() }
    }

    @Test("The writer writes beside the loop, says when it is done and how it went, and can be waited for")
    func writer() throws {
        let writer = try StateWriter()
        #expect(writer.finished() == nil)
        writer.start(writing: state(routers: 1000), to: file)
        var poll = pollfd(fd: writer.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
        #expect(Glibc.poll(&poll, 1, 10_000) == 1)
        guard case .success(let duration) = writer.finished() else {
            throw SystemCallError("write", "", errno: .ioError)
        }
        #expect(duration > .zero)
        #expect(Glibc.poll(&poll, 1, 0) == 0)
        #expect(writer.finished() == nil)
        #expect(try file.read()?.state == state(routers: 1000))

        writer.start(writing: state(routers: 1), to: StateFile(directory: "\(folder)/none", domain: DomainName("a")!))
        guard case .failure(let error) = writer.waitUntilFinished() else {
            Issue.record("written into a folder that is not there")
            return
        }
        #expect(error.errno == .noSuchFileOrDirectory)
        #expect(writer.waitUntilFinished() == nil)
    }
}

@Suite("This run of the machine") struct MachineRunTests {
    @Test("The boot ID is the kernel's")
    func bootID() throws {
        let text = try String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
        #expect(readBootID() == text.trimmingCharacters(in: .whitespacesAndNewlines))
        #expect(readBootID().map(DeviceIdentity.isBootID) == true)
    }

    @Test("The network namespace's number stays the same")
    func namespace() throws {
        let cookie = try networkNamespaceCookie()
        #expect(cookie != 0)
        #expect(try networkNamespaceCookie() == cookie)
    }
}
