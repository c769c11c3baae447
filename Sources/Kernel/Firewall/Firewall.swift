internal import CNFTables

/// nftables of the network namespace in which this was made, in this process: no program is started.
///
/// A table with `flags owner` lives as long as this does, however the process ends: the kernel takes it away with the
/// socket (Linux 5.12). Needs CAP_NET_ADMIN.
@safe public struct Firewall: ~Copyable {
    private let context: OpaquePointer

    /// - Throws: if the library has no memory or no socket. It takes 0.2 ms and 130 kB (measured).
    public init() throws(FirewallError) {
        guard let context = unsafe nft_ctx_new(UInt32(NFT_CTX_DEFAULT)) else {
            throw FirewallError("open", "nftables", reason: "no memory, or no netlink socket")
        }
        guard unsafe nft_ctx_buffer_output(context) == 0, unsafe nft_ctx_buffer_error(context) == 0 else {
            unsafe nft_ctx_free(context)
            throw FirewallError("open", "nftables", reason: "no memory")
        }
        unsafe self.context = unsafe context
    }

    deinit { unsafe nft_ctx_free(context) }

    /// Runs commands as nft(8) reads them, one a line, as one transaction: all of them, or none.
    ///
    /// The library looks up what it takes for the name of a host, so addresses must be printed ones.
    ///
    /// - Parameters:
    ///   - operation: for errors, in words that follow "cannot".
    ///   - object: for errors.
    /// - Returns: what the commands print.
    @discardableResult
    public func run(_ commands: [String], _ operation: String, _ object: String) throws(FirewallError) -> String {
        // libnftables 1.0.6 knows where a command ends by its line.
        let text = commands.map { "\($0)\n" }.joined()
        let result = unsafe nft_run_cmd_from_buffer(context, text)
        // Read in any case: reading empties them.
        let output = unsafe nft_ctx_get_output_buffer(context).map { unsafe String(cString: $0) } ?? ""
        let errors = unsafe nft_ctx_get_error_buffer(context).map { unsafe String(cString: $0) } ?? ""
        guard result == 0 else { throw FirewallError(operation, object, reason: Self.reason(errors)) }
        return output
    }

    /// `<cmdline>:1:1-20: Error: Could not process rule: No such file or directory` and lines that show the place.
    private static func reason(_ errors: String) -> String {
        guard let line = errors.split(separator: "\n").first else { return "nftables does not say why" }
        let mark = "Error: "
        return String(line.firstRange(of: mark).map { line[$0.upperBound...] } ?? line)
    }
}
