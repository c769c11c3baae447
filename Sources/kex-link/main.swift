internal import CommandLineOptions
internal import Glibc
internal import ServiceProgram

openStandardDescriptors()
do throws(Invocation.Failure) {
    exit(try Invocation(Array(CommandLine.arguments.dropFirst())).run())
} catch {
    say(error.text)
    exit(error.status)
}
