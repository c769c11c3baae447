internal import Glibc
internal import SystemPackage

/// A plain file that grows at its end, opened for that. What is added is on the disk when ``append(_:)``
/// returns.
public struct AppendFile: ~Copyable {
    public let path: String
    private let file: OwnedDescriptor

    /// Which file this is, whatever it is called.
    public struct Identity: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64
    }

    private init(_ path: String, _ file: consuming OwnedDescriptor) {
        self.path = path
        self.file = file
    }

    /// Opens a file; `nil` if there is none of that name.
    ///
    /// - Parameter toRead: whether nothing is to be added.
    /// - Throws: ELOOP for a symbolic link, EINVAL for what is no plain file, EACCES also if nobody may write a file that
    ///   is to be written: root could, but somebody has said that nobody should.
    public static func open(_ path: String, toRead: Bool = false) throws(SystemCallError) -> AppendFile? {
        do throws(SystemCallError) {
            // A pipe without a reader must not keep us.
            let flags = (toRead ? O_RDONLY : O_RDWR | O_APPEND) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
            let number = try check("open", path) { unsafe Int(Glibc.open(path, flags)) }
            let file = AppendFile(path, OwnedDescriptor(adopting: Int32(number)))
            let status = try file.status()
            guard status.st_mode & S_IFMT == S_IFREG else {
                throw SystemCallError("use", path, errno: .invalidArgument)
            }
            guard toRead || status.st_mode & 0o222 != 0 else {
                throw SystemCallError("write to", path, errno: .permissionDenied)
            }
            return file
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    /// Makes a file that is not there yet, which everybody may read.
    ///
    /// - Throws: EEXIST if something of that name is there.
    public static func make(_ path: String) throws(SystemCallError) -> AppendFile {
        let flags = O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        let number = try check("make", path) { unsafe Int(Glibc.open(path, flags, 0o644)) }
        return AppendFile(path, OwnedDescriptor(adopting: Int32(number)))
    }

    private borrowing func status() throws(SystemCallError) -> stat {
        var status = stat()
        let number = file.raw.rawValue
        _ = try check("look at", path) { unsafe Int(fstat(number, &status)) }
        return status
    }

    public borrowing func identity() throws(SystemCallError) -> Identity { Identity(try status()) }

    /// In bytes.
    public borrowing func size() throws(SystemCallError) -> Int { Int(try status().st_size) }

    /// Whether the file still has its name, and no other file was put in its place.
    public borrowing func isInPlace() throws(SystemCallError) -> Bool {
        var named = stat()
        guard unsafe lstat(path, &named) == 0 else { return false }
        return Identity(named) == Identity(try status())
    }

    /// Some of the bytes from `offset` on, at most `count`; none at the end of the file.
    public borrowing func read(from offset: Int, count: Int) throws(SystemCallError) -> [UInt8] {
        let number = file.raw.rawValue
        var bytes = [UInt8](repeating: 0, count: count)
        let read = try check("read", path) {
            unsafe bytes.withUnsafeMutableBytes { unsafe pread(number, $0.baseAddress, $0.count, off_t(offset)) }
        }
        bytes.removeLast(count - read)
        return bytes
    }

    /// Adds bytes at the end and brings them to the disk. After an error the file is as it was, unless not even that can
    /// be brought about: then it ends with a part of them.
    public borrowing func append(_ bytes: [UInt8]) throws(SystemCallError) {
        let number = file.raw.rawValue
        let size = try size()
        do throws(SystemCallError) {
            var rest = bytes[...]
            while !rest.isEmpty {
                let written = try check("write to", path) {
                    unsafe rest.withUnsafeBytes { unsafe write(number, $0.baseAddress, $0.count) }
                }
                rest = rest.dropFirst(written)
            }
            try synchronize()
        } catch {
            try? cut(to: size)
            throw error
        }
    }

    /// Shortens the file, and brings that to the disk.
    public borrowing func cut(to size: Int) throws(SystemCallError) {
        let number = file.raw.rawValue
        _ = try check("shorten", path) { Int(ftruncate(number, off_t(size))) }
        try synchronize()
    }

    private borrowing func synchronize() throws(SystemCallError) {
        let number = file.raw.rawValue
        _ = try check("write to", path) { Int(fsync(number)) }
    }
}

extension AppendFile.Identity {
    fileprivate init(_ status: stat) { self.init(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)) }
}
