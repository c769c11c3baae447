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
    do throws(ConfigurationError) {
        return try KeyFile.read(path: path)
    } catch {
        let location = ConfigurationLocation(file: path, line: nil)
        let advice = ConfigurationMistake(at: location, "ProhibitedKeys= names this file; an empty one will do")
        throw ConfigurationError(error.mistakes + [advice])
    }
} serve: { configuration, prohibitedKeys, _, _, log in
    try raiseDescriptorLimit()
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
