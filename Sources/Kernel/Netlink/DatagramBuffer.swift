internal import Glibc

/// Room for what a socket receives, used again and again. Sockets that are never used at the same time may share one:
/// whoever holds a hundred of them, each for one interface, saves megabytes.
public final class DatagramBuffer {
    /// In bytes. Enough for the longest datagram of netlink, whose dumps come in parts of 32 KiB at most (measured).
    public static let size = 65536

    package var bytes = [UInt8](repeating: 0, count: size)

    public init() {}

    /// Overwrites what was received.
    package func wipe() {
        unsafe bytes.withUnsafeMutableBytes { unsafe explicit_bzero($0.baseAddress!, $0.count) }
    }
}
