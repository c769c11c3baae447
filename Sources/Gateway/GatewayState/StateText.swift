internal import CSodium
internal import KexGateway
internal import Time
internal import WireGuardTypes

/// A domain's state as text, a line for each router:
///
/// ```
/// kex-state 1 BOOT NAMESPACE INTERFACE WALLCLOCK SINCESTART RESTOREDAT CHECK
/// KEY LASTHEARD MARKEDAT RECEIVED CHECK
/// KEY LASTHEARD - - adopted CHECK
/// operator KEY CHECK
/// end LINES CHECK
/// ```
///
/// Wall clock times are seconds since 1970, the others nanoseconds since the start of the machine. `BOOT` is `-` if the
/// interface is not known. `LINES` is the number of those between the first and the last. `CHECK` is made from the line
/// before it, so what is damaged is left out, and the rest is used.
package enum StateText {
    /// Longest line in bytes, its line feed included.
    static let maximumLine = 256
    /// Most routers: as many as a domain may have.
    static let maximumRouters = 65536
    /// Most peers of the operator's that are remembered.
    static let maximumOperatorsPeers = 1024
    /// Largest text in bytes.
    static let maximumSize = maximumLine * (maximumRouters + maximumOperatorsPeers + 2)

    /// Equal states give equal bytes.
    package static func encode(_ state: DomainState) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity((state.routers.count + 2) * 100)
        let device = state.device.map { "\($0.bootID) \($0.networkNamespace) \($0.interfaceIndex)" } ?? "- 0 0"
        let clocks = "\(state.clocks.seconds) \(state.clocks.sinceStart.nanoseconds)"
        append("kex-state 1 \(device) \(clocks) \(state.restoredAt.nanoseconds)", to: &bytes)
        let lines =
            state.routers.map { router in
                let mark = router.mark.map { "\($0.since.nanoseconds) \($0.receivedBytes)" } ?? "- -"
                return "\(router.key) \(router.lastHeard) \(mark)" + (router.isAdopted ? " adopted" : "")
            } + state.operatorsPeers.prefix(maximumOperatorsPeers).map { "operator \($0)" }
        for line in lines.sorted() { append(line, to: &bytes) }
        append("end \(lines.count)", to: &bytes)
        return bytes
    }

    private static func append(_ line: String, to bytes: inout [UInt8]) {
        let line = Array(line.utf8)
        bytes += line
        bytes.append(0x20)
        bytes += check(of: line)
        bytes.append(0x0a)
    }

    /// What was good of a text.
    package struct Parsed: Hashable {
        package var state: DomainState
        /// `nil` if everything was.
        package var damage: String?
    }

    package static func parse(_ bytes: [UInt8]) -> Parsed {
        var header: [String]?
        var routers: [KnownRouter] = []
        var operatorsPeers: [PublicKey] = []
        var keys: Set<PublicKey> = []
        var badLines = 0
        var promised: Int?
        for line in bytes.split(separator: 0x0a, omittingEmptySubsequences: false).dropLast() {
            guard let words = words(of: line), promised == nil else {
                badLines += 1
                continue
            }
            if words.first == "kex-state", header == nil, routers.isEmpty {
                header = words
            } else if words.count == 2, words[0] == "end", let count = Int(words[1]) {
                promised = count
            } else if words.count == 2, words[0] == "operator", let key = PublicKey(text: words[1]),
                operatorsPeers.count < maximumOperatorsPeers
            {
                operatorsPeers.append(key)
            } else if let router = router(words), keys.insert(router.key).inserted, routers.count < maximumRouters {
                routers.append(router)
            } else {
                badLines += 1
            }
        }
        var state = DomainState(
            device: nil,
            clocks: Moment(seconds: 0, sinceStart: .zero),
            restoredAt: .zero,
            routers: routers,
            operatorsPeers: operatorsPeers
        )
        let lines = routers.count + operatorsPeers.count
        let isHeaderGood = header.map { read($0, into: &state) } ?? false
        // A whole text ends with a line feed.
        let isWhole = isHeaderGood && badLines == 0 && promised == lines && bytes.last == 0x0a
        return Parsed(state: state, damage: isWhole ? nil : damage(lines, promised, isHeaderGood))
    }

    private static func damage(_ found: Int, _ promised: Int?, _ isHeaderGood: Bool) -> String {
        let loss =
            switch promised {
            case nil: "the end is missing, \(found) routers are left"
            case let count? where count > found: "\(count - found) of \(count) routers are lost"
            default: "\(found) routers, none lost"
            }
        return isHeaderGood ? loss : loss + ", and it is not known which interface they were in"
    }

    private static func words(of line: ArraySlice<UInt8>) -> [String]? {
        guard line.count < maximumLine, let last = line.lastIndex(of: 0x20),
            check(of: Array(line[..<last])) == Array(line[line.index(after: last)...])
        else { return nil }
        return line[..<last].split(separator: 0x20, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
    }

    private static func read(_ words: [String], into state: inout DomainState) -> Bool {
        guard words.count == 8, words[1] == "1",
            let namespace = UInt64(words[3]), let index = UInt32(words[4]),
            let wallClock = Int64(words[5]), let sinceStart = Int64(words[6]), let restoredAt = Int64(words[7])
        else { return false }
        if words[2] != "-" {
            state.device = DeviceIdentity(bootID: words[2], networkNamespace: namespace, interfaceIndex: index)
        }
        state.clocks = Moment(seconds: wallClock, sinceStart: .nanoseconds(sinceStart))
        state.restoredAt = .nanoseconds(restoredAt)
        return true
    }

    private static func router(_ words: [String]) -> KnownRouter? {
        let isAdopted = words.count == 5 && words[4] == "adopted"
        guard words.count == 4 || isAdopted, let key = PublicKey(text: words[0]), let lastHeard = Int64(words[1])
        else { return nil }
        var router = KnownRouter(key: key, lastHeard: lastHeard, isAdopted: isAdopted)
        if words[2] == "-" && words[3] == "-" { return router }
        guard let since = Int64(words[2]), let bytes = UInt64(words[3]) else { return nil }
        router.mark = StaleMark(since: .nanoseconds(since), receivedBytes: bytes)
        return router
    }

    /// SipHash-2-4 of a line, in hex. Its key is fixed: this is against bits that flip, not against people, who need to
    /// be root to get here.
    private static func check(of line: [UInt8]) -> [UInt8] {
        let key = Array("kex-state line 1".utf8)
        precondition(key.count == Int(crypto_shorthash_KEYBYTES))
        var hash = [UInt8](repeating: 0, count: Int(crypto_shorthash_BYTES))
        unsafe crypto_shorthash(&hash, line, UInt64(line.count), key)
        let digits = Array("0123456789abcdef".utf8)
        return hash.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }
}

extension Duration {
    /// Whole nanoseconds; what does not fit is the nearest that does.
    fileprivate var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, isTooLarge) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return isTooLarge ? (seconds < 0 ? .min : .max) : whole + attoseconds / 1_000_000_000
    }
}
