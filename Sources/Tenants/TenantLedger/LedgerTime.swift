/// A time in a ledger: whole seconds, written as people read them.
public struct LedgerTime: Hashable, Sendable, Comparable {
    /// Since 1970, without leap seconds.
    public let seconds: Int64

    /// The last second of the year 9999, which is the last that has a text.
    public static let latest = LedgerTime(unchecked: 253_402_300_799)

    /// Before 1970 counts as 1970, and what is later than ``latest`` as that.
    public init(seconds: Int64) { self.init(unchecked: min(max(seconds, 0), Self.latest.seconds)) }

    private init(unchecked seconds: Int64) { self.seconds = seconds }

    public static func + (time: LedgerTime, span: Duration) -> LedgerTime {
        let (sum, isTooLate) = time.seconds.addingReportingOverflow(span.components.seconds)
        return isTooLate ? (span < .zero ? LedgerTime(seconds: 0) : latest) : LedgerTime(seconds: sum)
    }

    public static func < (one: LedgerTime, other: LedgerTime) -> Bool { one.seconds < other.seconds }

    /// Reads `2026-11-29T06:30:00Z`, and no other form of RFC 3339.
    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard bytes.count == 20 else { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            var value: Int64 = 0
            for byte in bytes[range] {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
                value = value * 10 + Int64(byte - UInt8(ascii: "0"))
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19), year >= 1970, hour < 24, minute < 60,
            second < 60
        else { return nil }
        let days = Self.days(year: year, month: month, day: day)
        self.init(unchecked: (days * 24 + hour) * 3600 + minute * 60 + second)
        // The marks between the numbers, the length of the month: what is not written like this is not read.
        guard (1...12).contains(month), description.utf8.elementsEqual(bytes) else { return nil }
    }

    /// Days since 1970 of a date. The year is thought to begin in March, so that the leap day is its last.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month > 2 ? year : year - 1
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
    }
}

extension LedgerTime: CustomStringConvertible {
    /// `2026-11-29T06:30:00Z`.
    public var description: String {
        let days = seconds / 86400 + 719_468
        let (era, dayOfEra) = days.quotientAndRemainder(dividingBy: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        let second = seconds % 86400
        func digits(_ number: Int64, _ count: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(count - text.utf8.count, 0)) + text
        }
        return "\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2))T"
            + "\(digits(second / 3600, 2)):\(digits(second / 60 % 60, 2)):\(digits(second % 60, 2))Z"
    }
}
