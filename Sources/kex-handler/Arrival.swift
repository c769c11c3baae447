internal import KexGateway
internal import KexProtocol

/// A registration, and who brings it: that is known from the local socket, not from the frame.
struct Arrival {
    /// Chosen by whoever asked; the answer carries it back.
    let id: UInt32
    let registration: Registration
    let origin: Origin
}
