extension DomainTable {
    /// Routers that were missing in a snapshot all at once.
    public struct MassLoss: Hashable, Sendable {
        /// How many of those that were ever heard of.
        public var lost: Int
        /// How many there were.
        public var known: Int

        /// Losses from which it may be one: one router may well be removed by hand, and then stays out.
        public static let least = 2
        /// It is one if more than one of this many are lost.
        public static let share = 2

        /// `nil` if so many are not one.
        init?(lost: Int, of known: Int) {
            guard lost >= Self.least, lost * Self.share > known else { return nil }
            (self.lost, self.known) = (lost, known)
        }
    }
}
