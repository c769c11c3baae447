internal import ArgumentParser
internal import KexProtocol
internal import NetworkAddresses
internal import SystemCalls
internal import Time
internal import WireGuardControl
internal import WireGuardTypes

/// `kex-client register`: one exchange, and nothing made on this machine.
struct RegisterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "register",
        abstract: "Registers a public key with a gateway.",
        discussion: """
            The gateways are asked one after the other in random order, so that routers with the same list spread over \
            it; the first that accepts the key ends the search and is printed. Names are looked up and all their \
            addresses tried. If nobody accepts, everybody who did not refuse is asked again after a pause of random \
            length, until the time is up.

            Register before you configure the gateway as a WireGuard peer: a handshake that comes too early costs five \
            seconds.

            Exit status: 0 registered, 65 refused, 69 nobody could be reached, 71 the interface cannot be read.
            """
    )

    @Option(
        help: ArgumentHelp(
            "A gateway; may be given several times. The port is \(ProtocolLimit.port) if left out.",
            valueName: "host[:port]"
        ),
        transform: argument("HOST, HOST:PORT or [ADDRESS]:PORT") {
            HostPort($0, defaultPort: ProtocolLimit.port)
        }
    )
    var gateway: [HostPort]

    @Option(
        help: "The mesh domain to join.",
        transform: argument("1 to \(DomainName.maximumLength) letters, digits, dots, hyphens and underscores") {
            DomainName($0)
        }
    )
    var domain: DomainName

    @Option(
        help: "The WireGuard public key to register.",
        transform: argument("the 44 characters that \"wg pubkey\" prints") { PublicKey(text: $0) }
    )
    var publicKey: PublicKey?

    @Option(
        help: "Take the public key of this WireGuard interface.",
        transform: argument("an interface name of 1 to \(InterfaceName.maximumLength) bytes") { InterfaceName($0) }
    )
    var interface: InterfaceName?

    @Option(help: ArgumentHelp("Give up after this time, 1 to 3600.", valueName: "seconds"))
    var timeout = RegistrationLimit.defaultTimeout

    @Option(help: ArgumentHelp("Ask each gateway at most so often, 1 to 1000.", valueName: "number"))
    var tries: Int?

    func validate() throws {
        guard !gateway.isEmpty else { throw ValidationError("Give at least one --gateway.") }
        guard (publicKey == nil) != (interface == nil) else {
            throw ValidationError("Give either --public-key or --interface.")
        }
        guard RegistrationLimit.timeout.contains(timeout) else {
            throw ValidationError("--timeout is 1 to 3600 seconds.")
        }
        guard tries.map(RegistrationLimit.tries.contains) ?? true else {
            throw ValidationError("--tries is 1 to 1000.")
        }
    }

    func run() throws {
        try endWithStatus { () throws(Failure) in
            let deadline = MonotonicTime.now + .seconds(timeout)
            let registration = Registration(domain: domain, key: try key())
            let registrar = Registrar(registration: registration, deadline: deadline, maximumRounds: tries)
            let gateways = gateway.shuffled()
            let (index, endpoint) = try registrar.register(with: gateways)
            tell("registered \(registration.key) in \(domain) with \(gateways[index].place(endpoint))")
        }
    }

    private func key() throws(Failure) -> PublicKey {
        if let publicKey { return publicKey }
        guard let interface else { preconditionFailure("validate() has seen one or the other") }
        let state = try inWords { () throws(WireGuardError) in try openWireGuardInterface(interface).state() }
        guard let key = state.publicKey else {
            throw Failure(
                .system,
                "interface \(interface) has no key yet; one is: wg genkey | wg set \(interface) private-key /dev/stdin"
            )
        }
        return key
    }
}

/// Ranges of what the user may choose.
enum RegistrationLimit {
    /// Seconds for everything.
    static let timeout = 1...3600
    static let defaultTimeout = 30
    /// Rounds through all gateways.
    static let tries = 1...1000
}
