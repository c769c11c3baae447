import BusMessages
import EUI64
import FieldRouter
import Foundation
import HandlerChannel
import KexGateway
import KexProtocol
import PacketChannel
import Patience
import Surroundings
import Synchronization
import SystemCalls
import SystemPackage
import Testing
import Time
import WireGuardTypes

/// Whole gateways that share a broker.
@Suite("The bus", .needsRoot, .serialized) struct BusTests {
    /// How long the broker is away under load, in seconds.
    private static let outage = Extent.isLong ? 60.0 : 4

    private let broker: MessageBroker

    init() throws {
        broker = try MessageBroker()
        try broker.start()
    }

    private func gateway(
        _ name: String,
        settings: String = "",
        unlimited: String = "127.0.0.0/8",
        http: Bool = true,
        port: UInt16? = nil
    ) throws -> GatewayFixture {
        let gateway = try GatewayFixture(
            settings: "AddressProfile=ffmuc\nLinkAddress=fe80::5757:bb:1\n\(settings)",
            unlimited: unlimited,
            bus: "Broker=127.0.0.1:\(port ?? broker.port)\nName=\(name)"
        )
        try gateway.startHandler()
        try gateway.startMQTT()
        if http { try gateway.startHTTPListener() }
        return gateway
    }

    private func online(_ gateways: GatewayFixture...) throws {
        for gateway in gateways { try gateway.mqtt?.waitFor(#/connected to the broker/#) }
    }

    private func memory(_ daemon: Daemon?) throws -> Int {
        let process = try #require(daemon).processIdentifier
        let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        return Int(try #require(status.firstMatch(of: /VmRSS:\s+(\d+) kB/)).1) ?? .max
    }

    private let v1 = "/api/v1/wg/key/exchange"
    private let v2 = "/api/v2/wg/key/exchange"

    // MARK: - The field's programs

    @Test("A worker of the field hears of our routers, and we take those of the field's broker")
    func fieldRegistrations() throws {
        let worker = FieldWorker(broker)
        try worker.connect()
        let gateway = try gateway("gw01")
        try online(gateway)
        let own = anyKey()
        #expect(FieldRouter(domain: "ffww01", key: own).post(v1, gateway.httpPort) == .registered)
        try wait(for: "the worker") { worker.keys == [own] }
        let theirs = anyKey()
        #expect(try FieldBroker(broker).exchange(theirs).worker.isEmpty == false)
        try wait(for: "the peer") { try gateway.peers()[theirs] != nil }
        #expect(try Set(gateway.peers().keys) == [own, theirs])
        #expect(worker.keys == [own, theirs])
    }

    @Test(
        "A broker of the field shares routers out among us and its worker, and everybody has all; who is gone gets none"
    )
    func fieldChoice() throws {
        let theirs = try FieldBroker(broker, weights: ["gw01": 2])
        let worker = FieldWorker(broker)
        try worker.connect()
        let gateway = try gateway("gw01", http: false)
        try wait(for: "both") { theirs.online == ["gw01", "worker"] }
        let keys = (0..<30).map { _ in anyKey() }
        let answers = try keys.map(theirs.exchange)
        // Until the next count each choice is counted as a router: two of three are ours, to one.
        #expect((19...21).contains(answers.count { $0.worker == "gw01" }), "\(answers)")
        let ours = try #require(answers.first { $0.worker == "gw01" })
        #expect(ours.data.contains("\"PublicKey\": \"\(try gateway.ownKey())\""))
        #expect(answers.allSatisfy { $0.worker == "gw01" || $0.data == worker.data })
        try wait(for: "the peers") { try Set(gateway.peers().keys) == Set(keys) }
        #expect(worker.keys == Set(keys))
        gateway.mqtt?.end(with: SIGKILL)
        try wait(for: "our will") { theirs.online == ["worker"] }
        #expect(try (0..<5).allSatisfy { _ in try theirs.exchange(anyKey()).worker == "worker" })
        try gateway.startMQTT()
        try wait(for: "us") { theirs.online == ["gw01", "worker"] }
        try worker.leave()
        try wait(for: "the worker's end") { theirs.online == ["gw01"] }
        #expect(try theirs.exchange(anyKey()).worker == "gw01")
    }

    @Test("A broker of the field knows where we are, that we are there, how many routers we have, and when we are gone")
    func fieldPresence() throws {
        let backEnd = try broker.listener(
            "wireguard-metrics/#",
            "wireguard-worker/+/status",
            "wireguard-worker/+/+/data"
        )
        let gateway = try gateway("gw01", http: false)
        try backEnd.waitFor(#/connected_peers 0\n/#)
        let port = try Command.check("wg show \(gateway.domains[0].wireGuard) listen-port")
            .trimmingCharacters(in: .newlines)
        let data =
            "{\"ExternalAddress\": \"gw01.example.net\", \"Port\": \(port), \"PublicKey\": \"\(try gateway.ownKey())\", "
            + "\"LinkAddress\": \"fe80::5757:bb:1\"}"
        #expect(
            backEnd.output == """
                wireguard-worker/gw01/ffww01/data \(data)
                wireguard-worker/gw01/status 1
                wireguard-metrics/ffww01/gw01/connected_peers 0

                """
        )
        // All of it is retained.
        let late = try broker.listener("wireguard-metrics/#", "wireguard-worker/+/status", "wireguard-worker/+/+/data")
        try wait(for: "what was kept") { late.output.split(separator: "\n").count == 3 }
        gateway.mqtt?.end(with: SIGTERM)
        #expect(gateway.mqtt?.status == 0)
        try backEnd.waitFor(#/connected_peers -1\nwireguard-worker\/gw01\/status 0\n/#)
        try gateway.startMQTT()
        try wait(for: "it to be there again") { backEnd.output.contains(/status 1\n[^$]*status 1\n/) }
        gateway.mqtt?.end(with: SIGKILL)
        try wait(for: "the will") { backEnd.output.hasSuffix("wireguard-worker/gw01/status 0\n") }
    }

    @Test("Routers are shared out among us and a worker of the field, which has to be there")
    func choice() throws {
        let gateway = try gateway("gw01")
        try online(gateway)
        let worker = FieldWorker(broker)
        try worker.connect()
        let listener = try broker.listener("wireguard-worker/+/status")
        try listener.waitFor(#/gw01\/status 1/#)
        usleep(200_000)
        func ask() throws -> String {
            let outcome = FieldRouter(domain: "ffww01", key: anyKey()).exchange(port: gateway.httpPort)
            guard case .gateway(let address, let port, let key, let link) = outcome else { throw Failure("\(outcome)") }
            if address == "worker.example.net" { #expect((port, key, link) == ("40011", worker.key, "fe80::2")) }
            return address
        }
        let answers = try (0..<40).map { _ in try ask() }
        #expect((18...22).contains(answers.count { $0 == "gw01.example.net" }), "\(answers)")
        worker.die()
        usleep(200_000)
        #expect(try (0..<10).allSatisfy { _ in try ask() == "gw01.example.net" })
    }

    @Test("Lies about gateways leave nobody without an answer, and are corrected by those whom they are about")
    func lies() throws {
        let gateways = [try gateway("gw01"), try gateway("gw02", http: false)]
        try online(gateways[0], gateways[1])
        let listener = try broker.listener("wireguard-worker/+/status")
        try listener.waitFor(#/gw01\/status 1/#)
        try listener.waitFor(#/gw02\/status 1/#)
        for name in ["gw01", "gw02"] {
            try broker.publish("wireguard-metrics/ffww01/\(name)/connected_peers", "-1", "-r", "-q", "1")
            try broker.publish("wireguard-worker/\(name)/status", "0", "-r", "-q", "1")
        }
        for _ in 0..<10 {
            let outcome = FieldRouter(domain: "ffww01", key: anyKey()).exchange(port: gateways[0].httpPort)
            guard case .gateway = outcome else { throw Failure("\(outcome)") }
        }
        for gateway in gateways { try gateway.mqtt?.waitFor(#/which is about this gateway/#) }
        try wait(for: "what is kept to be right") {
            let late = try broker.listener("wireguard-metrics/#", "wireguard-worker/+/status").output
            return late.matches(of: /status 1\n/).count == 2 && late.matches(of: /connected_peers 0\n/).count == 2
        }
    }

    // MARK: - Front doors alone

    @Test("A machine without a gateway takes registrations, passes them on, and names another")
    func frontDoorAlone() throws {
        let gateway = try gateway("gw01", http: false)
        try online(gateway)
        let bystander = try broker.listener("wireguard-worker/#", "wireguard-metrics/#")
        let bus = "Broker=127.0.0.1:\(broker.port)\nName=front"
        let front = try GatewayFixture(domains: [], bus: bus, remote: ["ffww01"])
        try front.startMQTT()
        try front.startHTTPListener()
        try online(front)
        let (first, second) = (anyKey(), anyKey())
        #expect(FieldRouter(domain: "ffww01", key: first).post(v1, front.httpPort) == .registered)
        let router = FieldRouter(domain: "ffww01", key: second)
        var answer = router.exchange(port: front.httpPort)
        // Its knowledge of the others is from a moment after its start on.
        let key = try gateway.ownKey()
        try wait(for: "the gateway's name") {
            if case .gateway("gw01.example.net", _, key, _) = answer { return true }
            answer = router.exchange(port: front.httpPort)
            return false
        }
        try wait(for: "both routers") { try Set(gateway.peers().keys) == [first, second] }
        // Nothing is to be done there, and nothing is done.
        let process = try #require(front.mqtt).processIdentifier
        let before = try processorTime(of: process)
        usleep(1_000_000)
        #expect(try processorTime(of: process) - before < 0.2)
        #expect(FieldRouter(domain: "other", key: first).post(v1, front.httpPort) == .failed(8))
        // A handler has nothing to do there, and says so.
        let check = ["--config", "\(front.folder)/kex.conf", "--check-config"]
        let handler = try Command.run(Command.path(of: "kex-handler"), check)
        #expect(handler.status == 0 && handler.errors.contains("this machine has no gateway in it"), "\(handler)")
        try front.startHandler()
        #expect(front.handler?.output.contains("this machine has no gateway in it") == true)
        #expect(!bystander.output.contains("front"))
        #expect(front.mqtt?.output.contains("handler") == false)
        // Nobody else is left who could do anything.
        broker.stop()
        try front.mqtt?.waitFor(#/lost the connection|cannot reach the broker/#)
        #expect(FieldRouter(domain: "ffww01", key: first).post(v1, front.httpPort) == .failed(8))
    }

    @Test("A gateway whose domain is out of service goes on taking registrations for the others")
    func outOfService() throws {
        let (here, other) = (try gateway("gw01"), try gateway("gw02", http: false))
        try online(here, other)
        try here.removeDevices(of: here.domains[0])
        try here.handler?.waitFor(#/out of service|gone|went|no interface/#)
        let router = FieldRouter(domain: "ffww01", key: anyKey())
        var answer = router.exchange(port: here.httpPort)
        let key = try other.ownKey()
        try wait(for: "the other gateway's name, and not \(answer)") {
            if case .gateway(_, _, key, _) = answer { return true }
            answer = router.exchange(port: here.httpPort)
            return false
        }
        try wait(for: "the router") { try other.peers()[router.key] != nil }
    }

    @Test(
        "A domain that cannot carry traffic is said to have nobody, so that no gateway sends routers there; then it is back"
    )
    func unready() throws {
        let backEnd = try broker.listener("wireguard-metrics/#")
        let gateway = try gateway("gw01", http: false)
        try backEnd.waitFor(#/connected_peers 0\n/#)
        let device = "dev \(gateway.domains[0].wireGuard)"
        try Command.check("ip -n \(gateway.namespace) address delete fe80::5757:bb:1/64 \(device)")
        try backEnd.waitFor(#/connected_peers 0\n[^$]*connected_peers -1\n/#)
        try Command.check("ip -n \(gateway.namespace) address add fe80::5757:bb:1/64 \(device) nodad")
        try backEnd.waitFor(#/connected_peers -1\n[^$]*connected_peers 0\n/#)
    }

    // MARK: - Failures

    @Test(
        "The broker is away under load: routers are let in here as ever; then all gateways soon have the same peers"
    )
    func outage() async throws {
        let gateways = [try gateway("gw01"), try gateway("gw02")]
        try online(gateways[0], gateways[1])
        try gateways[0].startListener()
        let load = HTTPLoad(pause: .seconds(max(0.8, Self.outage / 12)))
        let report = try await withThrowingTaskGroup(of: Void.self) { group in
            for gateway in gateways {
                for path in [v1, v2] {
                    let port = gateway.httpPort
                    for _ in 0..<10 { group.addTask { try await onThread { try load.run(path, port) } } }
                }
            }
            try await Task.sleep(for: .seconds(1))
            broker.stop()
            let start = Date()
            load.phase = .away
            // One of them shakes hands, so everybody is to hear of it; the others are this gateway's alone.
            let heard = try gateways[0].makeConnectedRouter(1)
            var unheard: Set<String> = []
            repeat {
                let key = anyKey()
                #expect(try gateways[0].register(key) == "")
                unheard.insert(key)
                usleep(250_000)
            } while -start.timeIntervalSinceNow < Self.outage
            // What is asked from here on may find the broker back.
            load.phase = .back
            let back = Date()
            try broker.start()
            try await group.waitForAll()
            let answered = -back.timeIntervalSinceNow
            let shared = load.registered.union([heard])
            // If there are more, the first of them have to go.
            try #require(shared.count + unheard.count <= DomainLimit.pending)
            try wait(for: "the same peers") {
                try Set(gateways[0].peers().keys) == shared.union(unheard)
                    && Set(gateways[1].peers().keys) == shared
            }
            let same = -back.timeIntervalSinceNow
            return """
                broker away for \(Self.outage) s: \(unheard.count) exchanges of two lines; after its return all routers \
                have their answers in \(answered) s, all \(shared.count) are at both gateways in \(same) s
                """
        }
        print("\(report); HTTP meanwhile by status \(load.statuses), \(load.slowest) s at most")
        #expect(load.statuses.keys.sorted() == [200])
        for gateway in gateways { #expect(gateway.mqtt?.isRunning == true) }
    }

    /// Routers over HTTP that ask until they are in, with less patience than the field's.
    private final class HTTPLoad: Sendable {
        enum Phase { case before, away, back }

        private struct State {
            var phase = Phase.before
            var registered: Set<String> = []
            var statuses: [Int: Int] = [:]
            var slowest = 0.0
        }

        private let state = Mutex(State())
        /// None of the routers shakes hands, and a domain has ``DomainLimit/pending`` places for such. So the longer the
        /// broker is away, the fewer come at a time: forty in each pause.
        private let pause: Duration

        init(pause: Duration) { self.pause = pause }

        var phase: Phase {
            get { state.withLock { $0.phase } }
            set { state.withLock { $0.phase = newValue } }
        }
        var registered: Set<String> { state.withLock { $0.registered } }
        /// How many answers there were while the broker was away, and the seconds that the slowest took.
        var statuses: [Int: Int] { state.withLock { $0.statuses } }
        var slowest: Double { state.withLock { $0.slowest } }

        /// One router after another, until the broker is back and the last of them is in.
        func run(_ path: String, _ port: UInt16) throws {
            repeat {
                let router = FieldRouter(domain: "ffww01", key: anyKey())
                while try ask(router, path, port) != 200 { usleep(200_000) }
                _ = state.withLock { $0.registered.insert(router.key) }
                let next = MonotonicTime.now + pause
                while phase != .back, .now < next { usleep(100_000) }
            } while phase != .back
        }

        private func ask(_ router: FieldRouter, _ path: String, _ port: UInt16) throws -> Int {
            let (head, body) = router.request(path)
            let (phase, start) = (phase, Date())
            let client = try HTTPClient(port: port)
            try client.send(head + body)
            let status = try client.answer().status
            let time = -start.timeIntervalSinceNow
            state.withLock { state in
                guard phase == .away, state.phase == .away else { return }
                state.statuses[status, default: 0] += 1
                state.slowest = max(state.slowest, time)
            }
            return status
        }
    }

    @Test("It starts without a broker, and is there when the broker is")
    func noBroker() throws {
        broker.stop()
        let gateway = try gateway("gw01")
        try gateway.mqtt?.waitFor(#/cannot reach the broker/#)
        // It goes to this gateway, which has it, and others are told when they can be.
        let router = FieldRouter(domain: "ffww01", key: anyKey())
        #expect(router.post(v1, gateway.httpPort) == .registered)
        guard case .gateway(let address, _, _, _) = router.exchange(port: gateway.httpPort) else {
            throw Failure("no gateway")
        }
        #expect(address == "gw01.example.net")
        #expect(try gateway.peers().keys.sorted() == [router.key])
        let mqtt = try #require(gateway.mqtt).processIdentifier
        kill(mqtt, SIGSTOP)  // so that whoever listens is there first
        try broker.start()
        let listener = try broker.listener("wireguard/#")
        kill(mqtt, SIGCONT)
        try listener.waitFor(Regex(NSRegularExpression.escapedPattern(for: router.key)))
        try online(gateway)
        #expect(FieldRouter(domain: "ffww01", key: anyKey()).post(v1, gateway.httpPort) == .registered)
    }

    @Test(
        "The broker is killed and has lost what it kept: it is told again; and a router that was heard is in everywhere"
    )
    func killedBroker() throws {
        let (first, second) = (
            try gateway("gw01", settings: "StaleAfter=8s"), try gateway("gw02", settings: "StaleAfter=8s")
        )
        try online(first, second)
        try first.startListener()
        let router = try first.makeConnectedRouter(1)
        try wait(for: "the router at the other gateway") { try second.peers()[router] != nil }
        broker.stop(SIGKILL)
        try broker.start()
        let late = try broker.listener("kex/#", "wireguard-worker/+/status", arguments: ["-F", "%t %l"])
        try late.waitFor(#/kex\/ffww01\/router\/[0-9a-f]{64} 23\n/#)
        try late.waitFor(#/kex\/ffww01\/count\/gw01 18\n/#)
        try late.waitFor(#/wireguard-worker\/gw01\/status 1\n/#)
        try late.waitFor(#/wireguard-worker\/gw02\/status 1\n/#)
    }

    @Test(
        "A gateway that has lost its routers, or a machine its disk, has them again from what it once told the broker",
        arguments: [true, false]
    )
    func lostDisk(isHandlerAlone: Bool) throws {
        let (gateway, other) = (try gateway("gw01"), try gateway("gw02", http: false))
        try online(gateway, other)
        try gateway.startListener()
        let router = try gateway.makeConnectedRouter(1)
        try wait(for: "the router at the other gateway") { try other.peers()[router] != nil }
        if !isHandlerAlone { gateway.mqtt?.end(with: SIGKILL) }
        gateway.handler?.end(with: SIGKILL)
        // The router does not ask again.
        try Command.check("ip -n \(gateway.namespace) link set \(gateway.domains[0].wireGuard)r1 down")
        try gateway.removeDevices(of: gateway.domains[0])
        try FileManager.default.removeItem(atPath: "\(gateway.folder)/state")
        try FileManager.default.createDirectory(atPath: "\(gateway.folder)/state", withIntermediateDirectories: false)
        try gateway.makeDevices(of: gateway.domains[0])
        try gateway.startHandler()
        if !isHandlerAlone {
            #expect(try gateway.peers().isEmpty)
            try gateway.startMQTT()
        }
        try wait(for: "the router") { try gateway.peers()[router] != nil }
        // Nor is it removed now by what the handler's lists say, which come every five seconds.
        usleep(6_000_000)
        #expect(try gateway.peers()[router] != nil)
        #expect(try other.peers()[router] != nil)
    }

    @Test("New shares are taken in at once, and nobody is answered 503 for it")
    func reload() throws {
        let gateway = try gateway("gw01")
        try online(gateway)
        let worker = FieldWorker(broker)
        try worker.connect()
        usleep(200_000)
        let path = "\(gateway.folder)/kex.conf"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try text.replacing("\nName=gw01", with: "\nName=gw01\nWeight=gw01 0").write(
            toFile: path,
            atomically: true,
            encoding: .utf8
        )
        kill(try #require(gateway.mqtt).processIdentifier, SIGHUP)
        func address() throws -> String {
            guard
                case .gateway(let address, _, _, _) = FieldRouter(domain: "ffww01", key: anyKey())
                    .exchange(port: gateway.httpPort)
            else { throw Failure("no answer") }
            return address
        }
        try gateway.mqtt?.waitFor(#/configuration read again/#)
        #expect(try (0..<10).allSatisfy { _ in try address() == "worker.example.net" })
        #expect(gateway.mqtt?.output.matches(of: #/connected to the broker/#).count == 1)
    }

    @Test(
        "A domain that a reload, or a start, finds no more is said to be served no more; a name that goes says goodbye",
        arguments: [false, true]
    )
    func formerDomain(isReload: Bool) throws {
        let gateway = try GatewayFixture(
            domains: ["ffww01", "ffww02"],
            settings: "LinkAddress=fe80::5757:bb:1",
            bus: "Broker=127.0.0.1:\(broker.port)\nName=gw01"
        )
        let listener = try broker.listener("wireguard-metrics/#", "wireguard-worker/#")
        try gateway.startHandler()
        try gateway.startMQTT()
        try listener.waitFor(#/ffww02\/gw01\/connected_peers 0\n/#)
        let path = "\(gateway.folder)/kex.conf"
        let both = try String(contentsOfFile: path, encoding: .utf8)
        let second = try #require(both.range(of: "[Domain ffww02]"))
        func change(to text: some StringProtocol) throws {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            if isReload {
                kill(try #require(gateway.mqtt).processIdentifier, SIGHUP)
            } else {
                gateway.mqtt?.end(with: SIGKILL)
                try gateway.startMQTT()
            }
        }
        try change(to: both[..<second.lowerBound])
        try listener.waitFor(#/ffww02\/gw01\/connected_peers -1\n/#)
        try wait(for: "the broker to keep it") {
            let late = try broker.listener("wireguard-metrics/ffww02/#", "wireguard-worker/gw01/ffww02/data")
            return late.output.contains(/connected_peers -1/) && late.output.contains(/LinkAddress/)
        }
        guard isReload else { return }
        try change(to: both[..<second.lowerBound].replacing("Name=gw01", with: "Name=gw02"))
        try listener.waitFor(#/wireguard-worker\/gw01\/status 0\n/#)
        try listener.waitFor(#/wireguard-worker\/gw02\/status 1\n/#)
    }

    @Test("An interface that loses all its peers has them back, and nobody elsewhere goes; by hand one stays out")
    func emptied() throws {
        let (first, second) = (try gateway("gw01"), try gateway("gw02", http: false))
        try online(first, second)
        try first.startListener()
        let routers = try [1, 2, 3].map(first.makeConnectedRouter)
        func haveAll(_ gateway: GatewayFixture) throws -> Bool { try Set(routers).isSubset(of: gateway.peers().keys) }
        try wait(for: "the routers at the other gateway") { try haveAll(second) }
        let wireGuard = first.domains[0].wireGuard
        let configuration = try Command.check("wg showconf \(wireGuard)")
        let path = "\(first.folder)/interface.conf"
        let peers = try #require(configuration.range(of: "[Peer]"))
        try configuration[..<peers.lowerBound].write(toFile: path, atomically: true, encoding: .utf8)
        try Command.check("wg syncconf \(wireGuard) \(path)")
        try first.handler?.waitFor(#/3 of 3 routers disappeared from \S+ at once; bringing them back/#)
        try wait(for: "the routers") { try haveAll(first) }
        // Two lists of the handler's later nobody has been told anything.
        usleep(11_000_000)
        #expect(try haveAll(second))
        #expect(second.handler?.output.contains(#/removed /#) == false)

        try Command.check("wg set \(wireGuard) peer \(routers[0]) remove")
        try first.handler?.waitFor(#/somebody removed its peer from/#)
        usleep(11_000_000)
        #expect(try first.peers()[routers[0]] == nil)
        #expect(try haveAll(second), "it is silent there or it is not")
    }

    @Test("A killed handler is asked again, and is told what it missed")
    func killedHandler() throws {
        let gateway = try gateway("gw01")
        try online(gateway)
        gateway.handler?.end(with: SIGKILL)
        let (asked, heard) = (anyKey(), anyKey())
        let peer = try BusPeer(broker)
        try broker.publish("wireguard/ffww01/all", asked)
        try peer.say(.heard(at: wallClockSeconds()), of: PublicKey(text: heard)!)
        try peer.settle()
        usleep(500_000)
        try gateway.startHandler()
        try wait(for: "both") { try Set(gateway.peers().keys) == [asked, heard] }
    }

    // MARK: - Size

    /// Lets the broker keep notes of so many routers of another gateway.
    private func keepNotes(_ count: Int) throws {
        let peer = try BusPeer(broker)
        let keys = (0..<count).map { _ in PublicKey(text: anyKey())! }
        try peer.publish(.status(GatewayName("gw09")!, isOnline: true), isRetained: true)
        for key in keys { try peer.say(.heard(at: wallClockSeconds()), of: key) }
        let note = CountNote(time: wallClockMilliseconds(), count: Int64(keys.count))
        try peer.publish(.count(DomainName("ffww01")!, GatewayName("gw09")!, note), isRetained: true)
        try peer.settle()
    }

    @Test("A new gateway has all of 20,000 kept notes, although the broker's queue is as short as it is by default")
    func largeSet() throws {
        try keepNotes(20_000)
        let gateway = try gateway("gw01", settings: "MaximumPeers=20000", http: false)
        let start = Date()
        try wait(for: "all of them") { try gateway.peers().count == 20_000 }
        print("20,000 notes are peers after \(-start.timeIntervalSinceNow) s; memory \(try memory(gateway.mqtt)) kB")
        usleep(3_000_000)
        #expect(gateway.mqtt?.output.contains("sent only") == false)
        #expect(try memory(gateway.mqtt) < 40 * 1024)
    }

    @Test("A broker that drops most of 5,000 kept notes without a word is found out, and asked until all are here")
    func droppedNotes() throws {
        try keepNotes(5000)
        let path = try NarrowPath(to: broker.port)
        let gateway = try gateway("gw01", settings: "MaximumPeers=5001", http: false, port: path.port)
        // Twenty of them go out, and a thousand into its queue.
        try broker.daemon?.waitFor(#/Outgoing messages are being dropped for client kex-gw01/#)
        let start = Date()
        try wait(for: "all of them") { try gateway.peers().count == 5000 }
        print("all of 5,000 notes are peers \(-start.timeIntervalSinceNow) s after most of them were dropped")
        usleep(3_000_000)
        #expect(gateway.mqtt?.output.contains("sent only") == false)
        // What is news now comes as well.
        let peer = try BusPeer(broker)
        let last = anyKey()
        try peer.say(.heard(at: wallClockSeconds()), of: PublicKey(text: last)!)
        try wait(for: "the news") { try gateway.peers()[last] != nil }
    }

    @Test("Strangers on the bus: no crash, limits hold, and nothing that is no key reaches the handler")
    func strangers() throws {
        let gateway = try gateway("gw01", unlimited: "192.0.2.1", http: false)
        try online(gateway)
        try gateway.startListener()
        let peer = try BusPeer(broker)
        let key = anyKey()
        let payloads = ["", "\n", "\(key)\n", " \(key)", "\(key)\(key)", "x", String(repeating: "\u{0}", count: 4000)]
        let topics = [
            "wireguard/ffww01/all", "wireguard/ffww01/a/b", "wireguard//all", "wireguard/ffww01/ ",
            "wireguard-worker/x/status",
            "wireguard-worker/x/ffww01/data", "wireguard-metrics/ffww01/x/connected_peers", "kex/ffww01/router/xyz",
            "kex/ffww01/router/\(String(repeating: "A", count: 64))", "kex/ffww01/count/x",
        ]
        for topic in topics { for payload in payloads { try peer.publish(topic, Array(payload.utf8)) } }
        try peer.settle()
        let large = "\(gateway.folder)/large"
        try Data(count: 1 << 20).write(to: URL(fileURLWithPath: large))
        for topic in ["wireguard/ffww01/all", "wireguard-worker/x/status"] {
            let client = try broker.client("mosquitto_pub", ["-t", topic, "-f", large, "-q", "1"])
            try wait(for: "a large message") { !client.isRunning }
        }
        usleep(500_000)
        #expect(try gateway.peers().isEmpty)
        for _ in 0..<100_000 {
            try peer.publish("wireguard/ffww01/all", Array(anyKey().utf8))
        }
        try peer.settle()
        // Somebody of this gateway's own has a place when the first of the flood have had their ten seconds.
        // Each try costs its source something, so they are few.
        var tries = 0
        while try gateway.register(key) != "", tries < 15 {
            tries += 1
            usleep(1_000_000)
        }
        #expect(tries < 15)
        let count = try gateway.peers().count
        #expect((1000...2048).contains(count), "\(count)")
        #expect(gateway.mqtt?.isRunning == true && gateway.handler?.isRunning == true)
        #expect(gateway.handler?.output.contains("malformed") == false)
        #expect(try memory(gateway.mqtt) < 40 * 1024)
        try gateway.mqtt?.waitFor(#/ignored messages on the bus/#)
    }

    // MARK: - Sweeps

    @Test("A front door that takes no answers is asked nothing new, and goes on where it was when it takes them")
    func deafFrontDoor() throws {
        let gateway = try gateway("gw01", http: false)
        try online(gateway)
        var packet: [UInt8] = []
        let key = PublicKey(text: anyKey())!
        BusFrame.encode([ChoiceRequest(id: 1, domain: DomainName("ffww01")!, key: key)], into: &packet)
        func connect() throws -> PacketConnection {
            try PacketConnection(connectingTo: "\(gateway.folder)/bus.sock", limit: ChannelLimit.frameSize)
        }
        let (deaf, other) = (try connect(), try connect())
        var sent = 0
        while sent < 20_000 {
            if try deaf.send(packet) {
                sent += 1
            } else if try !deaf.wait(for: .writable, until: .now + .seconds(2)) {
                break
            }
        }
        // What the kernel holds for both, and some rounds' worth.
        #expect(sent < 20_000)
        #expect(try other.send(packet))
        #expect(try other.wait(for: .readable, until: .now + .seconds(Patience.program)))
        var answered = 0
        while answered < sent, try deaf.wait(for: .readable, until: .now + .seconds(Patience.program)) {
            guard let answer = try deaf.receive() else { break }
            if !answer.isEmpty { answered += 1 }
        }
        #expect(answered == sent)
        #expect(gateway.mqtt?.isRunning == true)
    }

    @Test("A user who holds all of his places at the socket of the bus is turned away, and others find theirs")
    func placesOfFrontDoors() throws {
        let gateway = try gateway("gw01", http: false)
        try online(gateway)
        chown("\(gateway.folder)/bus.sock", 0, 4242)
        let script = """
            import os, socket, struct, sys
            def connect():
                s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                s.settimeout(240)
                s.connect(sys.argv[1])
                return s
            question = struct.pack('>BBHIB', 1, 12, 1, 1, 1) + bytes(31) + b'\\x10' + struct.pack('>B42s', 6, b'ffww01')
            def works(s):
                try:
                    s.send(question)
                    return s.recv(30000) != b''
                except (BrokenPipeError, ConnectionResetError): return False
            most = int(sys.argv[2])
            mine = connect()
            assert works(mine), 'root'
            os.setgroups([4242]); os.setresgid(3000, 3000, 3000); os.seteuid(3000)
            held = [connect() for _ in range(most)]
            assert all(works(s) for s in held), 'the user has all of them'
            assert not works(connect()), 'one too many is closed'
            os.seteuid(0)
            assert works(mine) and works(connect()), 'root finds a place'
            """
        let path = "\(gateway.folder)/bus.sock"
        let result = try Command.run("python3", ["-c", script, path, "\(ChannelLimit.connectionsOfUser)"])
        #expect(result.status == 0, "\(result.output)\(result.errors)")
    }

    @Test("A router that a sweep removed goes everywhere; one that is alive elsewhere stays")
    func sweeps() throws {
        let settings = "StaleAfter=4s\nSweepInterval=1s"
        let (first, second) = (try gateway("gw01", settings: settings), try gateway("gw02", settings: settings))
        try online(first, second)
        try first.startListener()
        let router = try first.makeConnectedRouter(1)
        let alive = anyKey()
        let peer = try BusPeer(broker)
        func refresh() throws {
            try peer.say(.heard(at: wallClockSeconds()), of: PublicKey(text: alive)!)
            try peer.settle()
        }
        try refresh()
        try wait(for: "both at both") {
            try [first, second].allSatisfy { try Set([router, alive]).isSubset(of: $0.peers().keys) }
        }
        // Its keepalives would be signs of life.
        try Command.check("wg set \(first.domains[0].wireGuard)r1 peer \(try first.ownKey()) remove")
        for _ in 0..<6 {
            usleep(1_000_000)
            try refresh()
        }
        _ = try first.cleanup()
        usleep(1_200_000)
        try refresh()
        _ = try first.cleanup()
        #expect(try first.peers().keys.sorted() == [alive])
        try wait(for: "the removal at the other gateway") { try second.peers()[router] == nil }
        #expect(try second.peers()[alive] != nil)
    }
}
