internal import NetworkAddresses
internal import TenantModel

/// One question, which an option may answer.
struct Question<Value>: Sendable {
    let text: String
    let option: String
    let expected: String
    let read: @Sendable (String) -> Value?
}

/// What `kex-net init` asks.
enum Questions {
    static let nameRule = "1 to \(TenantNameRule.maximumLength) lower-case letters, digits and hyphens"

    static let block = Question<IPv6Prefix>(
        text: "1/3 Which block of IPv6 addresses is routed to you? (such as 2001:db8:1::/48; local for none)",
        option: "--allocation",
        expected: "a prefix from /32 to /62 such as 2001:db8:1::/48, or local"
    ) { text in
        if text == "local" {
            // RFC 4193, section 3.2: 40 random bits behind fd.
            let high = 0xfd << 56 | UInt64.random(in: 0..<1 << 40) << 16
            return IPv6Prefix(IPv6Address(high: high, low: 0), length: 48)
        }
        return IPv6Prefix(text).flatMap { Allocation(prefix: $0, number: 0)?.prefix }
    }

    static let publicNode = Question<(name: NodeName, addresses: [IPPrefix.Address])>(
        text: "2/3 Which machine has an address that others can speak to? (such as farm=198.51.100.10,2001:db8::10)",
        option: "--public",
        expected: "NAME=ADDRESS or NAME=ADDRESS,ADDRESS; a name has \(nameRule)"
    ) { text in
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2, let name = NodeName(parts[0]) else { return nil }
        let words = parts[1].split(separator: ",").map(String.init)
        let addresses = words.compactMap { word in
            IPv4Address(word).map { IPPrefix.Address.v4($0) } ?? IPv6Address(word).map { .v6($0) }
        }
        guard !words.isEmpty, addresses.count == words.count, Set(addresses.map(\.family)).count == addresses.count
        else { return nil }
        return (name, addresses)
    }

    static func hidden(besides other: NodeName) -> Question<[NodeName]> {
        Question(
            text:
                "3/3 Which machines are behind a router or a firewall? (names with commas between, such as cellar,flat)",
            option: "--hidden",
            expected: "names with commas between, each once and none \(other); a name has \(nameRule)"
        ) { text in
            let words = text.split { $0 == "," || $0 == " " }.map(String.init)
            let names = words.compactMap { NodeName($0) }
            guard !names.isEmpty, names.count == words.count, Set(names + [other]).count == names.count + 1
            else { return nil }
            return names
        }
    }
}
