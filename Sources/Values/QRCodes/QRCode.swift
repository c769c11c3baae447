internal import CQREncode

/// A text as squares that a camera reads.
public struct QRCode: Hashable, Sendable {
    /// Longest text in bytes: what the largest code has room for as it is made here. Source: ISO/IEC 18004, table 7:
    /// version 40, level L, bytes.
    public static let maximumLength = 2953
    /// Width in modules of the light border, without which cameras may not find the code. Source: ISO/IEC 18004, section
    /// 9.1.
    public static let border = 4

    /// Modules of a side, without the border.
    public let width: Int
    /// Row by row.
    private let dark: [Bool]

    /// Returns `nil` for an empty text, and for one longer than ``maximumLength``.
    ///
    /// A screen is clean and bright, so the code has the lowest level of error correction, and is as small as can be.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard (1...Self.maximumLength).contains(bytes.count),
            let code = unsafe QRcode_encodeData(Int32(bytes.count), bytes, 0, QR_ECLEVEL_L)
        else { return nil }
        defer { unsafe QRcode_free(code) }
        let width = unsafe Int(code.pointee.width)
        let modules = unsafe UnsafeBufferPointer(start: code.pointee.data, count: width * width)
        self.width = width
        // Source: qrencode.h: the lowest bit says whether a module is dark.
        dark = unsafe modules.map { $0 & 1 == 1 }
    }

    /// Whether a module is dark; outside the code, as in the border, all are light.
    public func isDark(row: Int, column: Int) -> Bool {
        guard (0..<width).contains(row), (0..<width).contains(column) else { return false }
        return dark[row * width + column]
    }
}
