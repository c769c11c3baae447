internal import BusMessages
internal import ConfigurationFiles
internal import GatewayState
internal import HTTPConfiguration
internal import HandlerChannel
internal import KexConfiguration
internal import KexProtocol
internal import Keys
internal import LinkChannel
internal import LinkConfiguration
internal import LinkControl
internal import LinkFacts
internal import LinkImport
internal import LinkMessages
internal import Netlink
internal import NetworkAddresses
internal import PathProbe
internal import TenantFile
internal import TenantLedger
internal import TenantModel
internal import Time
internal import VXLANFdb
internal import WireGuardControl
internal import WireGuardTypes

/// A parser of bytes that come from outside. Each must take any bytes at all without a trap, and what it takes must be
/// what it says: so each also holds what it read against a second way to the same.
public enum FuzzTarget: String, CaseIterable, Sendable {
    /// The two-line protocol, from strangers.
    case exchange
    /// Frames between the programs: front doors and the operator's programs are other users.
    case frames
    /// What the kernel tells over netlink.
    case netlink
    /// What WireGuard in user space tells: its process may be another user's.
    case uapi
    /// The operator's files.
    case configuration
    /// The handler's memory, which a crash or a disk may have damaged.
    case state
    /// Messages of the bus between gateways, from whoever may publish there.
    case bus
    /// Facts, from members of a mesh.
    case links
    /// Messages between members of ours.
    case messages
    /// Probes of paths, from anybody.
    case probes
    /// Documents of tenant networks, which people write and machines merge.
    case tenants
    /// Ledgers of tenant networks, which git merges and disks damage.
    case ledger

    /// Reads these bytes. Ends the process if something is wrong.
    public func run(_ bytes: [UInt8]) {
        switch self {
        case .exchange: readExchange(bytes)
        case .frames: readFrames(bytes)
        case .netlink: readNetlink(bytes)
        case .uapi: readUAPI(bytes)
        case .configuration: readConfiguration(bytes)
        case .state: readState(bytes)
        case .bus: readBus(bytes)
        case .links: readLinks(bytes)
        case .messages: readMessages(bytes)
        case .probes: readProbes(bytes)
        case .tenants: readTenants(bytes)
        case .ledger: readLedger(bytes)
        }
    }
}

private let names = ["ffww01", "a"].compactMap { DomainName($0) }
private let domains = KnownDomains(names)

/// The first byte says in what portions the others come; how they come makes no difference.
private func readExchange(_ bytes: [UInt8]) {
    guard let size = bytes.first.map({ Int($0) + 1 }) else { return }
    func outcome(portion: Int) -> ExchangeParser.Progress {
        var parser = ExchangeParser()
        let stream = Array(bytes.dropFirst())
        for start in stride(from: 0, to: stream.count, by: portion) {
            let part = Array(stream[start..<min(start + portion, stream.count)])
            let progress = parser.receive(part.span, domains: domains)
            if progress != .waiting { return progress }
        }
        var other = parser
        _ = other.deadline(domains: domains)
        return parser.end(domains: domains)
    }
    let whole = outcome(portion: max(bytes.count, 1))
    precondition(outcome(portion: size) == whole, "portions of \(size) make a difference")
    precondition(whole != .waiting, "nothing is left to wait for")
    if case .complete(let registration) = whole {
        precondition(names.contains(registration.domain), "an unknown domain is registered in")
        precondition(PublicKey(text: registration.key.description) == registration.key, "a key has one text")
    }
}

private func readFrames(_ bytes: [UInt8]) {
    var again: [UInt8] = []
    for socket in HandlerSocket.allCases {
        guard let request = try? HandlerRequest(decoding: bytes.span, from: socket) else { continue }
        request.encode(into: &again)
        precondition((try? HandlerRequest(decoding: again.span, from: socket)) == request, "requests have one meaning")
    }
    if let answer = try? RegistrationFrame.answer(in: bytes.span) {
        switch answer {
        case .registrations(let answers): RegistrationFrame.encode(answers, into: &again)
        case .statuses(let statuses): RegistrationFrame.encode(statuses, into: &again)
        case .choices(let choices): BusFrame.encode(choices, into: &again)
        }
        precondition((try? RegistrationFrame.answer(in: again.span)) == answer, "answers have one meaning")
    }
    if let request = try? BusFrame.request(in: bytes.span) {
        switch request {
        case .registrations(let requests): RegistrationFrame.encode(requests, into: &again)
        case .choices(let requests): BusFrame.encode(requests, into: &again)
        }
        precondition((try? BusFrame.request(in: again.span)) == request, "requests have one meaning")
    }
    if let answer = try? FleetFrame.answer(in: bytes.span) {
        switch answer {
        case .registrations(let answers): RegistrationFrame.encode(answers, into: &again)
        case .statuses(let statuses): RegistrationFrame.encode(statuses, into: &again)
        case .news(let answers): FleetFrame.encode(toNews: answers, into: &again)
        case .routers(let routers): FleetFrame.encode(routers, into: &again)
        case .removals(let removals): FleetFrame.encode(removals, into: &again)
        case .routerListEnd(let end): FleetFrame.encode(end, into: &again)
        }
        precondition((try? FleetFrame.answer(in: again.span)) == answer, "answers have one meaning")
    }
    _ = try? ControlFrame.report(in: bytes.span)
    readLinkFrames(bytes)
}

