internal import Glibc

/// Standard input as lines, in constant memory.
enum StandardInput {
    /// Calls `body` with each line, without its line feed, until it returns `false`. The last line may lack its line
    /// feed. Of a line longer than `limit` bytes only the first `limit` are kept, whatever its length.
    static func forEachLine(limit: Int, _ body: (ArraySlice<UInt8>) -> Bool) {
        var buffer = [UInt8](repeating: 0, count: 65536)
        var line: [UInt8] = []
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(STDIN_FILENO, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            var rest = buffer[..<count]
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                line += rest[..<end].prefix(limit - line.count)
                guard body(line[...]) else { return }
                line.removeAll(keepingCapacity: true)
                rest = rest[(end + 1)...]
            }
            line += rest.prefix(limit - line.count)
        }
        if !line.isEmpty { _ = body(line[...]) }
    }
}
