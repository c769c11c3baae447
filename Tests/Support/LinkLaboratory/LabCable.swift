import Foundation

/// A cable between a router and the internet that carries each frame later, or not at all. Nobody sees it.
///
/// This kernel's traffic control has no such thing (netem), so a program does it.
public final class LabCable {
    private let process: LabProcess

    /// - Parameter ends: where the two cables end that the program is between, each as namespace and interface.
    init(in laboratory: LinkLaboratory, namespace: String, ends: [(namespace: String, interface: String)]) throws {
        for end in ends {
            let words = ["ip", "netns", "exec", end.namespace, "python3", "-c", Self.preparation, end.interface]
            let result = try laboratory.run(words)
            guard result.status == 0 else { throw LabFailure("cable of \(end): \(result.errors)") }
        }
        let words = ["ip", "netns", "exec", namespace, "python3", "-c", Self.program, "inside", "outside"]
        process = laboratory.keep(try LabProcess(words, log: "\(laboratory.folder)/\(namespace).cable"))
        try process.waitFor(#/ready/#)
    }

    /// What is sent from now on takes so long to the other end, in each direction.
    public func delay(_ duration: Duration) throws {
        try say("delay \(Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18)")
    }

    /// So much of what is sent is lost, by chance: 0 to 1.
    public func lose(_ part: Double) throws { try say("lose \(part)") }

    /// Nothing is carried any more, and nobody is told.
    public func cut() throws { try lose(1) }

    public func repair() throws { try lose(0) }

    private func say(_ line: String) throws {
        let count = process.output.matches(of: #/done/#).count
        try process.say(line)
        try waitUntil("the cable does as it is told") { process.output.matches(of: #/done/#).count > count }
    }

    /// A veth sends frames without checksums, and several as one: it leaves that to whoever takes them, which is not what
    /// a program can do. Source: ETHTOOL_STXCSUM, ETHTOOL_STSO and ETHTOOL_SGSO of `linux/ethtool.h`.
    private static let preparation = """
        import array, fcntl, socket, struct, sys

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            for command in 0x24, 0x1f, 0x17:
                value = array.array('B', struct.pack('II', command, 0))
                request = struct.pack('16sP', sys.argv[1].encode(), value.buffer_info()[0])
                fcntl.ioctl(any_socket, 0x8946, request + bytes(16))
        """

    private static let program = """
        import array, fcntl, heapq, os, random, select, socket, struct, sys, time

        ALL, PACKET, MEMBERSHIP, PROMISCUOUS, OUTGOING = 3, 263, 1, 1, 4

        def open_end(name):
            end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            end.bind((name, ALL))
            index = socket.if_nametoindex(name)
            end.setsockopt(PACKET, MEMBERSHIP, struct.pack('iHH8s', index, PROMISCUOUS, 0, b''))
            end.setblocking(False)
            return end

        ends = [open_end(name) for name in sys.argv[1:3]]
        delay, lose, due, number, text = 0.0, 0.0, [], 0, b''
        poll = select.poll()
        for end in ends:
            poll.register(end, select.POLLIN)
        poll.register(0, select.POLLIN)
        print('ready', flush=True)
        while True:
            wait = max(due[0][0] - time.monotonic(), 0) * 1000 if due else None
            for descriptor, _ in poll.poll(wait):
                if descriptor == 0:
                    read = os.read(0, 4096)
                    if not read:
                        sys.exit()
                    text += read
                    while b'\\n' in text:
                        line, text = text.split(b'\\n', 1)
                        word, value = line.split()
                        if word == b'delay':
                            delay = float(value)
                        else:
                            lose = float(value)
                        print('done', flush=True)
                    continue
                side = 0 if ends[0].fileno() == descriptor else 1
                for _ in range(200):
                    try:
                        frame, address = ends[side].recvfrom(65536)
                    except BlockingIOError:
                        break
                    if address[2] == OUTGOING or random.random() < lose:
                        continue
                    number += 1
                    heapq.heappush(due, (time.monotonic() + delay, number, side, frame))
            now = time.monotonic()
            while due and due[0][0] <= now:
                _, _, side, frame = heapq.heappop(due)
                try:
                    ends[1 - side].send(frame)
                except OSError:
                    pass
        """
}