/// What keeper and member say to each other. The first byte is the kind of the frame.
private func readLinkFrames(_ bytes: [UInt8]) {
    guard let kind = bytes.first else { return }
    let frame = AssembledFrame(kind: kind, body: Array(bytes.dropFirst()))
    if let wish = try? MemberFrame(frame) {
        var assembler = FrameAssembler(limits: MemberFrame.limits)
        let again = wish.packets.compactMap { try? assembler.take($0[...]) }
        precondition(again.count == 1 && (try? MemberFrame(again[0])) == wish, "wishes have one meaning")
    }
    if let news = try? KeeperFrame(frame) {
        var assembler = FrameAssembler(limits: KeeperFrame.limits)
        let again = news.packets.compactMap { try? assembler.take($0[...]) }
        precondition(again.count == 1 && (try? KeeperFrame(again[0])) == news, "news have one meaning")
    }
}

private func readNetlink(_ bytes: [UInt8]) {
    var datagram = bytes[...]
    var state = DeviceState()
    while let message = try? NetlinkReply(takenFrom: &datagram) {
        try? state.merge(message)
        _ = try? LinkChange(message)
        _ = try? Link(message)
        _ = try? LearnedEntry(message)
        for device in [1, 2].compactMap({ InterfaceIndex($0) }) { _ = try? FdbRecord(message, of: device) }
    }
}

private func readUAPI(_ bytes: [UInt8]) {
    var state = DeviceState()
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
        guard let sign = line.firstIndex(of: UInt8(ascii: "=")) else { continue }
        try? state.take(UAPIKey(name: line[..<sign]), line[(sign + 1)...])
    }
}

private func readConfiguration(_ bytes: [UInt8]) {
    for path in ["wirelink.json", "wirelink.toml"] {
        let wanted = try? WirelinkImport(bytes: bytes, path: path)
        for configuration in [wanted?.configuration, try? LinkConfiguration(bytes: bytes, path: path)] {
            guard let configuration else { continue }
            let text = Array(configuration.description.utf8)
            precondition((try? LinkConfiguration(bytes: text, path: path)) == configuration, "a file has one meaning")
        }
    }
    _ = try? KeyFile.readNames(bytes: bytes, path: "keys")
    // The program that reads all sections. Those that read fewer take at least what it takes.
    guard let configuration = try? FrontDoorConfiguration(bytes: bytes, path: "kex.conf") else { return }
    let text = configuration.description
    guard let again = try? FrontDoorConfiguration(bytes: Array(text.utf8), path: "again"),
        let other = try? Configuration(bytes: bytes, path: "kex.conf"),
        let otherAgain = try? Configuration(bytes: Array(other.description.utf8), path: "again")
    else { preconditionFailure("a configuration as understood is not understood: \(text)") }
    precondition(again == configuration, "a configuration as understood is understood differently: \(text)")
    precondition(otherAgain == other, "a configuration as understood is understood differently: \(other)")
}

private func readState(_ bytes: [UInt8]) {
    let parsed = StateText.parse(bytes)
    guard parsed.damage == nil else { return }
    precondition(StateText.parse(StateText.encode(parsed.state)).state == parsed.state, "a state has one meaning")
}

