internal import CLinux

/// The C library's heap, for a process whose lists of all peers come and go.
public enum Heap {
    /// Blocks from this size on have pages of their own. In bytes.
    private static let largeBlock: Int32 = 128 * 1024

    /// Has large blocks go back to the system as soon as they are given up, and threads share one heap. By itself glibc
    /// moves the boundary up to 32 MiB as blocks come and go, and keeps for each thread what that took once. Call it at
    /// the start.
    ///
    /// Source: M_MMAP_THRESHOLD, M_ARENA_MAX of mallopt(3).
    public static func keepSmall() {
        let isSet = mallopt(M_MMAP_THRESHOLD, largeBlock) == 1 && mallopt(M_ARENA_MAX, 1) == 1
        precondition(isSet, "both values are within the limits of mallopt")
    }

    /// Gives what lies free to the system: after a list of many small blocks. Takes a hundredth of the time that such a
    /// list took. Source: malloc_trim(3).
    public static func trim() { malloc_trim(0) }
}
