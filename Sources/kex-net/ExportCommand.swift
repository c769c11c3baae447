internal import ArgumentParser
internal import Keys
internal import QRCodes
internal import SystemCalls
internal import SystemPackage
internal import TenantExport
internal import TenantModel
internal import TenantPlan
internal import WireGuardTypes

/// `kex-net export`: what a member needs where no plan is applied.
struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Writes a member's configuration for wg-quick, an app, its camera, OpenWrt, BIRD, or FRR.",
        discussion: """
            The private key stays on its machine: the file for wg-quick reads it there from /etc/wireguard/INTERFACE.key. \
            With --private-key it is in what is written, which then needs --output, or --show-private-key to be printed. \
            Written files can be read by their owner only.

            Exit status: 0 done, 65 there is no such member, or the key is another one's, 71 the file cannot be written, \
            78 mistakes in FILE.
            """
    )

    enum Form: String, CaseIterable, ExpressibleByArgument {
        case wgQuick = "wg-quick"
        case app
        case qr
        case openwrt
        case bird
        case frr
    }

    @OptionGroup var options: DocumentOptions

    @Argument(help: ArgumentHelp("Who it is for.", valueName: "network/member"))
    var member: String

    @OptionGroup var ledger: LedgerOptions

    @Option(
        help:
            "For what: wg-quick, the app of a phone, the same as a QR code for its camera, uci batch of OpenWrt, or the routes for BIRD 2 or FRR."
    )
    var format = Form.wgQuick

    @Option(help: ArgumentHelp("Put the private key in this file into what is written.", valueName: "file"))
    var privateKey: String?

    @Option(help: ArgumentHelp("Write here and not to standard output. A file that is there stays.", valueName: "file"))
    var output: String?

    @Flag(help: "Print it although the private key is in it.")
    var showPrivateKey = false

    func run() throws {
        let id = try MemberName(member).id
        let isForApp = format == .app || format == .qr
        let isSecret = privateKey != nil && (format == .wgQuick || format == .openwrt) || isForApp
        if isForApp, privateKey == nil {
            throw ValidationError("An app needs --private-key: a phone's file without its key is of no use.")
        }
        if isSecret, output == nil, !showPrivateKey {
            throw ValidationError(
                "The private key is printed only with --show-private-key; or name a file by --output."
            )
        }
        try endWithStatus { () throws(Failure) in
            let planning = try Planning(try options.load(), ledger)
            planning.sayWhatIsMissing()
            guard let exported = ExportedMember(id, of: planning.plan) else {
                throw Failure(.input, "\(member) is no member in \(options.path)")
            }
            for omission in exported.omissions { say("not in what is exported: \(omission)") }
            let text = try text(of: exported)
            try NewFile.create(output ?? "-", with: text, permissions: .ownerReadWrite)
        }
    }

    private func text(of exported: ExportedMember) throws(Failure) -> String {
        var key = ExportedKey.file("/etc/wireguard/\(exported.interface).key")
        if let privateKey {
            let own = try Self.read(privateKey)
            guard own.publicKey == exported.wireGuard.key else {
                throw Failure(.input, "\(privateKey) is not the key of \(member): its public key is \(own.publicKey)")
            }
            key = .included(own)
        }
        switch (format, key) {
        case (.wgQuick, _): return exported.wgQuick(key)
        case (.openwrt, _): return exported.uci(key)
        case (.app, .included(let own)): return exported.app(own)
        case (.qr, .included(let own)): return try Self.code(exported.app(own), for: member)
        case (.app, .file), (.qr, .file): preconditionFailure("an app without a key was refused")
        case (.bird, _): return exported.bird
        case (.frr, _): return exported.frr
        }
    }

    private static func code(_ text: String, for member: String) throws(Failure) -> String {
        guard let code = QRCode(text) else {
            throw Failure(
                .input,
                "what \(member) needs has \(text.utf8.count) bytes, and a QR code has room for \(QRCode.maximumLength); "
                    + "`--format app` writes a file"
            )
        }
        return code.terminalText
    }

    /// Reads what `wg genkey` has written.
    private static func read(_ path: String) throws(Failure) -> PrivateKey {
        let bytes: [UInt8]?
        do throws(SystemCallError) {
            // A key has 44 letters, and a line feed.
            bytes = try File.read(path, limit: 64)
        } catch {
            throw Failure(.system, "\(error)")
        }
        guard let bytes else { throw Failure(.input, "there is no \(path)") }
        let words = String(decoding: bytes, as: UTF8.self).split { $0.isWhitespace }
        guard words.count == 1, let key = PrivateKey(text: words[0]) else {
            throw Failure(.input, "\(path) does not hold a private key of WireGuard")
        }
        return key
    }
}
