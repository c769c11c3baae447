internal import CLinux
internal import Glibc
public import SystemCalls
public import SystemPackage

/// Turns signals into something to read, so that they are handled between events like everything else.
///
/// To be made before the first thread starts: threads inherit what is blocked. Source: signalfd(2).
public struct SignalReceiver: ~Copyable {
    /// The signals that end or nudge a service, by their numbers on Linux.
    public enum Signal: Int32, CaseIterable, Sendable {
        case hangup = 1
        case interrupt = 2
        case terminate = 15
    }

    private let owned: OwnedDescriptor

    /// Blocks the signals, and ignores SIGPIPE: a connection that is gone is an error of the call that finds out.
    public init(for signals: Set<Signal>) throws(SystemCallError) {
        _ = Glibc.signal(SIGPIPE, SIG_IGN)
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal.rawValue) }
        let result = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        precondition(result == 0, "pthread_sigmask fails only for an unknown operation")
        let flags = Int32(SFD_CLOEXEC | SFD_NONBLOCK)
        let number = try check("create", "a signal descriptor") { unsafe Int(signalfd(-1, &set, flags)) }
        owned = OwnedDescriptor(adopting: FileDescriptor(rawValue: Int32(number)))
    }

    /// Readable when a signal waits.
    public var descriptor: FileDescriptor { owned.raw }

    /// The next signal, `nil` if none waits.
    public func next() throws(SystemCallError) -> Signal? {
        var information = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        do throws(SystemCallError) {
            _ = try check("read", "a signal") { unsafe read(owned.raw.rawValue, &information, size) }
        } catch {
            guard error.errno == .resourceTemporarilyUnavailable else { throw error }
            return nil
        }
        guard let signal = Signal(rawValue: Int32(information.ssi_signo)) else {
            preconditionFailure("signal \(information.ssi_signo) was not asked for")
        }
        return signal
    }
}
