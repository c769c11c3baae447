public import NetworkAddresses
internal import PathProbe
internal import SystemCalls
internal import SystemPackage
public import Time
public import WireGuardTypes

/// The relay for a program that reads the probes itself, and knows who may be relayed to whom.
extension Relay {
    /// A probe that came to a port.
    public struct Arrival: Hashable, Sendable {
        /// Whose port it is.
        public let member: PublicKey
        public let bytes: [UInt8]
        public let source: Endpoint
        /// The address of this machine that it came to; `nil` if the kernel does not say. What is sent back has it.
        public let local: IPv6Address?
    }

    /// Takes what came to a port as ``serve(_:probes:at:)`` does, and leaves the probes to the caller.
    public mutating func serve(_ token: UInt64, at now: MonotonicTime) -> [Arrival] {
        var arrivals: [Arrival] = []
        forward(token, at: now) { relay, index, source, port, _ in
            let bytes = relay.batch.withBytes(index) { bytes in (0..<bytes.count).map { bytes[$0] } }
            let local = relay.batch.local(index)
            arrivals.append(Arrival(member: port.member, bytes: bytes, source: source.endpoint, local: local))
            return false
        }
        return arrivals
    }

    /// A member was heard at the port of another: it has proven that it is there.
    ///
    /// - Parameter local: of the arrival that proved it.
    public mutating func setEnd(
        of sender: PublicKey,
        at source: Endpoint,
        local: IPv6Address?,
        towards member: PublicKey,
        at now: MonotonicTime
    ) {
        guard let slot = slots[member], let port = ports[slot] else { return }
        learn(sender, at: RelayAddress(source), local: local, port, slot, now)
    }

    /// Forgets where two members are when they send to each other's port.
    public mutating func forget(_ one: PublicKey, _ other: PublicKey) { pairs.remove(one, other) }

    /// Sends a packet from the port of a member, without waiting. What the kernel does not take is lost.
    ///
    /// - Parameter local: of the arrival that it answers.
    public func send(_ bytes: [UInt8], to destination: Endpoint, from member: PublicKey, local: IPv6Address?) {
        guard bytes.count <= RelayBatch.longestPacket, let slot = slots[member], let port = ports[slot] else { return }
        batch.replace(0, with: bytes)
        batch.queue(0, to: RelayAddress(destination), from: local)
        _ = batch.flush(over: port.descriptor.raw)
    }
}

extension RelayAddress {
    init(_ endpoint: Endpoint) {
        switch endpoint {
        case .v4(let address, let port): self.init(address: IPv6Address(mapping: address), port: port, scope: 0)
        case .v6(let address, let port, let scope): self.init(address: address, port: port, scope: scope)
        }
    }
}
