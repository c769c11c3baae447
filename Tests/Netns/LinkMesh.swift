import Checkout
import Foundation
import Glibc
import JSONSchema
import LinkLaboratory
import Patience

/// A hub and hosts behind routers, each with WireGuard as the operator made it: the hub knows its hosts, and they know
/// the hub. Who runs kex-link is up to the test.
final class LinkMesh {
    let laboratory: LinkLaboratory
    let hub: LabMachine
    private(set) var hosts: [LabMachine] = []
    private var programs: [String: LabProcess] = [:]

    init(hasIPv6: Bool = false, hubPort: UInt16 = 51820) throws {
        laboratory = try LinkLaboratory(hasIPv6: hasIPv6)
        hub = try laboratory.makeHub()
        try hub.startWireGuard(addresses: ["10.99.0.1/24"], port: hubPort)
        try hub.shell("sysctl -qw net.ipv4.ip_forward=1")
    }

    deinit { for program in programs.values { program.end(with: SIGKILL) } }

    /// A host in a site, which gets the next address in the tunnel.
    func join(_ host: LabMachine, port: UInt16 = 51820) throws {
        hosts.append(host)
        try host.startWireGuard(addresses: [address(of: host) + "/32"], port: port)
        try hub.addPeer(host, allowedIPs: [address(of: host) + "/32"], withEndpoint: false)
        try host.addPeer(hub, allowedIPs: ["10.99.0.0/24"], keepalive: 25)
    }

    /// In the tunnel.
    func address(of host: LabMachine) -> String {
        host === hub ? "10.99.0.1" : "10.99.0.\((hosts.firstIndex { $0 === host } ?? 0) + 2)"
    }

    private func arguments(_ machine: LabMachine, _ words: [String]) -> [String] {
        [Command.path(of: "kex-link")] + words + ["--runtime-directory", "\(machine.folder)/run"]
    }

    /// Starts kex-link on a machine.
    @discardableResult
    func start(_ machine: LabMachine, configuration: String? = nil, isTalkative: Bool = false) throws -> LabProcess {
        var words = ["run", machine.interface, "--gateway-config", "\(machine.folder)/none.conf"]
        if isTalkative { words.append("--debug") }
        if let configuration {
            let path = "\(machine.folder)/link.conf"
            try configuration.write(toFile: path, atomically: true, encoding: .utf8)
            words += ["--config", path]
        }
        let program = try machine.start(arguments(machine, words), log: "kex-link")
        programs[machine.name] = program
        return program
    }

    /// Starts a machine of the field: another implementation, which knows only what wirelink does.
    func startPlain(_ machine: LabMachine) throws {
        let script = Checkout.file("Tests/Links/plain.py").path
        let words = ["python3", script, machine.interface, "\(machine.folder)/private.key"]
        programs[machine.name] = try machine.start(words, log: "plain")
    }

    /// For how many milliseconds packets were held, as a talkative program says.
    func holdTimes(of machine: LabMachine) -> [Int] {
        let output = programs[machine.name]?.output ?? ""
        return output.matches(of: #/held \d+ packets for (\d+) ms/#).compactMap { Int($0.output.1) }
    }

    func program(of machine: LabMachine) -> LabProcess? { programs[machine.name] }

    func run(_ machine: LabMachine, _ words: String...) throws -> LabResult {
        try machine.run(arguments(machine, words))
    }

    /// What is not as the schema says counts for nothing, so that each test that looks at a link is one of the schema.
    private static func isAsTheSchemaSays(_ output: String) -> Bool {
        do {
            try JSONSchema(file: Checkout.file("docs/link-status.schema.json")).check(Data(output.utf8))
            return true
        } catch {
            print("the state is not as its schema says: \(error)")
            return false
        }
    }

    /// What a machine says of another: `way`, `endpoint` and so on, as in its JSON.
    func status(_ machine: LabMachine, of other: LabMachine) -> [String: Any]? {
        guard let result = try? run(machine, "status", machine.interface, "--json"), result.status == 0,
            Self.isAsTheSchemaSays(result.output),
            let object = try? JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any],
            let members = object["members"] as? [[String: Any]]
        else { return nil }
        return members.first { $0["key"] as? String == other.publicKey }
    }

    func way(_ machine: LabMachine, to other: LabMachine) -> String {
        status(machine, of: other)?["way"] as? String ?? "none"
    }

    /// Waits until traffic of both goes so.
    ///
    /// - Returns: seconds that it took, as far as looking now and then can tell.
    @discardableResult
    func wait(_ one: LabMachine, _ other: LabMachine, for way: String, seconds: Double = 60) throws -> Double {
        let start = ContinuousClock.now
        do {
            try waitUntil("\(one.name) and \(other.name) are \(way)", seconds: seconds) {
                self.way(one, to: other) == way && self.way(other, to: one) == way
            }
        } catch {
            let logs = [hub, one, other].compactMap { machine in
                programs[machine.name].map { "--- \(machine.name)\n\($0.output)" }
            }
            let table = (try? run(one, "status", one.interface).output) ?? ""
            throw Failure("\(error)\n\(table)\n\(logs.joined(separator: "\n"))")
        }
        let span = (ContinuousClock.now - start).components
        return Double(span.seconds) + Double(span.attoseconds) / 1e18
    }

    /// Seconds from the start of the programs to the line about a direct path, by the clock of the journal's lines is
    /// not known; so this is what the test saw.
    static func text(_ seconds: Double) -> String { String(format: "%.2f s", seconds) }
}
