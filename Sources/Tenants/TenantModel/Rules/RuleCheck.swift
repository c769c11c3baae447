internal import NetworkAddresses
internal import WireGuardTypes

extension TenantDocument {
    /// Everything in the document that breaks a rule, with its place, the reason, and what would help.
    ///
    /// - Parameter assigned: what the ledger has given. Without it a member that has no prefix yet breaks no rule.
    public func mistakes(assigned: Assignments = Assignments()) -> [DocumentMistake] {
        findings(assigned: assigned).mistakes
    }

    /// The same, and what is probably not meant but breaks no rule.
    public func findings(
        assigned: Assignments = Assignments()
    ) -> (mistakes: [DocumentMistake], warnings: [DocumentMistake]) {
        var check = RuleCheck(document: self, assigned: assigned)
        check.run()
        return (check.mistakes, check.warnings)
    }
}

/// Holds a document against the rules. Each rule is in the file of what it is about.
struct RuleCheck {
    let document: TenantDocument
    let assigned: Assignments
    let allocations: [UInt8: Allocation]
    let nodes: [NodeName: Node]
    let resolver: Resolver
    private(set) var mistakes: [DocumentMistake] = []
    private(set) var warnings: [DocumentMistake] = []

    /// Who has what in all networks, by their places.
    var segments: [Segment: DocumentPath] = [:]
    var keys: [PublicKey: DocumentPath] = [:]
    var ports: [PortBook.Namespace: [UInt16: DocumentPath]] = [:]
    /// What leads into networks from addresses that they share or have: by node, address, protocol and port.
    var forwards: [ForwardPlace: DocumentPath] = [:]
    /// Public addresses, and whose they are.
    var addresses: [IPPrefix.Address: String] = [:]
    var interfaces: [NodeName: [String: DocumentPath]] = [:]
    var vxlanIdentifiers: [PlaceName: [UInt32: DocumentPath]] = [:]

    init(document: TenantDocument, assigned: Assignments) {
        self.document = document
        self.assigned = assigned
        allocations = Dictionary(document.allocations.map { ($0.number, $0) }) { first, _ in first }
        nodes = Dictionary(document.nodes.map { ($0.name, $0) }) { first, _ in first }
        resolver = Resolver(document: document, assigned: assigned)
    }

    mutating func fail(_ path: DocumentPath, _ reason: String, advice: String? = nil) {
        mistakes.append(DocumentMistake(path, reason, advice: advice))
    }

    mutating func warn(_ path: DocumentPath, _ reason: String, advice: String? = nil) {
        warnings.append(DocumentMistake(path, reason, advice: advice))
    }

    mutating func run() {
        let top = DocumentPath()
        checkAllocations(top.appending("allocations"))
        checkNodes(top.appending("nodes"))
        var names: Set<NetworkName> = []
        for network in document.networks {
            let path = top.appending("networks").appending(network.name.text)
            if !names.insert(network.name).inserted { fail(path, "a second network \(network.name)") }
            check(network, path)
        }
        // Behind all networks, for two of them may share an address.
        for network in document.networks {
            checkForwards(network, top.appending("networks").appending(network.name.text))
        }
    }
}
