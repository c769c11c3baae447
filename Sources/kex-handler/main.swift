internal import Glibc
internal import KexConfiguration
internal import ServiceProgram
internal import SystemCalls
internal import WireGuardTypes

let program = ServiceProgram(
    "kex-handler",
    summary: "Carries registrations out: the only program of kex that changes the kernel."
)

program.run { configuration throws(ConfigurationError) -> Set<PublicKey> in
    guard let path = configuration.prohibitedKeys else { return [] }
    return try KeyFile.read(path: path)
} serve: { configuration, prohibitedKeys, _, log in
    var listeners = try DoorListener.passed()
    if listeners.isEmpty {
        listeners = [
            try DoorListener(.front, path: configuration.handlerSocket),
            try DoorListener(.control, path: configuration.controlSocket),
        ]
    }
    var service = try HandlerService(
        configuration,
        prohibitedKeys: prohibitedKeys,
        listeners: listeners,
        log: log
    )
    try service.run()
}
