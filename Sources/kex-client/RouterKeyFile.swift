internal import Glibc
internal import ConfigurationFiles
internal import SystemPackage
internal import WireGuardTypes

/// The file with the router's private key, in the form of `wg genkey`.
enum RouterKeyFile {
    /// Longest file in bytes: the key and some white space.
    static let maximumSize = 64

    /// Reads the key, or makes one if there is no file. The file is made whole or not at all, and nobody but its owner
    /// can read it.
    ///
    /// - Returns: the key, and whether it is new.
    static func load(path: String) throws(Failure) -> (key: PrivateKey, isNew: Bool) {
        do {
            return (try read(path), false)
        } catch let error as Errno where error == .noSuchFileOrDirectory {
            do {
                return (try make(path), true)
            } catch {
                let folder = path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)
                let isMissing = (error as? Errno) == .noSuchFileOrDirectory
                let advice = isMissing ? "its folder is missing: mkdir -p \(folder)" : "run kex-client as root"
                throw Failure(
                    .system,
                    "cannot make the private key \(path): \(error)"
                        + (isMissing || geteuid() != 0 ? "\n\(advice)" : "")
                )
            }
        } catch let error as Errno {
            throw Failure(.system, "cannot read the private key \(path): \(error) (errno \(error.rawValue))")
        } catch let failure as Failure {
            throw failure
        } catch {
            preconditionFailure("FileDescriptor throws Errno only")
        }
    }

    private static func read(_ path: String) throws -> PrivateKey {
        let file = try FileDescriptor.open(FilePath(path), .readOnly, options: [.closeOnExec])
        return try file.closeAfter {
            var status = stat()
            if unsafe fstat(file.rawValue, &status) == 0 && status.st_mode & 0o077 != 0 {
                say("\(path) can be read by others; using it all the same. To mend it: chmod 600 \(path)")
            }
            let bytes = try unsafe [UInt8](unsafeUninitializedCapacity: maximumSize + 1) { buffer, count in
                count = try unsafe file.read(into: UnsafeMutableRawBufferPointer(buffer))
            }
            let text = String(decoding: ByteOrderMark.text(in: bytes) ?? [], as: UTF8.self).split { $0.isWhitespace }
            guard bytes.count <= maximumSize, text.count == 1, let key = PrivateKey(text: text[0]) else {
                throw Failure(
                    .configuration,
                    "\(path) does not hold a WireGuard private key\nwithout it, up makes a new key: rm \(path)"
                )
            }
            return key
        }
    }

    private static func make(_ path: String) throws -> PrivateKey {
        var bytes = (0..<PublicKey.length).map { _ in UInt8.random(in: 0...255) }
        // Source: RFC 7748, section 5, decodeScalar25519. WireGuard does it too; so the file reads as it is used.
        bytes[0] &= 0xf8
        bytes[31] = bytes[31] & 0x7f | 0x40
        guard let key = PrivateKey(bytes: bytes), let text = PublicKey(bytes: bytes.span) else {
            preconditionFailure("both keys have 32 bytes")
        }
        // Beside the file and then renamed, so that a power cut leaves no empty key behind.
        let temporary = path + ".new"
        let file = try FileDescriptor.open(
            FilePath(temporary),
            .writeOnly,
            options: [.create, .truncate, .closeOnExec],
            permissions: .ownerReadWrite
        )
        try file.closeAfter {
            try file.writeAll("\(text)\n".utf8)
            guard fsync(file.rawValue) == 0 else { throw Errno(rawValue: errno) }
        }
        guard unsafe rename(temporary, path) == 0 else { throw Errno(rawValue: errno) }
        return key
    }
}
