/// What a hold may take.
public enum HoldLimits {
    /// How long packets are held at most, whatever anybody says. Both sides of a pair have moved within one and a half
    /// round trips.
    public static let time = Duration.seconds(1)
    /// How long the packets of one hold may take on their way out.
    static let releaseTime = Duration.milliseconds(500)
    /// The kernel ends a hold whose process does nothing any more. Longer than both.
    static let timeout = Duration.seconds(2)
    /// Packets of all holds together. Holds of which one more would be kept end then. 100 Mbit/s with a round trip of
    /// 200 ms are 1,800.
    public static let packets = 4_096
    /// Bytes of all holds together.
    public static let bytes = 6 << 20
    /// Most holds at one time.
    public static let holds = 128
    /// Most prefixes of one of them.
    public static let prefixes = 256
    /// Packets that are sent at once in the end, and then in each ``burstInterval``: twice as fast as they came, or a
    /// queue on their way overflows, and within this.
    static let bursts = 16...64
    static let burstInterval = Duration.milliseconds(1)
    /// Packets that are read in one round of the loop.
    static let packetsPerRound = 256
    /// Packets that may wait to be read, in the kernel.
    static let queueLength: UInt32 = 4_096
    /// What is needed for holds is kept for so long after the last one.
    static let idleTime = Duration.seconds(30)
}
