/// The path that a request is about.
///
/// Deployed servers (waitress and Werkzeug, measured) decode what is percent-encoded, and drop all slashes at the
/// beginning but one. Firmware relies on that: with `broker = 'host/'` in its site it asks for `//api/…`. Deployed
/// servers redirect several slashes elsewhere, which no router follows. Here they count as one as well.
struct RequestPath {
    let text: String

    /// - Parameter target: as in the request's first line: a path, or a whole URL.
    init(target: String) {
        let path = Self.withoutAuthority(Array(target.utf8)).prefix {
            $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#")
        }
        text = Self.merged(Self.decoded(Array(path)))
    }

    /// The part behind the host of a URL; the whole target if it is no URL.
    private static func withoutAuthority(_ target: [UInt8]) -> ArraySlice<UInt8> {
        let scheme = target.prefix { $0 != UInt8(ascii: ":") && $0 != UInt8(ascii: "/") }
        guard !scheme.isEmpty, target[scheme.endIndex...].starts(with: Array("://".utf8)) else { return target[...] }
        return target[(scheme.endIndex + 3)...].drop {
            $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#")
        }
    }

    /// A percent sign that begins no escape stays as it is.
    private static func decoded(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count, let high = digit(bytes[index + 1]),
                let low = digit(bytes[index + 2])
            {
                result.append(high << 4 | low)
                index += 3
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return result
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        byte < 0x80 ? Character(Unicode.Scalar(byte)).hexDigitValue.map { UInt8($0) } : nil
    }

    private static func merged(_ bytes: [UInt8]) -> String {
        var result: [UInt8] = []
        for byte in bytes where byte != UInt8(ascii: "/") || result.last != byte { result.append(byte) }
        return String(decoding: result, as: UTF8.self)
    }
}
