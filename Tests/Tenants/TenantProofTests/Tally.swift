import TenantModel
import TenantPlan

/// How often each kind of pair occurred, by the family inside.
struct Tally {
    private var counts: [String: [AddressFamily: Int]] = [:]

    mutating func count(_ relation: Relation, _ family: AddressFamily) {
        counts[Self.word(relation.kind), default: [:]][family, default: 0] += 1
        if let outside = relation.family { counts["outside \(outside)", default: [:]][family, default: 0] += 1 }
    }

    mutating func count(_ word: String, _ family: AddressFamily) { counts[word, default: [:]][family, default: 0] += 1 }

    static func word(_ kind: Relation.Kind) -> String { kind == .apart ? "no path" : kind.rawValue }

    subscript(_ kind: Relation.Kind, _ family: AddressFamily) -> Int { counts[Self.word(kind)]?[family] ?? 0 }

    var lines: [String] {
        counts.keys.sorted().map { word in
            let counts = counts[word] ?? [:]
            return "\(word): IPv6 \(counts[.ipv6] ?? 0), IPv4 \(counts[.ipv4] ?? 0)"
        }
    }
}
