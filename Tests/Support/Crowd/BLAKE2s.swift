/// The hash of WireGuard, with and without a key. Source: RFC 7693. libsodium has only its larger sister.
struct BLAKE2s {
    static let blockSize = 64

    private static let start: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    private static let order: [[Int]] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4], [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13], [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11], [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5], [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
    ]

    static func hash(_ bytes: [UInt8], key: [UInt8] = [], count: Int = 32) -> [UInt8] {
        var state = start
        state[0] ^= 0x0101_0000 ^ UInt32(key.count) << 8 ^ UInt32(count)
        var input = bytes
        if !key.isEmpty { input = key + [UInt8](repeating: 0, count: blockSize - key.count) + bytes }
        let blocks = max((input.count + blockSize - 1) / blockSize, 1)
        for block in 0..<blocks {
            let part = input[(block * blockSize)..<min((block + 1) * blockSize, input.count)]
            let isLast = block == blocks - 1
            compress(&state, part, total: UInt32(isLast ? input.count : (block + 1) * blockSize), isLast: isLast)
        }
        return Array(
            state.flatMap {
                [
                    UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8),
                    UInt8(truncatingIfNeeded: $0 >> 16), UInt8($0 >> 24),
                ]
            }
            .prefix(count)
        )
    }

    private static func compress(_ state: inout [UInt32], _ block: ArraySlice<UInt8>, total: UInt32, isLast: Bool) {
        var words = [UInt32](repeating: 0, count: 16)
        for (index, byte) in block.enumerated() { words[index / 4] |= UInt32(byte) << UInt32(index % 4 * 8) }
        var work = state + start
        work[12] ^= total
        if isLast { work[14] = ~work[14] }
        func mix(_ a: Int, _ b: Int, _ c: Int, _ d: Int, _ x: UInt32, _ y: UInt32) {
            work[a] = work[a] &+ work[b] &+ x
            work[d] = turn(work[d] ^ work[a], 16)
            work[c] = work[c] &+ work[d]
            work[b] = turn(work[b] ^ work[c], 12)
            work[a] = work[a] &+ work[b] &+ y
            work[d] = turn(work[d] ^ work[a], 8)
            work[c] = work[c] &+ work[d]
            work[b] = turn(work[b] ^ work[c], 7)
        }
        for row in order {
            mix(0, 4, 8, 12, words[row[0]], words[row[1]])
            mix(1, 5, 9, 13, words[row[2]], words[row[3]])
            mix(2, 6, 10, 14, words[row[4]], words[row[5]])
            mix(3, 7, 11, 15, words[row[6]], words[row[7]])
            mix(0, 5, 10, 15, words[row[8]], words[row[9]])
            mix(1, 6, 11, 12, words[row[10]], words[row[11]])
            mix(2, 7, 8, 13, words[row[12]], words[row[13]])
            mix(3, 4, 9, 14, words[row[14]], words[row[15]])
        }
        for index in 0..<8 { state[index] ^= work[index] ^ work[index + 8] }
    }

    private static func turn(_ word: UInt32, _ bits: UInt32) -> UInt32 { word >> bits | word << (32 - bits) }

    /// HMAC as of RFC 2104.
    static func authenticate(_ bytes: [UInt8], key: [UInt8]) -> [UInt8] {
        let key = key + [UInt8](repeating: 0, count: blockSize - key.count)
        return hash(key.map { $0 ^ 0x5c } + hash(key.map { $0 ^ 0x36 } + bytes))
    }
}
