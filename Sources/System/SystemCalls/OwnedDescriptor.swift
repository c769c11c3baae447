internal import Glibc
public import SystemPackage

/// A file descriptor with exactly one owner. It is closed when the owner goes away.
public struct OwnedDescriptor: ~Copyable, Sendable {
    /// The descriptor on loan: use it while the owner lives, do not close it.
    public let raw: FileDescriptor

    /// Takes over a descriptor that nobody else will close.
    public init(adopting raw: FileDescriptor) { self.raw = raw }

    /// Takes over what a system call returned.
    init(adopting number: Int32) { raw = FileDescriptor(rawValue: number) }

    deinit {
        // EBADF means that somebody else closed our descriptor, and may since have been given its number: a bug that
        // would next close a stranger's connection. Every other error of close(2) has closed it all the same.
        let result = Glibc.close(raw.rawValue)
        precondition(result == 0 || errno != EBADF, "descriptor \(raw.rawValue) was closed behind its owner's back")
    }

    /// Hands the descriptor on. The new owner closes it.
    public consuming func release() -> FileDescriptor {
        let raw = self.raw
        discard self
        return raw
    }
}
