internal import EventLoop
internal import LinkChannel
internal import LinkMember
internal import SystemCalls
internal import SystemPackage
internal import Time
internal import TrafficTap

/// Shows who speaks to whom over the interface. The first packet after a silence is seen at once. After each look there
/// is a pause, so that a busy interface costs no more than some 50 looks a second: of 20,000 packets a second one of six
/// is seen then.
struct TrafficSocket {
    /// Milliseconds between looks; by chance, so that no steady flow falls into the pauses.
    private static let pauses = 10...30

    private let descriptor: SharedDescriptor
    private let token: UInt64
    /// `nil` while the socket is watched.
    private(set) var pausesUntil: MonotonicTime?
    private var buffer = [UInt8](repeating: 0, count: TrafficTap.snapLength)

    init(_ descriptor: SharedDescriptor, token: UInt64, on loop: borrowing EventLoop) throws(SystemCallError) {
        self.descriptor = descriptor
        self.token = token
        try loop.watch(descriptor.raw, for: .readable, token: token)
    }

    /// Whose packets wait.
    mutating func receive(on loop: borrowing EventLoop, now: MonotonicTime) -> LinkEvent {
        let addresses = TrafficTap.receive(from: descriptor.raw, into: &buffer)
        if (try? loop.stopWatching(descriptor.raw)) != nil {
            pausesUntil = now + .milliseconds(Int64(Int.random(in: Self.pauses)))
        }
        return .traffic(Array(addresses))
    }

    /// Watches again after a pause.
    mutating func goOn(on loop: borrowing EventLoop, now: MonotonicTime) {
        guard let pausesUntil, pausesUntil <= now else { return }
        // Without memory for it now there may be some later.
        let watches = (try? loop.watch(descriptor.raw, for: .readable, token: token)) != nil
        self.pausesUntil = watches ? nil : now + .seconds(1)
    }
}
