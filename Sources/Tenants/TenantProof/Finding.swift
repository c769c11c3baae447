public import TenantModel

/// Something that is not as the document promises, or that cannot work.
public struct Finding: Hashable, Sendable, CustomStringConvertible {
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// A promised way that is none.
        case missingPath = "missing-path"
        /// A way where there must be none.
        case unwantedPath = "unwanted-path"
        /// A way, but not the one that the plan says.
        case otherPath = "other-path"
        /// Two members have stanzas for each other, and neither can begin: what is for the other ends there, although the
        /// exit would have passed it on.
        case deadStanza = "dead-stanza"
        /// A peer with the key of another network's member.
        case foreignPeer = "foreign-peer"
        /// A peer with a key that nobody has.
        case unknownPeer = "unknown-peer"
    }

    public var kind: Kind
    public var network: NetworkName
    public var text: String

    public init(_ kind: Kind, _ network: NetworkName, _ text: String) {
        self.kind = kind
        self.network = network
        self.text = text
    }

    public var description: String { "\(network): \(text)" }
}

/// What the proof says of one network.
public struct NetworkProof: Hashable, Sendable {
    public var name: NetworkName
    /// Each ordered pair in each family inside, then the internet.
    public var verdicts: [Verdict]
    public var findings: [Finding]

    public init(name: NetworkName, verdicts: [Verdict] = [], findings: [Finding] = []) {
        self.name = name
        self.verdicts = verdicts
        self.findings = findings
    }
}
