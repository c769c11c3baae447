internal import KexProtocol
internal import NetworkAddresses
internal import SystemCalls
internal import SystemPackage
internal import Time

/// One exchange with one gateway: connect, two lines in one packet, wait for the end of the reply.
enum Exchange {
    enum Outcome: Hashable, Sendable {
        /// The gateway has done everything: it closed without a word.
        case done
        /// The gateway said no, and would say no again.
        case refused(Refusal)
        /// The gateway said no with a code that this program does not know.
        case refusedForUnknownReason(String)
        /// The gateway could not be asked, or could not act; in words. Another try may work.
        case unreachable(String)
    }

    /// Time for a connect, so that one address in a black hole leaves time for the others.
    static let connectLimit = Duration.seconds(5)
    /// Time from the connection to the end of the reply. A gateway answers within 5 s even if its own handler is
    /// silent.
    static let replyLimit = Duration.seconds(10)
    /// Longest reply read, in bytes. A gateway's own replies have at most 22.
    static let replySize = 256

    /// Never takes longer than until `deadline`.
    static func run(_ registration: Registration, with endpoint: Endpoint, until deadline: MonotonicTime) -> Outcome {
        do throws(SystemCallError) {
            let connection = try Socket.startConnecting(to: endpoint)
            guard try Socket.wait(for: .writable, of: connection.raw, until: min(deadline, .now + connectLimit)) else {
                return .unreachable("no connection in time")
            }
            if let error = try Socket.pendingError(of: connection.raw) { return .unreachable("\(error)") }
            // One write, and no half-close: as the routers in the field do it. A new connection has room for it.
            let lines = Array("\(registration.domain)\n\(registration.key)\n".utf8)
            guard try Socket.send(lines, to: connection.raw) == lines.count else {
                return .unreachable("the connection takes no data")
            }
            return try reply(on: connection.raw, until: min(deadline, .now + replyLimit))
        } catch {
            return .unreachable("\(error.errno)")
        }
    }

    private static func reply(
        on connection: FileDescriptor,
        until deadline: MonotonicTime
    ) throws(SystemCallError) -> Outcome {
        var reply: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: replySize)
        while try Socket.wait(for: .readable, of: connection, until: deadline) {
            switch try Socket.receive(from: connection, into: &buffer) {
            case .nothingYet: continue
            case .end: return outcome(of: reply)
            case .bytes(let count):
                reply += buffer[..<count]
                if reply.count > replySize { return .unreachable("what answers there is not a key exchange") }
            }
        }
        return .unreachable("no answer in time")
    }

    /// The meaning of everything that came before the end.
    static func outcome(of reply: [UInt8]) -> Outcome {
        let text = String(decoding: reply, as: UTF8.self)
        if reply.isEmpty { return .done }
        switch Refusal(reply: text) {
        case .unavailable?: return .unreachable("\(Refusal.unavailable.code): \(Refusal.unavailable.advice)")
        case let refusal?: return .refused(refusal)
        case nil: break
        }
        let code = (text.hasSuffix("\n") ? text.dropLast() : text[...]).dropFirst(5)
        let isCode = code.utf8.allSatisfy { byte in
            (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) || byte == UInt8(ascii: "_")
        }
        guard text.hasPrefix("ERR: "), !code.isEmpty, isCode else {
            return .unreachable("what answers there is not a key exchange")
        }
        return .refusedForUnknownReason(String(code))
    }
}

extension Refusal {
    /// What happened and what to do next, for the one who runs the router.
    var advice: String {
        switch self {
        case .noDomain, .noKey:
            "the gateway did not get both lines; something on the way cuts the connection's data: try another network"
        case .invalidDomain:
            "the gateway does not serve this domain; compare the domain's name with what its operator published"
        case .invalidKey:
            "the gateway does not take this for a WireGuard public key; something on the way changes the data"
        case .prohibitedKey:
            "this is a key of the gateway or of its operator, or it was banned; register your router's own key, or make a new one"
        case .unavailable:
            "the gateway answers, but cannot register anybody now; try again later, or tell its operator"
        case .addressInUse:
            "another router has the address that is derived from this key; make a new key"
        case .domainFull:
            "the domain has as many routers as its operator allows; use another gateway, or ask the operator"
        case .rateLimited:
            "too many registrations come from this network, or new keys to this gateway; try again in some minutes"
        }
    }
}
