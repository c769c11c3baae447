internal import Glibc
internal import SystemPackage

/// Files that the program makes, and that were not there before.
enum NewFile {
    /// Makes the file with all of `text` in it, or none; `-` is standard output.
    ///
    /// - Parameter permissions: less what the user's mask takes away.
    static func create(
        _ path: String,
        with text: String,
        permissions: FilePermissions = [.ownerReadWrite, .groupRead, .otherRead]
    ) throws(Failure) {
        guard path != "-" else { return write(text, to: STDOUT_FILENO) }
        do {
            let file = try FileDescriptor.open(
                FilePath(path),
                .writeOnly,
                options: [.create, .exclusiveCreate, .closeOnExec],
                permissions: permissions
            )
            do {
                try file.closeAfter { _ = try file.writeAll(text.utf8) }
            } catch {
                unsafe unlink(path)
                throw error
            }
        } catch let error as Errno {
            let hint = error == .fileExists ? "; it stays as it is: name another file" : ""
            throw Failure(.system, "kex-net: cannot write \(path): \(error) (errno \(error.rawValue))\(hint)")
        } catch {
            preconditionFailure("FileDescriptor throws Errno only")
        }
    }
}
