internal import Glibc

/// The machine's own name. Source: gethostname(2), uname(2): at most 64 bytes.
public var machineName: String {
    var bytes = [CChar](repeating: 0, count: 65)
    _ = unsafe gethostname(&bytes, bytes.count)
    return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
