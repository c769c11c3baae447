public import NetworkAddresses
public import TenantModel

/// What the proof says of one way, both there and back.
public struct Verdict: Hashable, Sendable {
    /// An end of a way.
    public enum Terminal: Hashable, Sendable {
        case member(NodeName)
        case internet
        /// A port of the exit, which leads to its target.
        case forward(PortForward)
        /// An address inside that an allow rule opens.
        case allowed(IPv6Address)
    }

    public enum Outcome: Hashable, Sendable {
        case path(Path)
        case noPath(Failure)
    }

    public var from: Terminal
    public var to: Terminal
    /// Of what is sent.
    public var family: AddressFamily
    /// Whether the document promises a way; otherwise there must be none.
    public var isPromised: Bool
    public var outcome: Outcome

    public init(from: Terminal, to: Terminal, family: AddressFamily, isPromised: Bool, outcome: Outcome) {
        self.from = from
        self.to = to
        self.family = family
        self.isPromised = isPromised
        self.outcome = outcome
    }

    public var hasPath: Bool { if case .path = outcome { true } else { false } }
}

/// A way that packets take.
public struct Path: Hashable, Sendable {
    public var there: [Hop]
    public var back: [Hop]

    public init(there: [Hop], back: [Hop]) {
        self.there = there
        self.back = back
    }

    /// The nodes on the way there, each once in a row.
    public var nodes: [NodeName] {
        there.reduce(into: []) { nodes, hop in
            if nodes.last != hop.node { nodes.append(hop.node) }
        }
    }
}

extension Verdict: CustomStringConvertible {
    /// `A → B IPv6: path: A, WireGuard, B`.
    public var description: String { "\(from) → \(to) \(family): \(outcome)" }
}

extension Verdict.Terminal: CustomStringConvertible {
    public var description: String {
        switch self {
        case .member(let node): "\(node)"
        case .internet: "internet"
        case .forward(let forward): "\(forward.transport) port \(forward.port) of the exit"
        case .allowed(let address): "\(address)"
        }
    }
}

extension Verdict.Outcome: CustomStringConvertible {
    public var description: String {
        switch self {
        case .path(let path): "path: \(path)"
        case .noPath(let failure): "no path: because \(failure)"
        }
    }
}

extension Path: CustomStringConvertible {
    public var description: String {
        var words: [String] = []
        for hop in there {
            if words.last != "\(hop.node)" { words.append("\(hop.node)") }
            switch hop.link {
            case .wireGuard: words.append("WireGuard")
            case .relay: words.append("WireGuard over a relay")
            case .vxlan: words.append("VXLAN")
            case .outside: words.append("internet")
            case .transit, .inside: break
            }
        }
        return words.joined(separator: ", ")
    }
}
