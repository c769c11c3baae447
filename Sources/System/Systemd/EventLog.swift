public import Logging

extension Logger {
    /// Writes a line about an event, with the field `KEX_EVENT=` in the journal. The message says it all by itself,
    /// since at a terminal there is nothing else.
    ///
    /// - Parameter fields: of the journal besides; their names are upper case, and their values come from checked text.
    public func write(
        _ event: some JournalEvent,
        _ level: Logger.Level,
        fields: KeyValuePairs<String, String?> = [:],
        _ message: @autoclosure () -> String
    ) {
        guard logLevel <= level else { return }
        var metadata: Logger.Metadata = ["KEX_EVENT": .string(event.rawValue)]
        for case (let name, let value?) in fields { metadata[name] = .string(value) }
        log(level: level, "\(message())", metadata: metadata)
    }

    /// Writes a line about what every service says of itself.
    public func log(_ event: ServiceEvent, _ level: Logger.Level, _ message: @autoclosure () -> String) {
        write(event, level, message())
    }
}
