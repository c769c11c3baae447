internal import ArgumentParser
internal import ConfigurationFiles
internal import SystemCalls

/// `kex-client up`: from a file to a working tunnel.
struct UpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Makes the router's interfaces, registers, and connects to a gateway.",
        discussion: """
            Makes a WireGuard interface (with wireguard-go if the kernel has no WireGuard) and a VXLAN interface above \
            it, both with the addresses that are derived from the key; registers with one of the gateways; and then \
            makes that gateway the WireGuard peer. A private key is made if the file for it is missing.

            Running it again repairs what is missing and leaves what works, so it may run from a timer. If it fails \
            half-way it takes back what it has made.

            Exit status: 0 connected, 65 every gateway refused, 69 no gateway or no handshake, 71 the system refused, \
            78 mistakes in FILE. Needs root.
            """
    )

    @Argument(help: "A file with one [Router] and at least one [Gateway].")
    var file: String

    @Option(help: ArgumentHelp("Time for the registration, 1 to 3600.", valueName: "seconds"))
    var timeout = RegistrationLimit.defaultTimeout

    @Option(help: ArgumentHelp("Time for the handshake after that, 0 to 3600; 0 does not wait.", valueName: "seconds"))
    var wait = Self.defaultWait

    @Flag(help: "Print the file as understood, and end.")
    var checkConfig = false

    /// Time for four attempts: WireGuard makes one every 5 s until it is answered.
    static let defaultWait = 20
    static let waits = 0...3600

    func validate() throws {
        guard RegistrationLimit.timeout.contains(timeout) else {
            throw ValidationError("--timeout is 1 to 3600 seconds.")
        }
        guard Self.waits.contains(wait) else { throw ValidationError("--wait is 0 to 3600 seconds.") }
    }

    func run() throws {
        try endWithStatus { () throws(Failure) in
            let configuration = try RouterConfiguration.read(file)
            if checkConfig { return print(configuration) }
            var router = try Router(configuration)
            try router.up(registrationTime: .seconds(timeout), handshakeTime: .seconds(wait))
        }
    }
}

/// `kex-client down`: the way back.
struct DownCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down",
        abstract: "Takes the router's interfaces away.",
        discussion: """
            Deletes the two interfaces that FILE names, if they are a VXLAN and a WireGuard interface; a wireguard-go \
            behind it ends with it. The private key stays. The gateway forgets the router by itself after a while.

            Exit status: 0 they are gone, 71 the system refused, 78 mistakes in FILE. Needs root.
            """
    )

    @Argument(help: "The file that was given to \"up\".")
    var file: String

    func run() throws {
        try endWithStatus { () throws(Failure) in
            var router = try Router(try RouterConfiguration.read(file))
            try router.down()
        }
    }
}

extension RouterConfiguration {
    /// Reads the file, or says all that is wrong with it.
    fileprivate static func read(_ path: String) throws(Failure) -> RouterConfiguration {
        do throws(ConfigurationError) {
            return try RouterConfiguration(path: path)
        } catch {
            throw Failure(.configuration, error.description)
        }
    }
}
