internal import NetworkAddresses
internal import TenantModel

/// One line of a ledger:
///
/// ```
/// TIME take prefix NETWORK NODE PREFIX of ALLOCATION BEFORE HASH
/// TIME take port NETWORK NODE PORT [leg LEG] BEFORE HASH
/// TIME take relay NETWORK EXIT NODE PORT BEFORE HASH
/// TIME give … until TIME BEFORE HASH
/// TIME join HASH BEFORE HASH
/// ```
///
/// `BEFORE` is the hash of the line that was the last when this one was written, and `HASH` is made of all that is before
/// it in the line, `BEFORE` included. Each line has one text: what is written otherwise is not read.
struct LedgerLine: Hashable {
    enum Action: Hashable {
        /// It is somebody's from now on. A prefix, and nothing else, is of an allocation.
        case take(Holding, of: IPv6Prefix?)
        /// It is nobody's from now on, and can be somebody else's when the time has come.
        case give(Holding, until: LedgerTime)
        /// Two clones of a repository have both written, and this line comes after both.
        case join(LineHash)
    }

    var time: LedgerTime
    var action: Action
    var before: LineHash

    /// Longest line in bytes, its line feed included.
    static let maximumLength = 512
    /// The first line of every ledger without its hash: the number is that of the format.
    static let header = "kex-ledger 1"

    /// The lines that were there before this one.
    var parents: [LineHash] {
        if case .join(let other) = action { [before, other] } else { [before] }
    }

    /// Without the line feed.
    var text: String {
        let words = "\(time) \(action) \(before)"
        return "\(words) \(LineHash(of: words.utf8))"
    }

    /// Why some bytes are no line.
    enum Mistake: Error, Hashable {
        case isDamaged
        case isNoLine
    }

    /// - Parameter bytes: without the line feed.
    /// - Returns: the line, and the hash at its end.
    static func parse(_ bytes: ArraySlice<UInt8>) throws(Mistake) -> (LedgerLine, LineHash) {
        guard bytes.count < maximumLength, let (rest, hash) = checked(bytes) else { throw .isDamaged }
        let words = rest.split(separator: 0x20, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        guard words.count >= 4, let time = LedgerTime(words[0]), let before = LineHash(words[words.count - 1].utf8),
            let action = Action(words[1..<words.count - 1])
        else { throw .isNoLine }
        let line = LedgerLine(time: time, action: action, before: before)
        guard "\(time) \(action) \(before)".utf8.elementsEqual(rest) else { throw .isNoLine }
        return (line, hash)
    }

    /// What is before the hash at the end of a line, and the hash, if it is the right one.
    static func checked(_ bytes: ArraySlice<UInt8>) -> (ArraySlice<UInt8>, LineHash)? {
        guard bytes.count > LineHash.length + 1 else { return nil }
        let rest = bytes.dropLast(LineHash.length + 1)
        guard bytes[rest.endIndex] == 0x20, let hash = LineHash(bytes.suffix(LineHash.length)),
            hash == LineHash(of: rest)
        else { return nil }
        return (rest, hash)
    }
}

extension LedgerLine.Action {
    fileprivate init?(_ words: ArraySlice<String>) {
        var rest = words.dropFirst()
        switch words.first {
        case "take":
            var allocation: IPv6Prefix?
            if rest.first == "prefix" {
                guard rest.count == 6, rest[rest.endIndex - 2] == "of", let prefix = IPv6Prefix(rest[rest.endIndex - 1])
                else { return nil }
                allocation = prefix
                rest = rest.dropLast(2)
            }
            guard let holding = Holding(rest) else { return nil }
            if let allocation, case .prefix(let segment, _) = holding {
                guard Allocation.lengths.contains(allocation.length), allocation.isNetwork,
                    allocation.contains(segment.prefix)
                else { return nil }
            }
            self = .take(holding, of: allocation)
        case "give":
            guard rest.count >= 2, rest[rest.endIndex - 2] == "until", let until = LedgerTime(rest[rest.endIndex - 1]),
                let holding = Holding(rest.dropLast(2))
            else { return nil }
            self = .give(holding, until: until)
        case "join":
            guard rest.count == 1, let hash = rest.first.flatMap({ LineHash($0.utf8) }) else { return nil }
            self = .join(hash)
        default: return nil
        }
    }
}

extension LedgerLine.Action: CustomStringConvertible {
    var description: String {
        switch self {
        case .take(let holding, let allocation?): "take \(holding) of \(allocation)"
        case .take(let holding, nil): "take \(holding)"
        case .give(let holding, let until): "give \(holding) until \(until)"
        case .join(let hash): "join \(hash)"
        }
    }
}

extension Holding {
    fileprivate init?(_ words: ArraySlice<String>) {
        let words = Array(words)
        guard words.count >= 4, let network = NetworkName(words[1]), let node = NodeName(words[2]) else { return nil }
        let member = MemberID(network: network, node: node)
        switch (words[0], words.count) {
        case ("prefix", 4):
            guard let segment = IPv6Prefix(words[3]).flatMap(Segment.init) else { return nil }
            self = .prefix(segment, member)
        case ("port", 4):
            guard let port = UInt16(words[3]), port > 0 else { return nil }
            self = .port(port, leg: 0, member)
        case ("port", 6):
            guard let port = UInt16(words[3]), port > 0, words[4] == "leg", let leg = UInt8(words[5]), leg > 0,
                leg < DocumentLimit.legs
            else { return nil }
            self = .port(port, leg: leg, member)
        case ("relay", 5):
            guard let other = NodeName(words[3]), let port = UInt16(words[4]), port > 0 else { return nil }
            self = .relay(port, exit: node, MemberID(network: network, node: other))
        default: return nil
        }
    }
}
