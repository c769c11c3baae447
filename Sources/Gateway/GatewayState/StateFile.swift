public import KexProtocol
public import SystemCalls
internal import SystemPackage

/// The file of one domain: `DIRECTORY/DOMAIN.state`.
public struct StateFile: Hashable, Sendable {
    public let path: String

    public init(directory: String, domain: DomainName) { path = "\(directory)/\(domain).state" }

    /// What was read.
    public struct Reading: Hashable, Sendable {
        public var state: DomainState
        /// What was lost and where the damaged file is now, for the log; `nil` if the file was whole.
        public var damage: String?
    }

    /// The file's state; `nil` if there is no file. A damaged file gives what is good of it, and is kept as `path` +
    /// `.damaged`, in place of an earlier one.
    ///
    /// - Throws: if it cannot be read.
    public func read() throws(SystemCallError) -> Reading? {
        let bytes: [UInt8]
        do throws(SystemCallError) {
            guard let content = try File.read(path, limit: StateText.maximumSize) else { return nil }
            bytes = content
        } catch {
            guard error.errno == .fileTooLarge else { throw error }
            return Reading(state: StateText.parse([]).state, damage: try keep("it is too large to be ours"))
        }
        let parsed = StateText.parse(bytes)
        guard let damage = parsed.damage else { return Reading(state: parsed.state, damage: nil) }
        return Reading(state: parsed.state, damage: try keep(damage))
    }

    /// What is good of the file, which is left as it is; `nil` if there is none, or if it cannot be read.
    public func peek() -> DomainState? {
        (try? File.read(path, limit: StateText.maximumSize)).map { StateText.parse($0).state }
    }

    private func keep(_ damage: String) throws(SystemCallError) -> String {
        let kept = path + ".damaged"
        try File.rename(path, to: kept)
        return "\(path) was damaged: \(damage); kept as \(kept)"
    }

    /// Replaces the file. After an error the old one is as it was.
    public func write(_ state: DomainState) throws(SystemCallError) {
        try File.replace(path, with: StateText.encode(state))
    }
}
