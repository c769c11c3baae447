internal import ArgumentParser
internal import EUI64
internal import Glibc
internal import WireGuardTypes

/// `kex-client derive`: what a gateway makes of a key.
struct DeriveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "derive",
        abstract: "Shows the MAC and link-local address that belong to a public key.",
        discussion: """
            Prints two lines, "mac ..." and "address ...". With - as KEY it reads keys from standard input, one a line, \
            and prints the two lines for each of them; it ends with status 65 at the first line that is not a key.

            The profile is the network's choice, and a wrong one fails without an error: eui64 (Freifunk Westerwald, \
            MYK), ffmuc (Freifunk München and its relatives), gluon (Gluon's own package, Freifunk Hannover).
            """
    )

    @Option(help: "How the network derives addresses: eui64, ffmuc or gluon.")
    var profile = AddressProfile.eui64

    @Argument(help: ArgumentHelp("A WireGuard public key, 44 characters of base64; or - for many.", valueName: "key"))
    var key: String

    /// Bytes of output that are collected before they are written.
    private static let outputChunk = 65536

    func run() throws {
        try endWithStatus { () throws(Failure) in
            guard key == "-" else {
                return write(try lines(for: Array(key.utf8)[...], place: "KEY"), to: STDOUT_FILENO)
            }
            var output = ""
            var failure: Failure?
            var number = 0
            StandardInput.forEachLine(limit: Self.longestLine) { line in
                number += 1
                do throws(Failure) {
                    output += try lines(for: line, place: "standard input, line \(number)")
                } catch {
                    failure = error
                    return false
                }
                if output.utf8.count >= Self.outputChunk {
                    write(output, to: STDOUT_FILENO)
                    output = ""
                }
                return true
            }
            write(output, to: STDOUT_FILENO)
            if let failure { throw failure }
        }
    }

    /// Longest line kept of standard input, in bytes. More than a key, so that a longer line is known as wrong.
    private static let longestLine = PublicKey.textLength + 1

    private func lines(for text: ArraySlice<UInt8>, place: String) throws(Failure) -> String {
        guard let key = PublicKey(text: Array(text).span) else {
            throw Failure(
                .refused,
                "\(place): not a WireGuard public key; expected the 44 characters that \"wg pubkey\" prints"
            )
        }
        return "mac \(profile.mac(of: key))\naddress \(profile.linkLocalAddress(of: key))\n"
    }
}
