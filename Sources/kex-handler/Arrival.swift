internal import KexGateway
internal import KexProtocol

/// A registration, and who brings it. The local socket says who; the frame does not.
struct Arrival {
    /// Chosen by whoever asked; the answer carries it back.
    let id: UInt32
    let registration: Registration
    let origin: Origin
}
