internal import Glibc
internal import SystemPackage

/// Whole files, read and replaced at once.
public enum File {
    /// The content of a file; `nil` if there is none of that name.
    ///
    /// - Parameter limit: largest size in bytes.
    /// - Throws: EFBIG for a larger file, of which nothing is kept in memory.
    public static func read(_ path: String, limit: Int) throws(SystemCallError) -> [UInt8]? {
        do throws(SystemCallError) {
            return try content(of: try open(path, .readOnly, [.closeOnExec, .nonBlocking], "read"), path, limit)
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    private static func content(
        of file: borrowing OwnedDescriptor,
        _ path: String,
        _ limit: Int
    ) throws(SystemCallError) -> [UInt8] {
        let number = file.raw.rawValue
        var bytes: [UInt8] = []
        var portion = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = try check("read", path) {
                unsafe portion.withUnsafeMutableBytes { unsafe Glibc.read(number, $0.baseAddress, $0.count) }
            }
            if count == 0 { return bytes }
            guard bytes.count + count <= limit else { throw SystemCallError("read", path, errno: .fileTooLarge) }
            bytes += portion.prefix(count)
        }
    }

    /// Replaces a file, or makes it, so that at any moment, power cuts included, either the old content is there or the
    /// new one.
    ///
    /// The new content is written beside it, to `path` + `.new`, brought to the disk, and renamed. After an error the
    /// old file is as it was.
    ///
    /// - Parameter mode: who may read and write it, if the umask does not say less; by itself its owner alone.
    /// - Throws: ENOSPC, EROFS, and what else open(2), write(2), fsync(2) and rename(2) have.
    public static func replace(_ path: String, with bytes: [UInt8], mode: UInt32 = 0o600) throws(SystemCallError) {
        let new = path + ".new"
        do throws(SystemCallError) {
            // What an earlier attempt left; a link that somebody put there is not followed.
            unsafe unlink(new)
            let file = try open(new, .writeOnly, [.create, .exclusiveCreate, .closeOnExec, .noFollow], "write", mode)
            let number = file.raw.rawValue
            var rest = bytes[...]
            while !rest.isEmpty {
                let written = try check("write", new) {
                    unsafe rest.withUnsafeBytes { unsafe write(number, $0.baseAddress, $0.count) }
                }
                rest = rest.dropFirst(written)
            }
            _ = try check("write", new) { Int(fsync(number)) }
            try rename(new, to: path)
        } catch {
            unsafe unlink(new)
            throw error
        }
        try synchronizeDirectory(of: path)
    }

    /// Brings the name of a new file to the disk: it is there when its directory is.
    public static func synchronizeDirectory(of path: String) throws(SystemCallError) {
        let folder = directory(of: path)
        let directory = try open(folder, .readOnly, [.closeOnExec, .directory], "write to")
        let number = directory.raw.rawValue
        _ = try check("write to", folder) { Int(fsync(number)) }
    }

    /// Gives a file another name. What had that name is gone.
    public static func rename(_ path: String, to new: String) throws(SystemCallError) {
        _ = try check("rename", path) { unsafe Int(Glibc.rename(path, new)) }
    }

    /// Takes a file away, if it is there.
    public static func remove(_ path: String) { unsafe unlink(path) }

    /// Whether there is something of that name that this process may know of.
    public static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    /// A lock that ends with the descriptor, or with the process; `nil` if somebody else has it. The file is made if it
    /// is not there, and stays. Source: flock(2).
    public static func lock(_ path: String) throws(SystemCallError) -> OwnedDescriptor? {
        let file = try open(path, .readWrite, [.create, .closeOnExec, .noFollow], "lock")
        let number = file.raw.rawValue
        do throws(SystemCallError) {
            _ = try check("lock", path) { Int(flock(number, LOCK_EX | LOCK_NB)) }
            return file
        } catch {
            guard error.errno == .wouldBlock else { throw error }
            return nil
        }
    }

    /// The same lock, waited for.
    ///
    /// - Parameter whenBusy: called before the wait, if somebody else has it.
    public static func lock(_ path: String, whenBusy: () -> Void) throws(SystemCallError) -> OwnedDescriptor {
        if let file = try lock(path) { return file }
        whenBusy()
        let file = try open(path, .readWrite, [.create, .closeOnExec, .noFollow], "lock")
        let number = file.raw.rawValue
        _ = try check("lock", path) { Int(flock(number, LOCK_EX)) }
        return file
    }

    /// The names in a folder, in byte order; none if there is no such folder.
    public static func names(in folder: String) throws(SystemCallError) -> [String] {
        guard let stream = unsafe opendir(folder) else {
            let failure = Errno(rawValue: errno)
            if failure == .noSuchFileOrDirectory { return [] }
            throw SystemCallError("list", folder, errno: failure)
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Makes a folder for its owner alone. If it is there already, nothing is done.
    ///
    /// - Parameter mode: who may do what with it, if the umask does not say less.
    public static func makeDirectory(_ path: String, mode: UInt32 = 0o700) throws(SystemCallError) {
        do throws(SystemCallError) {
            _ = try check("make", path) { unsafe Int(mkdir(path, mode)) }
        } catch {
            guard error.errno == .fileExists else { throw error }
        }
    }

    private static func open(
        _ path: String,
        _ mode: FileDescriptor.AccessMode,
        _ options: FileDescriptor.OpenOptions,
        _ operation: String,
        _ permissions: UInt32 = 0o600
    ) throws(SystemCallError) -> OwnedDescriptor {
        let number = try check(operation, path) {
            unsafe Int(Glibc.open(path, mode.rawValue | options.rawValue, permissions))
        }
        return OwnedDescriptor(adopting: FileDescriptor(rawValue: Int32(number)))
    }

    private static func directory(of path: String) -> String {
        guard let end = path.lastIndex(of: "/") else { return "." }
        return end == path.startIndex ? "/" : String(path[..<end])
    }
}
