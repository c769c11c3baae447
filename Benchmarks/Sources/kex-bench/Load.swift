import Foundation
import Glibc

/// What one run of the generator found.
struct Load: Decodable {
    let count: Int
    let wrong: Int
    let lost: Int
    let sample: String
    let seconds: Double
    /// Microseconds from the first packet to the answer.
    let p50: Double
    let p99: Double
    let max: Double
    /// Half-open connections that were still open at the end.
    let held: Int
    /// Processor seconds, in the order of the processes.
    let cpu: [Double]

    var rate: Double { Double(count) / seconds }

    /// Microseconds of the first process.
    var cpuPerExchange: Double { (cpu.first ?? 0) / Double(count) * 1e6 }

    /// Microseconds of all processes.
    var allCPUPerExchange: Double { cpu.reduce(0, +) / Double(count) * 1e6 }

    /// Wrong answers and lost exchanges of the whole run of this program, and exchanges in all.
    nonisolated(unsafe) static var mistakes = 0
    nonisolated(unsafe) static var total = 0
    nonisolated(unsafe) private static var source = 0

    /// - Parameters:
    ///   - file: an exchange a line.
    ///   - processes: whose time is told.
    static func on(
        _ port: Int,
        _ file: String,
        count: Int,
        connections: Int,
        first: Int = 0,
        processes: [Program],
        burst: Bool = false,
        hold: Int = 0,
        http: HTTPExchange? = nil
    ) throws -> Load {
        let isKept = http?.isKept ?? false
        var words = [
            "load", "\(port)", file, "\(count)", "\(connections)", "--first", "\(first)", "--source",
            "\(isKept ? HTTPExchange.keptSource : source)",
        ]
        if let http { words += ["--http", http.path, http.body] }
        if isKept { words.append("--keep") }
        for program in processes { words += ["--cpu", "\(program.process)"] }
        if burst { words.append("--burst") }
        if hold > 0 { words += ["--hold", "\(hold)"] }
        source += count + hold
        let load = try JSONDecoder().decode(Load.self, from: Data(try run(words).output.utf8))
        total += count
        mistakes += load.wrong + load.lost
        if load.wrong + load.lost > 0 {
            say("wrong: \(load.wrong), lost: \(load.lost) of \(count), the first answer was \"\(load.sample)\"")
        }
        if load.held < hold { say("only \(load.held) of \(hold) connections were held") }
        return load
    }
}

/// How exchanges go over HTTP.
struct HTTPExchange {
    let path: String
    /// Of the right answer, without its line feed.
    let body: String
    /// Whether connections go on for one exchange after the other. Each is a source that asks more often than it may,
    /// so they come from ``keptSources``.
    let isKept: Bool

    static let v1 = "/api/v1/wg/key/exchange"
    static let v2 = "/api/v2/wg/key/exchange"
    /// The right answer to the first, whoever gives it.
    static let v1Body = #"{"Message":"OK"}"#

    /// 127.254.0.0, as the generator counts sources; others do not come so far.
    fileprivate static let keptSource = 0xfd_0000
    static let keptSources = "127.254.0.0/16"
}

/// Lines of exchanges, for the generator.
func exchanges(_ lines: some Sequence<(domain: String, key: String, answer: String)>, in name: String) throws -> String
{
    try Workplace.write(lines.map { "\($0.domain) \($0.key) \($0.answer)\n" }.joined(), to: name)
}

/// Keys of nobody: any 32 bytes are a point on the curve, below the prime they are its canonical name.
func randomKeys(_ count: Int) -> [String] {
    var random = SystemRandomNumberGenerator()
    return (0..<count).map { _ in
        var bytes = (0..<4).flatMap { _ in withUnsafeBytes(of: random.next()) { Array($0) } }
        bytes[31] &= 0x3f
        return Data(bytes).base64EncodedString()
    }
}

/// WireGuard asked directly, as fast as it goes: what remains when there is no gateway around it.
struct BareWireGuard {
    let interface: String

    /// Changes peers in requests of 64, each answered before the next one is sent; returns the seconds.
    func apply(_ keys: [String], _ change: (Int) -> String) throws -> Double {
        let requests = stride(from: 0, to: keys.count, by: 64).map { start in
            "set=1\n"
                + (start..<min(start + 64, keys.count)).map { index in
                    "public_key=\(hexadecimal(keys[index]))\n\(change(index))"
                }.joined() + "\n"
        }
        let socket = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: "/var/run/wireguard/\(interface).sock".utf8) }
        let connected = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else { throw Failure("cannot connect to \(interface)") }
        let start = now()
        var reply = [UInt8](repeating: 0, count: 256)
        for request in requests {
            guard write(socket, request, request.utf8.count) == request.utf8.count else { throw Failure("short write") }
            let count = read(socket, &reply, reply.count)
            guard String(decoding: reply.prefix(max(count, 0)), as: UTF8.self) == "errno=0\n\n" else {
                throw Failure("\(interface) refused")
            }
        }
        return now() - start
    }

    private func hexadecimal(_ key: String) -> String {
        (Data(base64Encoded: key) ?? Data()).map { String(format: "%02x", $0) }.joined()
    }
}
