internal import LinkFacts
public import SourceLimits

/// What other machines can make grow here, and how far.
public enum FactLimits {
    /// Most facts of a machine that may say who is a member. A fact counts once for each ``factUnit`` that it has begun.
    public static let factsOfRouter = 16_384
    /// Most facts of any other machine, counted in the same way.
    public static let factsOfMember = 4_096
    /// Bytes of a fact on the wire that count as one fact.
    public static let factUnit = 64
    /// Longest fact that is kept, in bytes, so that any can be told in one datagram.
    public static let longestFact = WireFormat.maximumGroup
    /// Most machines that anything is kept of, beside the peers of this one.
    public static let subjects = 2_048
    /// Most endpoints of one machine that one other names.
    public static let endpointsOfClaimant = 8
    /// Most endpoints of one machine, counting one that two machines name as two.
    public static let endpoints = 32
    /// Most allowed IPs of one machine that one other names.
    public static let allowedIPsOfClaimant = 64
    /// Most metadata of one machine that one other has said and not yet let expire.
    public static let metadataOfClaimant = 4
    /// Datagrams that are taken from one machine: 512 without a pause, and 128 a second in the long run. A router of
    /// the field that refreshes 10,000 facts sends 400 at once.
    public static let datagrams = TokenBucket.Size(burst: 512, interval: .microseconds(7_812.5))
    /// Lines for the log: 32 without a pause, and one each 5 seconds in the long run; as many again of what is wrong.
    public static let notices = TokenBucket.Size(burst: 32, interval: .seconds(5))
    /// Longest name of a member that is shown, in characters.
    public static let longestName = 64
    /// Most facts that are remembered as withdrawn, until those who heard of them know.
    public static let withdrawals = 4_096
}
