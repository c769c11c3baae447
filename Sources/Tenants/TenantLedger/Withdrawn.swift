public import TenantModel

extension Ledger {
    /// Prefixes that members of a network had, and that nobody has before their quarantine ends: in their order.
    public func withdrawn(of network: NetworkName, at now: LedgerTime) -> [Segment] {
        ofNetwork[network, default: []].compactMap { holding in
            guard case .prefix(let segment, _) = holding, claims[holding]?.isQuarantined(at: now) == true,
                held(.segment(segment)) == nil
            else { return nil }
            return segment
        }.sorted()
    }
}
