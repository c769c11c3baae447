internal import SystemCalls
internal import SystemPackage
public import TenantLedger

/// The file of a ledger. One process at a time changes it, and all may read it.
///
/// Beside it is a file for the lock, `path` + `.lock`, which stays there empty.
public final class LedgerFile {
    public let path: String
    private let limit: Int
    private let notice: (LedgerNotice) -> Void

    private var ledger = Ledger()
    /// What of the file is in ``ledger``: of which file, and how many bytes.
    private var known: (file: AppendFile.Identity, size: Int)?
    private var tail = Ledger.Tail.nothing

    /// - Parameters:
    ///   - limit: largest file in bytes.
    ///   - notice: told what takes long.
    public init(
        path: String,
        limit: Int = Ledger.maximumSize,
        notice: @escaping (LedgerNotice) -> Void = { _ in }
    ) {
        self.path = path
        self.limit = limit
        self.notice = notice
    }

    /// What the file says now; an empty ledger if there is none. A line that somebody is just writing does not count.
    public func read() throws(LedgerFileError) -> Ledger {
        if let file = try open(toRead: true) { try catchUp(file) } else { forget() }
        return ledger
    }

    /// Changes the ledger while nobody else does. When this returns, what `body` asked for is on the disk; when it
    /// throws, nobody may be told of it.
    public func update<Result>(
        _ body: (inout Ledger) throws(LedgerRefusal) -> Result
    ) throws(LedgerFileError) -> Result {
        let lock = try lock()
        defer { _ = lock.raw }
        if let file = try open(toRead: false) {
            try catchUp(file)
            try mend(file)
            let result = try run(body)
            try write(to: file, isNew: false)
            return result
        }
        forget()
        let result = try run(body)
        if !ledger.unwritten.isEmpty { try write(to: try make(), isNew: true) }
        return result
    }

    /// Replaces a file in which git left the marks of a merge by one with the lines of both sides.
    ///
    /// - Returns: whether there were marks.
    public func takeBothSides() throws(LedgerFileError) -> Bool {
        let lock = try lock()
        defer { _ = lock.raw }
        guard try open(toRead: false) != nil else { return false }
        forget()
        do throws(SystemCallError) {
            guard let text = try File.read(path, limit: limit), let lines = ConflictMarks.takingBothSides(of: text)
            else { return false }
            try File.replace(path, with: lines, mode: 0o644)
            return true
        } catch {
            throw .system(error)
        }
    }

    // MARK: The file

    private func lock() throws(LedgerFileError) -> OwnedDescriptor {
        let name = path + ".lock"
        do throws(SystemCallError) {
            return try File.lock(name) { notice(.waits(name)) }
        } catch {
            throw .system(error)
        }
    }

    private func open(toRead: Bool) throws(LedgerFileError) -> AppendFile? {
        do throws(SystemCallError) {
            return try AppendFile.open(path, toRead: toRead)
        } catch {
            switch (error.operation, error.errno) {
            case ("open", .tooManySymbolicLinkLevels): throw .isLink(path)
            case ("use", .invalidArgument): throw .isNoPlainFile(path)
            default: throw .system(error)
            }
        }
    }

    private func make() throws(LedgerFileError) -> AppendFile {
        do throws(SystemCallError) { return try AppendFile.make(path) } catch { throw .system(error) }
    }

    private func forget() {
        ledger = Ledger()
        known = nil
        tail = .nothing
    }

    /// Most bytes that are read at once.
    private static let stride = 1 << 20

    /// Reads what the file has and ``ledger`` has not.
    private func catchUp(_ file: borrowing AppendFile) throws(LedgerFileError) {
        let identity = try identity(of: file)
        let size = try size(of: file)
        // What came in the place of the file we know is another, and so is one that has become shorter.
        if known?.file != identity || tail != .nothing || size < known?.size ?? 0 { forget() }
        var whole = known?.size ?? 0
        known = nil
        var rest: [UInt8] = []
        while true {
            let part = try part(of: file, from: whole + rest.count)
            if part.isEmpty { break }
            rest += part
            guard let end = rest.lastIndex(of: 0x0a) else { continue }
            try take { ledger throws(LedgerDamage) in try ledger.read(rest[...end]) }
            whole += end + 1
            rest.removeFirst(end + 1)
            notice(.read(path, whole, of: size))
        }
        tail = try take { ledger throws(LedgerDamage) in try ledger.finish(rest) }
        known = (identity, whole)
    }

    private func take<Result>(
        _ reading: (inout Ledger) throws(LedgerDamage) -> Result
    ) throws(LedgerFileError) -> Result {
        do throws(LedgerDamage) {
            return try reading(&ledger)
        } catch {
            forget()
            throw .isDamaged(path, error)
        }
    }

    private func part(of file: borrowing AppendFile, from offset: Int) throws(LedgerFileError) -> [UInt8] {
        do throws(SystemCallError) {
            let part = try file.read(from: offset, count: Self.stride)
            guard offset + part.count <= limit else { throw SystemCallError("read", path, errno: .fileTooLarge) }
            return part
        } catch {
            throw .system(error)
        }
    }

    private func identity(of file: borrowing AppendFile) throws(LedgerFileError) -> AppendFile.Identity {
        do throws(SystemCallError) { return try file.identity() } catch { throw .system(error) }
    }

    private func size(of file: borrowing AppendFile) throws(LedgerFileError) -> Int {
        do throws(SystemCallError) { return try file.size() } catch { throw .system(error) }
    }

    /// Brings the last line in order that a writer could not finish.
    private func mend(_ file: borrowing AppendFile) throws(LedgerFileError) {
        guard let (identity, whole) = known, tail != .nothing else { return }
        let size = try size(of: file)
        do throws(SystemCallError) {
            switch tail {
            case .nothing: break
            case .lacksLineFeed: try file.append([0x0a])
            case .unfinished: try file.cut(to: whole)
            }
        } catch {
            forget()
            throw .system(error)
        }
        known = (identity, tail == .lacksLineFeed ? size + 1 : whole)
        tail = .nothing
    }

    private func run<Result>(
        _ body: (inout Ledger) throws(LedgerRefusal) -> Result
    ) throws(LedgerFileError) -> Result {
        do throws(LedgerRefusal) {
            return try body(&ledger)
        } catch {
            // What it had written before it was refused is not to be.
            if !ledger.unwritten.isEmpty { forget() }
            throw .isRefused(path, error)
        }
    }

    private func write(to file: borrowing AppendFile, isNew: Bool) throws(LedgerFileError) {
        let bytes = ledger.unwritten
        guard !bytes.isEmpty else { return }
        let isInPlace: Bool
        do throws(SystemCallError) {
            let size = try file.size()
            guard size + bytes.count <= limit else { throw SystemCallError("write to", path, errno: .fileTooLarge) }
            try file.append(bytes)
            if isNew { try File.synchronizeDirectory(of: path) }
            isInPlace = try file.isInPlace()
            known = (try file.identity(), size + bytes.count)
        } catch {
            forget()
            if isNew { File.remove(path) }
            throw .system(error)
        }
        // Git puts another file in its place when it changes it, and takes no lock.
        guard isInPlace else {
            forget()
            throw .wasReplaced(path)
        }
        ledger.didWrite()
    }
}

/// What takes long.
public enum LedgerNotice: Hashable, Sendable {
    /// Somebody else has the lock.
    case waits(String)
    /// So many bytes of a file have been read.
    case read(String, Int, of: Int)
}
