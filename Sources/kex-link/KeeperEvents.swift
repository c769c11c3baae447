internal import LinkMember
internal import Logging
internal import NetworkAddresses
internal import Systemd
internal import WireGuardTypes

/// What a log line of the keeper is about: the field `KEX_EVENT=` of the journal.
enum KeeperEvent: String, CaseIterable, JournalEvent {
    /// The interface cannot be served: it is not there, has no key, or WireGuard does not answer.
    case interfaceLost = "interface-lost"
    /// The interface is served, at first or again.
    case interfaceServed = "interface-served"
    /// The interface is another program's.
    case notOurs = "not-ours"
    /// The interface got its link-local address.
    case addressAdded = "address-added"
    /// A socket cannot be opened.
    case socketFailed = "socket-failed"
    /// The member ended, and is started again.
    case memberEnded = "member-ended"
    /// Packets that are on their way when a link is made cannot be held, or not any more.
    case notHeld = "not-held"
    /// Packets were held while allowed IPs moved.
    case held
    /// What the member asked for is not done.
    case changeRefused = "change-refused"
    /// Peers that were made have been taken away.
    case cleaned
}

/// What a log line of the member is about.
struct MemberEvent: JournalEvent {
    let rawValue: String

    init(rawValue: String) { self.rawValue = rawValue }

    init(_ event: LinkNotice.Event) { rawValue = event.rawValue }
}

extension LineBudget {
    /// Writes a line that others may cause as often as they like, or counts it.
    mutating func log(
        _ event: some JournalEvent,
        _ level: Logger.Level,
        _ interface: InterfaceName,
        _ message: @autoclosure () -> String,
        to log: Logger
    ) {
        guard permits(level, to: log) else { return }
        log.log(event, level, interface, message())
    }
}

extension Logger {
    /// Writes a line with the fields `KEX_INTERFACE=` and `KEX_KEY=`.
    func log(
        _ event: some JournalEvent,
        _ level: Logger.Level,
        _ interface: InterfaceName,
        key: PublicKey? = nil,
        _ message: @autoclosure () -> String
    ) {
        write(event, level, fields: ["KEX_INTERFACE": interface.text, "KEX_KEY": key?.description], message())
    }
}
