internal import TenantPlan
internal import TenantProof

/// What the proof says of all networks.
struct ProofReport {
    private var promised = 0
    private var apart = 0
    private(set) var findings: [Finding] = []

    /// - Parameter each: is given every verdict, if somebody wants to read it.
    init(_ planning: Planning, each: (Verdict) -> Void = { _ in }) {
        Proof(planning.networks, planning.plan).forEach { proof in
            for verdict in proof.verdicts {
                if verdict.isPromised { promised += 1 } else { apart += 1 }
                each(verdict)
            }
            findings += proof.findings
        }
    }

    /// What was proved, on one line.
    var summary: String {
        "\(promised) promised paths are there, both ways, and \(apart) that must not be are not"
    }

    /// Ends the work if something is not as it should be.
    func refuse() throws(Failure) {
        guard !findings.isEmpty else { return }
        throw Failure(.configuration, findings.map(\.description).joined(separator: "\n"))
    }
}
