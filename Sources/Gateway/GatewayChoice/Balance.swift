/// How many routers the gateways of one choice have, and should have by their weights.
struct Balance {
    /// A gateway that may be chosen.
    struct Candidate: Hashable {
        /// Which one, for the caller.
        let place: Int
        let weight: Double
        /// Its routers, of all domains.
        let load: Double
    }

    /// In the order in which they were heard of first.
    private let candidates: [Candidate]
    private let total: Double
    private let totalWeight: Double
    /// The one whose routers are fewest in comparison with what it should have, which is the field's rule; the first of
    /// several. `nil` if there is no candidate.
    private(set) var neediest: Candidate?
    /// What the neediest has more than it should, which is less than nothing or nothing.
    private var least = Double.infinity

    /// - Parameters:
    ///   - total: routers that are shared out, those of others than the candidates included.
    ///   - totalWeight: the weights that they are shared out by; more than zero.
    init(_ candidates: [Candidate], total: Double, totalWeight: Double) {
        self.candidates = candidates
        self.total = total
        self.totalWeight = totalWeight
        // Indices, because an iterator of an array takes ten times as long in a build without optimisation.
        for index in candidates.indices {
            let surplus = surplus(candidates[index])
            guard surplus < least else { continue }
            neediest = candidates[index]
            least = surplus
        }
    }

    /// One of those that are about as needy as the ``neediest``, by their weights.
    ///
    /// - Parameter fraction: which one, from 0 to less than 1.
    func pick(by fraction: Double) -> Candidate? {
        var weights = 0.0
        for index in candidates.indices where isNear(candidates[index]) { weights += candidates[index].weight }
        var rest = fraction * weights
        for index in candidates.indices where isNear(candidates[index]) {
            rest -= candidates[index].weight
            if rest < 0 { return candidates[index] }
        }
        // Rounding may leave a rest of nothing.
        return neediest
    }

    /// Whether a router of this gateway may stay there: the neediest one has not so much less that it should come.
    func isFair(_ candidate: Candidate) -> Bool {
        guard let neediest else { return true }
        // As if it had moved already: in a small fleet one router is a large share.
        let difference = (candidate.load - 1) / candidate.weight - (neediest.load + 1) / neediest.weight
        return difference <= FleetLimit.tolerance * total / totalWeight
    }

    private func surplus(_ candidate: Candidate) -> Double {
        // In the field's order, so that what is equal there is equal here.
        candidate.load - candidate.weight / totalWeight * total
    }

    private func isNear(_ candidate: Candidate) -> Bool {
        let target = candidate.weight / totalWeight * total
        return candidate.load - target <= least + FleetLimit.nearness * target
    }
}