/// The first byte says how long the topic is, which comes next; the others are the payload. Whatever key signs a
/// message again, it is believed under its own topic and no other.
private func readBus(_ bytes: [UInt8]) {
    guard let length = bytes.first.map(Int.init), bytes.count > length else { return }
    let topic = Array(bytes.dropFirst().prefix(length))
    let payload = Array(bytes.dropFirst(length + 1))
    guard let message = try? BusMessage(topic: topic.span, payload: payload.span) else { return }
    let again = Array("\(message.topic)".utf8)
    let plain = message.payload()
    precondition((try? BusMessage(topic: again.span, payload: plain.span)) == message, "a message has one meaning")
    let gateway: GatewayName
    switch message {
    case .router(_, let note?): gateway = note.gateway
    case .count(_, let name, _): gateway = name
    default: return
    }
    var trusted = TrustedKeys()
    precondition(trusted.trust(signingKey.publicKey, of: gateway))
    let signed = message.payload(signedWith: signingKey)
    func read(_ topic: [UInt8], _ payload: [UInt8]) -> BusMessage? {
        try? BusMessage(topic: topic.span, payload: payload.span, trusting: trusted)
    }
    precondition(read(again, signed) == message, "a signed message is believed")
    precondition(read(again, plain) == nil && read(topic, payload) == nil, "an unsigned message is not believed")
    let other = Array("\(message.topic)".replacing("kex/", with: "kex/x").utf8)
    precondition(read(other, signed) == nil, "a signature counts for its topic")
}

private let signingKey = SigningKey()

/// The bytes are tried as a datagram of the hub, and as the facts of a group.
private func readLinks(_ bytes: [UInt8]) {
    let receiver = mesh.member
    if let heard = try? receiver.facts(in: bytes.span, from: mesh.hub.memberAddress) {
        check(heard.facts, length: bytes.count)
    }
    if let facts = try? Fact.facts(in: bytes) { check(facts, length: bytes.count) }
}

private func readMessages(_ bytes: [UInt8]) {
    guard let message = try? LinkMessage(bytes) else { return }
    let again = message.bytes
    precondition(again.count <= bytes.count, "a message grows")
    precondition((try? LinkMessage(again)) == message, "a message says something else")
    precondition(again.count <= LinkMessage.maximumLength || bytes.count > LinkMessage.maximumLength, "too long")
}

/// What was read can be said again: in no more bytes, and in datagrams that are believed.
private func check(_ facts: [Fact], length: Int) {
    let groups = FactGroups(facts).groups
    let again = groups.flatMap { $0 }
    precondition(again.count <= length, "facts grow")
    precondition((try? Fact.facts(in: again)) == facts, "facts have one meaning")
    for fact in facts {
        guard case .member(let metadata) = fact.statement else { continue }
        let copy = try? MemberMetadata(name: metadata.name, isBasic: metadata.isBasic, other: metadata.other)
        precondition(copy == metadata, "metadata is made of its parts")
    }
    let member = mesh.member
    var random = SystemRandomNumberGenerator()
    for group in groups {
        let inside = try? Fact.facts(in: group)
        precondition(group.count <= WireFormat.maximumGroup || inside?.count == 1, "a group is too long")
        guard let datagram = try? member.datagram(of: group, for: member.publicKey, using: &random),
            let heard = try? member.facts(in: datagram.span, from: member.publicKey.memberAddress)
        else { preconditionFailure("a group is not believed") }
        precondition(heard.facts == inside && heard.signer == member.publicKey, "a group says something else")
    }
}

/// Two machines of the vectors of docs/PROTOCOL.md: the datagrams there are from the hub to the member.
private let mesh: (hub: PublicKey, member: GroupSigner) = {
    guard let hub = PublicKey(text: "V71XjjiPh9C8Oefdx71govnCoMvJcnXz5Aq703q5Uic="),
        let secret = PrivateKey(text: "INJH3Nx+PDJo9S6FC5IPmZztYtuzacmOGVPhPirOzlw=")
    else { preconditionFailure("they are keys") }
    var member = GroupSigner(publicKey: secret.publicKey)
    for key in [hub, member.publicKey] {
        guard let common = try? secret.sharedSecret(with: key) else { preconditionFailure("a key is weak") }
        member.add(common, of: key)
    }
    return (hub, member)
}()

/// As a datagram of anybody, and as what a member has sealed.
private func readProbes(_ bytes: [UInt8]) {
    var (member, other) = couple
    _ = try? member.read(bytes.span, from: somewhere, at: .start)
    guard let probe = Probe(body: bytes) else { return }
    precondition(probe.body == bytes, "a probe has one spelling")
    let keys = ProbeKeys(own: other.own, other: member.own, secret: coupleSecret)
    let datagram = keys.datagram(of: probe)
    _ = member.request(to: other.own, at: nil, now: .start)
    guard case .request(_, let answer?)? = try? member.read(datagram.span, from: somewhere, at: .start) else { return }
    precondition(probe.kind == .request && probe.counter > 0, "not a request")
    precondition(answer.count == Probe.length, "an answer is longer than its request")
    _ = try? other.read(answer.span, from: somewhere, at: .start)
}

