/// Something that two machines with WireGuard do, and what comes of it: played by a model, by wireguard-go and by the
/// kernel.
public struct Scene: Sendable, CustomStringConvertible {
    public enum Machine: String, CaseIterable, Sendable {
        case a, b
    }

    /// Where a machine looks for the other one.
    public enum Place: String, Sendable {
        case first
        /// The other machine's second address.
        case second
        /// Nobody is there, and nobody says so.
        case dead
    }

    public enum Step: Sendable {
        /// One message about the other machine as a peer. With `renewed` it is removed first, by the same message.
        case set(Machine, renewed: Bool = false, Place? = nil, keepalive: Int? = nil)
        /// One packet for the other machine.
        case send(Machine)
        /// Both at the same time, as far as possible.
        case together([Step])
        /// Milliseconds.
        case wait(Int)
        /// Packets for the other machine are kept from now on.
        case hold(Machine)
        /// The allowed IP of the other machine goes from the hub to the pair.
        case move(Machine)
        /// What was kept is sent, and what comes is not kept any more.
        case release(Machine)
    }

    /// When something was seen, after the last step.
    public enum Outcome: String, CaseIterable, Sendable {
        case atOnce = "at once"
        case afterFour = "after about 4 s"
        case afterFive = "after about 5 s"
        /// Or never.
        case later = "later"

        /// WireGuard tries again after 5 s and up to a third of a second. Slow machines have a second more.
        public init(seconds: Double?) {
            switch seconds {
            case let seconds? where seconds < 2.5: self = .atOnce
            case let seconds? where seconds < 4.7: self = .afterFour
            case let seconds? where seconds < 6.5: self = .afterFive
            default: self = .later
            }
        }
    }

    /// Who plays.
    public enum Player: Sendable {
        case userspace, kernel
    }

    public enum Expectation: Sendable {
        /// The last packet arrives.
        case packet(Set<Outcome>)
        /// `a` says that there was a handshake.
        case handshake(Set<Outcome>)
        /// So many packets are lost in each direction of a flow through the hub and then through the pair.
        case lost(ClosedRange<Int>)
    }

    public let name: String
    public let steps: [Step]
    public let expectation: Expectation
    /// If the kernel does something else.
    public let kernelExpectation: Expectation?
    /// Milliseconds from each machine to the hub, if there is one. Then the two have a session, and send packets to each
    /// other, 100 a second, through the hub.
    public let hubDelay: Int?

    init(
        _ name: String,
        _ expectation: Expectation,
        kernel: Expectation? = nil,
        hubDelay: Int? = nil,
        _ steps: [Step]
    ) {
        self.name = name
        self.expectation = expectation
        kernelExpectation = kernel
        self.hubDelay = hubDelay
        self.steps = steps
    }

    public var description: String { name }

    public func expectation(of player: Player) -> Expectation {
        player == .kernel ? kernelExpectation ?? expectation : expectation
    }

    /// Whether what happens is a matter of microseconds.
    public var isRandom: Bool {
        switch expectation {
        case .packet(let outcomes), .handshake(let outcomes): outcomes.count > 1
        case .lost: false
        }
    }

    /// For `scenes.py`.
    public var text: String {
        let watched =
            switch expectation {
            case .packet: "packet"
            case .handshake: "handshake"
            case .lost: "lost \(hubDelay ?? 0)"
            }
        return (["scene \(watched)"] + steps.map(\.text)).joined(separator: "\n")
    }
}

extension Scene.Step {
    var text: String {
        switch self {
        case .set(let machine, let renewed, let place, let keepalive):
            "set \(machine.rawValue) \(renewed ? "renewed" : "kept") \(place?.rawValue ?? "nowhere") \(keepalive ?? -1)"
        case .send(let machine): "send \(machine.rawValue)"
        case .together(let steps): "together " + steps.map(\.text).joined(separator: " | ")
        case .wait(let milliseconds): "wait \(milliseconds)"
        case .hold(let machine): "hold \(machine.rawValue)"
        case .move(let machine): "move \(machine.rawValue)"
        case .release(let machine): "release \(machine.rawValue)"
        }
    }
}
