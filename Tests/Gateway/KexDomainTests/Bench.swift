import EUI64
import Foundation
import GatewayState
import HandlerChannel
import KexConfiguration
import KexGateway
import KexProtocol
import LinkControl
import Logging
import NetworkAddresses
import Patience
import RecordingLog
import SystemCalls
import Testing
import Time
import VXLANFdb
import WireGuardTypes

@testable import KexDomain

/// One domain over a scripted kernel, and the loop that would drive it.
final class Bench {
    let kernel = ScriptedKernel()
    let log = RecordingLog()
    let context: DomainContext
    let settings: Configuration.Domain
    private(set) var domain: MeshDomain
    private let folder: String

    /// - Parameter starts: whether the first refresh is made.
    init(starts: Bool = true, _ change: (inout Configuration.Domain) -> Void = { _ in }) throws {
        folder = NSTemporaryDirectory() + "kex-domain-\(UUID().uuidString)"
        let log = log
        context = try DomainContext(
            log: Logger(label: "test") { _ in log },
            stateDirectory: folder,
            unlimitedSources: [IPPrefix("::/0")!],
            bootID: "boot",
            access: kernel.access,
            clock: kernel.clock
        )
        var settings = Configuration.Domain(
            name: DomainName("test")!,
            wireGuard: ScriptedKernel.wireGuard,
            vxlan: ScriptedKernel.vxlan
        )
        change(&settings)
        self.settings = settings
        domain = MeshDomain(settings, keys: try KeyLists(of: Configuration()), context: context)
        if starts { try run() }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Begins the domain anew, as the next process would, with what was saved.
    func restart() throws {
        try domain.stateFile.write(domain.takeState())
        domain = MeshDomain(settings, keys: try KeyLists(of: Configuration()), context: context)
    }

    /// Whether something is done beside the loop.
    private var isBusy: Bool {
        domain.schedule.isRunning || domain.learned.isAtWork || !domain.backlog.halfDone.isEmpty
    }

    /// Takes in one thing that was done beside the loop.
    func deliver() throws {
        let deadline = MonotonicTime.now + .seconds(Int(Patience.program))
        #expect(try Socket.wait(for: .readable, of: context.crew.descriptor, until: deadline))
        context.crew.deliver()
    }

    /// Goes on until nothing is left to do at this time.
    func run() throws {
        for _ in 0..<10_000 {
            if isBusy {
                try deliver()
            } else if let next = domain.nextWake, next <= kernel.state.now {
                domain.wake()
            } else {
                return
            }
        }
        Issue.record("the domain always has something to do at once")
    }

    /// Lets time pass, and goes on.
    func run(after duration: Duration) throws {
        kernel.pass(duration)
        try run()
    }

    /// Registers and waits like a router: `nil` for success.
    func register(_ keys: PublicKey...) throws -> [Refusal?] {
        var answers: [Refusal?] = []
        for key in keys {
            var answer = domain.register([(key, .fleet)])[0]
            var rounds = 0
            while case .later = answer, rounds < 20 {
                rounds += 1
                try run(after: .milliseconds(100))
                answer = domain.register([(key, .fleet)], mayWait: rounds < 20)[0]
            }
            guard case .said(let refusal) = answer else { throw StillWaiting() }
            answers.append(refusal)
        }
        return answers
    }

    struct StillWaiting: Error {}

    /// The entries that a router has when it was heard of.
    func entries(of key: PublicKey, isHeard: Bool = true) -> Set<FdbEntry> {
        let addresses = RouterAddresses(of: key, profile: .eui64)
        let via = kernel.state.links[ScriptedKernel.wireGuard]!.index
        let mac = FdbEntry(mac: addresses.mac, destination: addresses.linkLocal, via: via)
        return isHeard ? [mac, .flood(to: addresses.linkLocal, via: via)] : [mac]
    }

    /// Has these routers registered and heard of.
    func admit(_ keys: PublicKey...) throws {
        for key in keys {
            #expect(try register(key) == [nil])
            kernel.handshake(key)
        }
        try run(after: .seconds(1))
        for key in keys { #expect(kernel.state.entries.isSuperset(of: entries(of: key))) }
    }

    /// Refreshes now.
    func refresh() throws {
        kernel.pass(.seconds(1))
        domain.scheduleRefresh(at: kernel.state.now, isUrgent: true)
        try run()
    }

    /// Another gateway has heard of a router just now.
    func heard(_ key: PublicKey) -> RouterNews {
        let registration = Registration(domain: settings.name, key: key)
        return RouterNews(id: 1, kind: .heard, time: kernel.state.wallClock, registration: registration)
    }

    /// Tells the domain of an interface, as the kernel does.
    func notice(_ name: InterfaceName, index: UInt32, isGone: Bool) {
        domain.notice(.links([LinkChange(index: InterfaceIndex(index)!, name: name, isGone: isGone)]))
    }
}

func key(_ number: UInt8, _ high: UInt8 = 0x40) -> PublicKey {
    var bytes = [UInt8](repeating: 0x40, count: 32)
    bytes[0] = number
    bytes[1] = high
    return PublicKey(bytes: bytes.span)!
}
