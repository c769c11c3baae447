internal import Glibc
internal import SystemCalls
internal import SystemPackage
internal import TenantFile

/// The file of a document, when it is changed.
enum DocumentFile {
    private static let byteOrderMark: [UInt8] = [0xef, 0xbb, 0xbf]

    /// Replaces the file, if it still is what was read. A link stays one, and the file that it leads to is replaced.
    static func replace(_ old: TenantFile, by new: TenantFile) throws(Failure) {
        let path = try target(of: old.path)
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw failure("read", path) }
        let current: [UInt8]?
        do throws(SystemCallError) {
            current = try File.read(path, limit: TenantFile.maximumSize + byteOrderMark.count)
        } catch {
            throw Failure(.system, "kex-net: \(error)")
        }
        // Who reads a document gets it without the mark.
        let mark = current?.starts(with: byteOrderMark) ?? false ? byteOrderMark : []
        guard current == mark + old.bytes else {
            throw Failure(.system, "\(old.path): somebody else has just changed it, so nothing is written; try again")
        }
        do throws(SystemCallError) {
            try File.replace(path, with: mark + new.bytes, mode: status.st_mode & 0o777)
        } catch {
            throw Failure(.system, "kex-net: \(error)")
        }
    }

    private static func target(of path: String) throws(Failure) -> String {
        guard let resolved = unsafe realpath(path, nil) else { throw failure("find", path) }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    private static func failure(_ operation: String, _ path: String) -> Failure {
        Failure(.system, "kex-net: \(SystemCallError(operation, path, errno: Errno(rawValue: errno)))")
    }
}