private let somewhere = Endpoint.v4(IPv4Address(value: 0xc000_0201), port: 51820)

private let coupleSecret: SharedSecret = {
    guard let secret = SharedSecret(bytes: 0...31) else { preconditionFailure("a secret has 32 bytes") }
    return secret
}()

private let couple: (ProbeTable, ProbeTable) = {
    let (a, b) = (mesh.hub, mesh.member.publicKey)
    var (member, other) = (ProbeTable(own: a, boot: 1), ProbeTable(own: b, boot: 2))
    precondition(member.add(b, secret: coupleSecret) && other.add(a, secret: coupleSecret))
    return (member, other)
}()

/// As it is, and with the hashes made right: no chance finds those. Of each line the first byte says after which one it
/// was written, and the others what it says.
private func readLedger(_ bytes: [UInt8]) {
    _ = ledger(of: bytes)
    func hash(of words: some Collection<UInt8>) -> String {
        SHA256.digest(of: words).prefix(16).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
    let name = "kex-ledger 1"
    let header = Array("\(name) \(hash(of: name.utf8))\n".utf8)
    var hashes = [hash(of: name.utf8)]
    var lines: [[UInt8]] = []
    for part in bytes.split(separator: 0x0a).prefix(64) {
        guard let first = part.first else { continue }
        let time = "2026-11-29T06:30:0\(first % 10)Z "
        let words = Array(time.utf8) + part.dropFirst() + Array(" \(hashes[Int(first) % hashes.count])".utf8)
        hashes.append(hash(of: words))
        let line = words + Array(" \(hash(of: words))\n".utf8)
        // What is no line of a ledger would hide those behind it.
        if ledger(of: header + lines.joined() + line) != nil { lines.append(line) } else { hashes.removeLast() }
    }
    guard var one = ledger(of: header + lines.joined()), let other = ledger(of: header + lines.reversed().joined())
    else { preconditionFailure("each line was read before") }
    let held = one.all.map(\.holding.description).sorted()
    precondition(held == other.all.map(\.holding.description).sorted(), "the order of lines makes a difference")
    precondition(one.conflicts.map(\.first) == other.conflicts.map(\.first) || one.conflicts.count > 1)
    let now = LedgerTime(seconds: 1_795_933_900)
    let lost = one.rebase(at: now)
    precondition(one.conflicts.isEmpty && !one.isMerged, "a ledger is settled at once")
    let again = ledger(of: header + lines.joined() + one.unwritten)
    precondition(again?.all.map(\.holding) == one.all.map(\.holding), "what is written is read to the same")
    precondition(Set(one.all.map(\.holding)).isDisjoint(with: lost))
}

private func ledger(of text: [UInt8]) -> Ledger? {
    var ledger = Ledger()
    let end = text.lastIndex(of: 0x0a).map { $0 + 1 } ?? 0
    guard (try? ledger.read(text[..<end])) != nil, (try? ledger.finish(text[end...])) != nil else { return nil }
    return ledger
}

private func readTenants(_ bytes: [UInt8]) {
    guard let file = try? TenantFile(bytes: bytes, path: "document") else { return }
    let document = file.document
    let text = TenantFile.text(of: document)
    precondition(
        (try? TenantFile(bytes: Array(text.utf8), path: "again"))?.document == document,
        "one meaning: \(text)"
    )
    let (mistakes, warnings) = document.findings()
    for mistake in mistakes + warnings {
        precondition(file.location(of: mistake.path).line != nil, "\(mistake) is nowhere")
    }
    guard let networks = try? document.resolve(), mistakes.isEmpty else { return }
    for network in networks {
        let resources = network.resources
        for name in resources.flatMap(\.names.interfaces) {
            precondition(InterfaceName(name) != nil, "no interface can be called \(name)")
        }
        precondition(
            Set(resources.map(\.linkLocal)).count == resources.count,
            "two members have one link-local address"
        )
        let ranges = resources.compactMap(\.ipv4)
        precondition(Set(ranges).count == ranges.count, "two members have one range")
        precondition(network.exit?.id.node == network.network.exit?.node, "the exit is lost")
    }
}
