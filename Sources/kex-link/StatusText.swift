internal import LinkMember
internal import NetworkAddresses
internal import WireGuardTypes

extension LinkStatus {
    /// One JSON object and a line feed.
    func json(of interface: InterfaceName) -> String {
        let members = members.map { member in
            var fields = [
                "\"key\":\(quoted(member.key.description))",
                "\"name\":\(member.name.map(quoted) ?? "null")",
                "\"ours\":\(member.isOurs)",
                "\"alive\":\(member.isAlive)",
            ]
            switch member.way {
            case .hub(let endpoint):
                fields.append("\"way\":\"hub\"")
                fields.append("\"endpoint\":\(endpoint.map { quoted("\($0)") } ?? "null")")
            case .peer(let endpoint):
                fields.append("\"way\":\"peer\"")
                fields.append("\"endpoint\":\(endpoint.map { quoted("\($0)") } ?? "null")")
            case .direct(let endpoint):
                fields.append("\"way\":\"direct\"")
                fields.append("\"endpoint\":\(quoted("\(endpoint)"))")
            case .relayed(let hub):
                fields.append("\"way\":\"relayed\"")
                fields.append("\"hub\":\(quoted(hub.description))")
            case .throughHub(let hub):
                fields.append("\"way\":\"through-hub\"")
                fields.append("\"hub\":\(hub.map { quoted($0.description) } ?? "null")")
            }
            fields.append("\"seconds\":\(member.since.components.seconds)")
            let roundTrip = member.roundTrip.map { "\(Int64($0 / .microseconds(1)))" }
            fields.append("\"round_trip_us\":\(roundTrip ?? "null")")
            fields.append("\"attempts\":[\(member.attempts.map(quoted).joined(separator: ","))]")
            fields.append("\"allowed_ips\":[\(member.allowedIPs.map { quoted("\($0)") }.joined(separator: ","))]")
            return "{\(fields.joined(separator: ","))}"
        }
        let hold = noHold.map(quoted) ?? "null"
        let list = members.joined(separator: ",")
        return "{\"interface\":\(quoted(interface.text)),\"no_hold\":\(hold),\"members\":[\(list)],"
            + "\"relay\":\(relay.map(json) ?? "null")}\n"
    }

    private func json(_ relay: RelayStatus) -> String {
        let ports = relay.ports.map { "[\($0.lowerBound),\($0.upperBound)]" } ?? "null"
        return "{\"ports\":\(ports),\"used\":\(relay.used)}"
    }

    /// A table for people.
    func table() -> String {
        if members.isEmpty { return "no members are known yet\n" + relayLine }
        let head = ["member", "way", "for", "round trip", "allowed IPs"]
        let rows = members.map { member in
            [
                printable(member.name ?? member.key.description),
                words(member),
                duration(member.since),
                member.roundTrip.map { "\(Double(Int64($0 / .microseconds(100))) / 10) ms" } ?? "-",
                member.allowedIPs.map(\.description).joined(separator: " "),
            ]
        }
        let widths = head.indices.map { column in ([head] + rows).map { $0[column].count }.max() ?? 0 }
        func line(_ cells: [String]) -> String {
            var line = ""
            for (cell, width) in zip(cells, widths) {
                line += cell + String(repeating: " ", count: width - cell.count + 2)
            }
            while line.hasSuffix(" ") { line.removeLast() }
            return line + "\n"
        }
        var text = line(head)
        for (member, row) in zip(members, rows) {
            text += line(row)
            for attempt in member.attempts { text += "    \(printable(attempt))\n" }
        }
        if let noHold { text += "packets on their way are lost when a link is made: \(printable(noHold))\n" }
        return text + relayLine
    }

    private var relayLine: String {
        guard let relay else { return "" }
        let ports = relay.ports.map { "ports \($0.lowerBound)-\($0.upperBound)" } ?? "ports of the kernel's choice"
        return "relay: \(ports), \(relay.used) in use\n"
    }

    private func words(_ member: MemberStatus) -> String {
        let silence = member.isAlive ? "" : ", silent"
        func name(_ key: PublicKey) -> String {
            printable(members.first { $0.key == key }?.name ?? String(key.description.prefix(8)))
        }
        return switch member.way {
        case .hub(let endpoint): "hub \(endpoint.map { "at \($0)" } ?? "nowhere")\(silence)"
        case .peer(let endpoint): "peer \(endpoint.map { "at \($0)" } ?? "nowhere")\(silence)"
        case .direct(let endpoint): "direct to \(endpoint)\(silence)"
        case .relayed(let hub): "relayed by \(name(hub))\(silence)"
        case .throughHub(let hub): "through \(hub.map(name) ?? "no hub")\(silence)"
        }
    }

    private func duration(_ duration: Duration) -> String {
        let seconds = duration.components.seconds
        return switch seconds {
        case ..<120: "\(seconds) s"
        case ..<7200: "\(seconds / 60) min"
        case ..<172_800: "\(seconds / 3600) h"
        default: "\(seconds / 86400) d"
        }
    }
}

/// Names come from other machines: what a terminal could take for an order becomes a question mark.
private func printable(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { isHarmless($0) ? $0 : "?" }))
}

private func isHarmless(_ character: Unicode.Scalar) -> Bool {
    switch character.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
    default: true
    }
}

/// A JSON text. Source: RFC 8259, section 7.
private func quoted(_ text: String) -> String {
    var result = "\""
    for character in text.unicodeScalars {
        switch character {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case _ where character.value < 0x20 || character.value == 0x7f:
            let digits = String(character.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: result.unicodeScalars.append(character)
        }
    }
    return result + "\""
}
