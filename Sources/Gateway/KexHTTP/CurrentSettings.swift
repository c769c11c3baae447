internal import Synchronization

/// The settings as of the last reload.
final class CurrentSettings: Sendable {
    private let settings: Mutex<HTTPSettings>

    init(_ settings: HTTPSettings) { self.settings = Mutex(settings) }

    var value: HTTPSettings { settings.withLock { $0 } }

    func change(to new: HTTPSettings) { settings.withLock { $0 = new } }
}
