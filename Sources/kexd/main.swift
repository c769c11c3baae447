internal import CommandLineOptions
internal import Glibc
internal import KexConfiguration
internal import Logging
internal import SystemCalls
internal import Systemd

/// Source: EX_CONFIG of `sysexits.h`.
let configurationFailure: Int32 = 78

let logger = Logger(label: "kexd") { _ in ServiceLog(program: "kexd") }

func fail(_ message: String, _ status: Int32) -> Never {
    for line in message.split(separator: "\n") { logger.error("\(line)") }
    exit(status)
}

let options: Options
do throws(UsageError) {
    options = try Options(CommandLine.arguments.dropFirst())
} catch {
    fail("\(error); see kexd --help", UsageError.exitStatus)
}

switch options.action {
case .help:
    print(Options.help, terminator: "")
case .version:
    print("kexd \(packageVersion)")
case .checkConfiguration, .serve:
    let configuration: Configuration
    do throws(ConfigurationError) {
        configuration = try Configuration(path: options.configuration)
    } catch {
        fail("\(error)", configurationFailure)
    }
    if case .checkConfiguration = options.action {
        print(configuration)
    } else {
        do throws(SystemCallError) {
            try serve(configuration, options)
        } catch {
            fail("\(error)", EXIT_FAILURE)
        }
    }
}
