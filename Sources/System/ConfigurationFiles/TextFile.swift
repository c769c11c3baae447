internal import SystemPackage

/// The text of a regular file of at most `limit` bytes, without a byte order mark.
///
/// - Parameter advice: what to do if there is no such file, in words that follow a semicolon.
package func contents(
    ofFile path: String,
    limit: Int,
    ifMissing advice: String? = nil
) throws(ConfigurationError) -> [UInt8] {
    func failure(_ reason: String) -> ConfigurationError {
        ConfigurationError([ConfigurationMistake(at: ConfigurationLocation(file: path, line: nil), reason)])
    }
    do {
        let file = try FileDescriptor.open(FilePath(path), .readOnly, options: [.closeOnExec])
        return try file.closeAfter {
            var bytes: [UInt8] = []
            while bytes.count <= limit {
                let part = try unsafe [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
                    count = try unsafe file.read(into: UnsafeMutableRawBufferPointer(buffer))
                }
                if part.isEmpty {
                    guard let text = ByteOrderMark.text(in: bytes) else {
                        throw failure("text in UTF-16, and only UTF-8 is read: iconv -f UTF-16 -t UTF-8 makes it")
                    }
                    return text
                }
                bytes += part
            }
            throw failure("file of more than \(limit) bytes")
        }
    } catch let error as Errno {
        let hint: String? =
            switch error {
            case .noSuchFileOrDirectory: advice
            case .permissionDenied: "the user that this program runs as must be able to read it"
            default: nil
            }
        throw failure("cannot read: \(error) (errno \(error.rawValue))\(hint.map { "; \($0)" } ?? "")")
    } catch let error as ConfigurationError {
        throw error
    } catch {
        preconditionFailure("FileDescriptor throws Errno only")
    }
}
