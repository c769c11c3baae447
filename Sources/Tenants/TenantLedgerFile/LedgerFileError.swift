public import SystemCalls
public import TenantLedger

/// Why the file of a ledger could not be used. Nothing was changed.
public enum LedgerFileError: Error, Hashable, Sendable {
    case system(SystemCallError)
    /// What is renamed or written through a link may be elsewhere than somebody thinks.
    case isLink(String)
    case isNoPlainFile(String)
    case isDamaged(String, LedgerDamage)
    case isRefused(String, LedgerRefusal)
    /// Another file was put in its place while it was written. What was written may be lost.
    case wasReplaced(String)
}

extension LedgerFileError: CustomStringConvertible {
    /// A line for each refusal, and one for everything else, that begins with the file, and with the line if there is one.
    public var description: String {
        switch self {
        case .system(let error): "\(error)"
        case .isLink(let path): "\(path) is a symbolic link; name the file itself"
        case .isNoPlainFile(let path): "\(path) is no plain file"
        case .isDamaged(let path, let damage): "\(path):\(damage.line): \(damage.text)"
        case .isRefused(let path, let refusal): refusal.each.map { "\(path): \($0)" }.joined(separator: "\n")
        case .wasReplaced(let path): "\(path) was replaced while it was written, by git? Do it again"
        }
    }
}
