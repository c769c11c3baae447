internal import NetworkAddresses
public import TenantModel

/// Who got which prefix, port and relay port, for ever: a text that only grows.
///
/// A value: nothing is read or written here. What changes is in ``unwritten`` until ``didWrite()`` is called.
public struct Ledger: Sendable {
    var claims: [Holding: Claim] = [:]
    /// All that were ever held under a key, in the order of their first lines.
    var holdings: [Holding.Key: [Holding]] = [:]
    /// The holdings of a network, in the order of their first lines.
    var ofNetwork: [NetworkName: [Holding]] = [:]
    /// The prefixes of an allocation, in the order of their first lines.
    var ofAllocation: [IPv6Prefix: [Holding]] = [:]
    /// How many WireGuard interfaces a leg of a node has.
    var interfaces: [Leg: Int] = [:]
    /// How many prefixes a network holds.
    var heldPrefixes: [NetworkName: Int] = [:]
    /// Keys that several hold at once.
    var contested: Set<Holding.Key> = []

    struct Leg: Hashable {
        var node: NodeName
        var number: UInt8
    }

    /// Whole lines of the text so far, those that are not written yet included.
    public internal(set) var lineCount = 0
    /// The lines in the order of the text, without the first, and without those that are there again.
    var entries: [Entry] = []
    var known: Set<LineHash> = []
    /// Whether all of ``entries`` have been applied, each after the line before it.
    var isInOrder = true
    /// Lines that no other was written after, with their numbers. One, unless clones were merged.
    var ends: [LineHash: Int] = [:]
    /// One of ``ends``, after which the next line is written; `nil` before the first.
    var last: LineHash?

    struct Entry {
        var line: LedgerLine
        var hash: LineHash
        /// In the text, from 1.
        var number: Int
    }

    /// Lines that are to be appended to the text.
    public internal(set) var unwritten: [UInt8] = []

    /// An empty ledger.
    public init() {}

    /// How long what was given back is nobody's: routes, firewalls and names outlive a node.
    public static let quarantine: Duration = .seconds(30 * 86400)

    /// Whether clones were merged since the last line of our own, so that the next one will join them.
    public var isMerged: Bool { ends.count > 1 }

    /// Forgets ``unwritten``, for it has been written.
    public mutating func didWrite() { unwritten.removeAll() }

    // MARK: What is held

    /// What is held under a key; of several the first.
    func held(_ key: Holding.Key) -> Holding? {
        holdings[key]?.filter { claims[$0]?.isHeld == true }.min { precedes($0, $1) }
    }

    func precedes(_ one: Holding, _ other: Holding) -> Bool {
        guard let one = claims[one], let other = claims[other] else { return false }
        return one.precedes(other)
    }

    /// A member's prefix.
    public func prefix(of member: MemberID) -> Segment? {
        guard case .prefix(let segment, _) = held(.prefixOf(member)) else { return nil }
        return segment
    }

    /// The port of a member's WireGuard interface, and the leg of its node where that is born.
    public func port(of member: MemberID) -> (port: UInt16, leg: UInt8)? {
        guard case .port(let port, let leg, _) = held(.portOf(member)) else { return nil }
        return (port, leg)
    }

    /// The port of `exit` by which a member is reached.
    public func relay(to member: MemberID, at exit: NodeName) -> UInt16? {
        guard case .relay(let port, _, _) = held(.relayOf(member, exit: exit)) else { return nil }
        return port
    }

    /// All that is held, with the line that says so, in the order of these lines.
    public var all: [(holding: Holding, line: Int)] {
        claims.filter(\.value.isHeld).map { ($0.key, $0.value.line) }.sorted { $0.line < $1.line }
    }

    // MARK: Lines

    /// Adds a line of the text. It is applied at once if it comes after the last one, as all do before clones are merged.
    mutating func add(_ line: LedgerLine, _ hash: LineHash) {
        lineCount += 1
        guard known.insert(hash).inserted else { return }
        let entry = Entry(line: line, hash: hash, number: lineCount)
        entries.append(entry)
        isInOrder = isInOrder && line.before == last && line.parents.allSatisfy(known.contains)
        if isInOrder { apply(entry) }
    }

    /// Does what a line says.
    mutating func apply(_ entry: Entry) {
        let line = entry.line
        for parent in line.parents { ends[parent] = nil }
        ends[entry.hash] = entry.number
        last = entry.hash
        switch line.action {
        case .take(let holding, let allocation):
            if claims[holding]?.isHeld == true { return }
            if claims[holding] == nil {
                for key in holding.keys { holdings[key, default: []].append(holding) }
                ofNetwork[holding.member.network, default: []].append(holding)
            }
            if let allocation, claims[holding]?.allocation != allocation {
                ofAllocation[allocation, default: []].append(holding)
            }
            claims[holding] = Claim(line: entry.number, hash: entry.hash, takenAt: line.time, allocation: allocation)
            count(holding, 1)
        case .give(let holding, let until):
            guard let claim = claims[holding] else { return }
            claims[holding]?.given = Claim.Release(until: until, line: entry.number)
            if claim.isHeld { count(holding, -1) }
        case .join: break
        }
    }

    private mutating func count(_ holding: Holding, _ difference: Int) {
        switch holding {
        case .prefix(_, let member): heldPrefixes[member.network, default: 0] += difference
        case .port(_, let leg, let member): interfaces[Leg(node: member.node, number: leg), default: 0] += difference
        case .relay: break
        }
        for key in holding.keys {
            let held = holdings[key, default: []].count { claims[$0]?.isHeld == true }
            if held > 1 { contested.insert(key) } else { contested.remove(key) }
        }
    }

    /// Adds a line that is to be written; before it the head of a new text, and a line that joins what clones wrote.
    mutating func write(_ action: LedgerLine.Action, at now: LedgerTime) {
        if last == nil { writeHeader() }
        join(at: now)
        writeLine(action, at: now)
    }

    /// Adds lines that come after all that clones wrote.
    mutating func join(at now: LedgerTime) {
        let others = ends.filter { $0.key != last }.sorted { $0.value < $1.value }
        for (other, _) in others { writeLine(.join(other), at: now) }
    }

    private mutating func writeHeader() {
        unwritten += "\(LedgerLine.header) \(Self.root)\n".utf8
        addHeader()
    }

    private mutating func writeLine(_ action: LedgerLine.Action, at now: LedgerTime) {
        guard let last else { preconditionFailure("the header is written first") }
        let line = LedgerLine(time: now, action: action, before: last)
        let text = line.text
        unwritten += text.utf8
        unwritten.append(0x0a)
        guard let hash = LineHash(text.utf8.suffix(LineHash.length)) else {
            preconditionFailure("a line ends with its hash")
        }
        add(line, hash)
    }

    /// The hash of the first line, the same for every ledger: so two that were begun apart can be merged.
    static let root = LineHash(of: LedgerLine.header.utf8)

    mutating func addHeader() {
        lineCount += 1
        known = [Self.root]
        ends = [Self.root: lineCount]
        last = Self.root
    }
}
