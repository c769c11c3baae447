/// Numbers of the two-line protocol.
public enum ProtocolLimit {
    /// TCP port of the exchange. Source: the deployed gateways and their routers.
    public static let port: UInt16 = 10012

    /// Longest line in bytes, without its line feed. Source: the deployed gateways, which read at most 64 characters.
    public static let lineLength = 64
    /// Time for each line, from when it is first waited for; bytes that arrive do not prolong it. Source: the deployed
    /// gateways.
    public static let lineTime = Duration.seconds(5)
}
