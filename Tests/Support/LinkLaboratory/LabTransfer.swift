import Foundation
import Glibc

/// A transfer over TCP, 20 Mbit/s, and when nothing came for how long. What goes faster shows how fast the laboratory is.
public final class LabTransfer {
    private let receiver: LabProcess
    private let sender: LabProcess
    private var first = 0

    public init(from one: LabMachine, to other: LabMachine, at address: String, port: UInt16 = 5001) throws {
        let name = "transfer-\(UUID().uuidString)"
        receiver = try other.start(["python3", "-c", Self.receiving, address, "\(port)"], log: name)
        try receiver.waitFor(#/ready/#)
        sender = try one.start(["python3", "-c", Self.sending, address, "\(port)"], log: "\(name)-sender")
    }

    /// A line for each tenth of a second: the longest time in it without a byte in milliseconds, and kilobytes. A gap
    /// that is longer is in the line of its end.
    private var lines: [(gap: Double, kilobytes: Double)] {
        receiver.output.matches(of: #/gap ([\d.]+) ([\d.]+)/#).compactMap { match in
            guard let gap = Double(match.output.1), let kilobytes = Double(match.output.2) else { return nil }
            return (gap, kilobytes)
        }
    }

    /// In milliseconds, since ``forget()``.
    public var longestGap: Double { lines.dropFirst(first).map(\.gap).max() ?? 0 }

    /// What was before is not looked at again.
    public func forget() { first = lines.count }

    /// In Mbit/s, since ``forget()``.
    public var rate: Int {
        let parts = lines.dropFirst(first).map(\.kilobytes)
        let sum: Double = parts.reduce(0, +)
        // 8 bits of 1,000 bytes in a tenth of a second.
        return parts.isEmpty ? 0 : Int(sum * 8 / 100 / Double(parts.count))
    }

    /// Waits until it has gone on for so long.
    public func wait(seconds: Int) throws {
        let count = lines.count
        try waitUntil("\(seconds) s of a transfer", seconds: 60) { lines.count >= count + 10 * seconds }
    }

    /// - Throws: if it did not go on to its end.
    public func end() throws {
        sender.end(with: SIGTERM)
        try receiver.waitFor(#/end/#)
    }

    private static let receiving = """
        import socket, sys, time

        listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
        print('ready', flush=True)
        connection, _ = listener.accept()
        last = start = time.monotonic()
        gap = size = 0
        while True:
            count = len(connection.recv(1 << 18))
            now = time.monotonic()
            gap, last, size = max(gap, now - last), now, size + count
            if now >= start + 0.1 or not count:
                print(f'gap {gap * 1000:.1f} {size / 1000:.1f}', flush=True)
                start, gap, size = now, 0, 0
            if not count:
                print('end', flush=True)
                break
        """

    private static let sending = """
        import signal, socket, sys

        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as connection:
            # SO_MAX_PACING_RATE, in bytes a second.
            connection.setsockopt(socket.SOL_SOCKET, 47, 2_500_000)
            while True:
                connection.sendall(bytes(1 << 16))
        """
}
