internal import CommandLineOptions
internal import ConfigurationFiles
internal import Glibc
internal import LinkConfiguration
internal import Logging
internal import NetworkAddresses
internal import SystemCalls
internal import Systemd
internal import SystemPackage

/// What the keeper is called with.
struct KeeperSettings {
    /// Of the interface's file.
    let path: String
    /// Whether the file must be there, because somebody named it.
    let isNamed: Bool
    /// Of a gateway's configuration.
    let gatewayPath: String
    /// Whose rights the member has.
    let account: UserAccount

    /// The file's text and what it says; nothing if there need be none.
    func read() throws(ConfigurationError) -> ([UInt8], LinkConfiguration) {
        let bytes: [UInt8]
        do throws(SystemCallError) {
            guard let content = try File.read(path, limit: INIFile.maximumSize) else {
                guard isNamed else { return ([], LinkConfiguration()) }
                throw SystemCallError("read", path, errno: .noSuchFileOrDirectory)
            }
            bytes = content
        } catch {
            throw ConfigurationError([
                ConfigurationMistake(at: ConfigurationLocation(file: path, line: nil), "\(error)")
            ])
        }
        let location = ConfigurationLocation(file: path, line: nil)
        guard let text = ByteOrderMark.text(in: bytes)
        else {
            throw ConfigurationError([ConfigurationMistake(at: location, "text in UTF-16, and only UTF-8 is read")])
        }
        return (text, try LinkConfiguration(bytes: text, path: path))
    }
}

extension Invocation {
    /// Whose rights the member has, if nobody says otherwise.
    private static let usualUser = "kex-link"
    /// Who has none on every machine. Source: base-passwd of Debian.
    private static let nobody = UserAccount(user: 65534, group: 65534)

    /// Serves an interface until told to end.
    func runKeeper() throws(Failure) -> Int32 {
        let (name, log) = (try interface(), log)
        let account: UserAccount
        if let user = options.value("user") {
            guard let named = UserAccount(named: user), named.user != 0, named.group != 0
            else { throw Failure(.usage, "--user \(user): expected a user without rights") }
            account = named
        } else {
            account = UserAccount(named: Self.usualUser) ?? Self.nobody
        }
        let settings = KeeperSettings(
            path: options.value("config") ?? RuntimeFiles.configuration(of: name),
            isNamed: options.contains("config"),
            gatewayPath: options.value("gateway-config") ?? "/etc/kex/kex.conf",
            account: account
        )
        do {
            var service = try KeeperService(name, files: files, settings: settings, log: log)
            try service.run()
            return EXIT_SUCCESS
        } catch let error as ConfigurationError {
            for mistake in error.mistakes { log.log(ServiceEvent.mistake, .error, name, "\(mistake)") }
            return ExitStatus.configuration.rawValue
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure(.system, "\(error)")
        }
    }
}
