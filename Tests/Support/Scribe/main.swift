// Writes a ledger, and says of each allocation when it is sure:
//
//   kex-scribe LEDGER NETWORK COUNT          members NETWORK/node0, node1, …
//   kex-scribe LEDGER NETWORK COUNT BYTES    until the file has so many bytes more; there the kernel kills the process
//   kex-scribe LEDGER NETWORK COUNT -BYTES   the same, but the kernel refuses to write more
import Glibc
import NetworkAddresses
import TenantLedger
import TenantLedgerFile
import TenantModel

func tell(_ line: String, to descriptor: Int32 = STDOUT_FILENO) {
    let bytes = Array((line + "\n").utf8)
    precondition(write(descriptor, bytes, bytes.count) == bytes.count)
}

let words = CommandLine.arguments
let network = NetworkName(words[2])!
let allocation = Allocation(prefix: IPv6Prefix("2001:db8::/40")!, number: 0)!
if words.count > 4, let bytes = Int(words[4]) {
    var status = stat()
    let size = stat(words[1], &status) == 0 ? Int(status.st_size) : 0
    var limit = rlimit(rlim_cur: rlim_t(size + abs(bytes)), rlim_max: rlim_t(size + abs(bytes)))
    precondition(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
    var none = rlimit(rlim_cur: 0, rlim_max: 0)
    precondition(setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none) == 0)
    signal(SIGXFSZ, bytes < 0 ? SIG_IGN : SIG_DFL)
    // Whoever started this process may have blocked the signal.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGXFSZ)
    sigprocmask(SIG_UNBLOCK, &signals, nil)
}
let file = LedgerFile(path: words[1])
for index in 0..<Int(words[3])! {
    let member = MemberID(network: network, node: NodeName("node\(index)")!)
    do throws(LedgerFileError) {
        let segment = try file.update { ledger throws(LedgerRefusal) in
            let now = LedgerTime(seconds: Int64(time(nil)))
            return try ledger.prefix(for: member, from: [allocation], at: now)
        }
        tell("\(member) \(segment)")
    } catch {
        tell("\(error)", to: STDERR_FILENO)
        exit(1)
    }
}
