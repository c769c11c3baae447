/// How long a test waits for what must happen, in seconds. It ends with the event, so a long one costs nothing where
/// all is well; a short one fails on a machine that has something else to do. No test says how fast something is:
/// `scripts/bench` does, with ratios.
public enum Patience {
    /// For a program, ours or another, to do what takes moments.
    public static let program = 240.0
    /// For a container to do the same, or the whole of a script.
    public static let container = 300.0
    /// For a machine that is emulated, which takes thirty times as long.
    public static let emulatedMachine = 1200.0
}
