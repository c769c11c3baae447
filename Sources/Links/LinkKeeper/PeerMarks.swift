public import NetworkAddresses
public import SystemCalls
public import WireGuardTypes

/// The peers of one interface that this program made, in a file that outlives it: `/run/kex-link/IFACE.peers`, a key a
/// line. A peer is marked before it is made, so that one that is there is always marked; one that is marked need not be
/// there. With them is what else is needed to take leave of them.
public struct PeerMarks {
    public let path: String
    /// Number of the interface whose peers they are. An interface that was made anew has none of them.
    public private(set) var interface: InterfaceIndex?
    public private(set) var keys: Set<PublicKey> = []
    /// UDP ports at which others take facts and messages, as far as this machine knows.
    public private(set) var ports: Set<UInt16> = []

    /// Most ports. Source: ``FactsPorts``.
    static let maximumPorts = 2
    /// Largest file in bytes.
    static let maximumSize = (ChangeReview.maximumMade + 16) * 64

    /// None, for an interface that nothing was written about.
    public init(path: String) { self.path = path }

    /// Reads the file. A missing one has no marks, and lines that are no keys are passed over: better a peer that stays
    /// than a program that does not start.
    public static func read(path: String) throws(SystemCallError) -> PeerMarks {
        var marks = PeerMarks(path: path)
        guard let bytes = try File.read(path, limit: maximumSize) else { return marks }
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let text = String(decoding: line, as: UTF8.self)
            if text.hasPrefix(Self.interfaceLine) {
                marks.interface = UInt32(text.dropFirst(Self.interfaceLine.utf8.count)).flatMap { InterfaceIndex($0) }
            } else if text.hasPrefix(Self.portLine) {
                guard marks.ports.count < maximumPorts, let port = UInt16(text.dropFirst(Self.portLine.utf8.count))
                else { continue }
                marks.ports.insert(port)
            } else if let key = PublicKey(text: text) {
                marks.keys.insert(key)
            }
        }
        return marks
    }

    private static let interfaceLine = "# interface "
    private static let portLine = "# port "

    /// Writes other marks, so that at any moment the old ones or the new ones are there. Nothing is written if they are
    /// the same.
    ///
    /// - Parameter ports: `nil` leaves them as they are.
    public mutating func set(
        _ keys: Set<PublicKey>,
        interface: InterfaceIndex,
        ports: Set<UInt16>? = nil
    ) throws(SystemCallError) {
        let ports = ports ?? self.ports
        guard keys != self.keys || interface != self.interface || ports != self.ports else { return }
        let head = ["\(Self.interfaceLine)\(interface)"] + ports.sorted().map { "\(Self.portLine)\($0)" }
        let lines = head + keys.map(\.description).sorted()
        try File.replace(path, with: Array((lines.joined(separator: "\n") + "\n").utf8))
        (self.keys, self.interface, self.ports) = (keys, interface, ports)
    }

    /// Takes the file away.
    public mutating func clear() {
        File.remove(path)
        (keys, interface, ports) = ([], nil, [])
    }
}
