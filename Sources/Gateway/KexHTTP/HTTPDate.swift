internal import Glibc

/// The time in the form of the field `Date`. Source: RFC 9110, section 5.6.7, IMF-fixdate. The names are English,
/// because no program of this package sets a locale.
func httpDate(_ time: time_t = time(nil)) -> String {
    var (time, parts) = unsafe (time, tm())
    unsafe gmtime_r(&time, &parts)
    var text = [CChar](repeating: 0, count: 32)
    let count = unsafe strftime(&text, text.count, "%a, %d %b %Y %H:%M:%S GMT", &parts)
    return String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
