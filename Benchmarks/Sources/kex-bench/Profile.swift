import Foundation
import Glibc

/// Runs the programs under callgrind, which counts instructions: the same in each run, and not disturbed by other work
/// on this machine.
func profilePrograms(into folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let (knownCount, newCount) = (5000, 2000)
    let keys = randomKeys(newCount)
    let list = try Workplace.write(keys.map { "\($0)\n" }.joined(), to: "allowed")
    let gateway = try Gateway("profile", .userspace, settings: "AllowedKeys=\(list)")
    gateway.wrapper = { ["valgrind", "--tool=callgrind", "--callgrind-out-file=\(folder)/callgrind.\($0)"] }
    // Valgrind 3.19 gives up over the debug information of a program with Hummingbird in it.
    let program = try run("sh", "-c", "command -v kex-http").output.trimmingCharacters(in: .newlines)
    try sh("strip --strip-debug -o \(Workplace.folder)/kex-http \(program)")
    setenv("PATH", "\(Workplace.folder):\(ProcessInfo.processInfo.environment["PATH"] ?? "")", 1)
    say("starting kexd, kex-http and kex-handler under callgrind")
    try gateway.start()
    try gateway.startHTTPListener()
    guard let kexd = gateway.listener, let http = gateway.httpListener, let handler = gateway.handler else { return }
    let file = try exchanges(keys.map { (gateway.domains[0].name, $0, "-") }, in: "profile.txt")
    say("\(newCount) new keys, then \(knownCount) exchanges of the same, and as many over HTTP, each with a connection")
    _ = try Load.on(gateway.port, file, count: newCount, connections: 64, processes: [kexd, handler])
    _ = try Load.on(gateway.port, file, count: knownCount, connections: 64, processes: [kexd, handler])
    _ = try Load.on(
        gateway.httpPort,
        file,
        count: knownCount,
        connections: 64,
        processes: [http],
        http: HTTPExchange(path: HTTPExchange.v1, body: HTTPExchange.v1Body, isKept: false)
    )
    gateway.stop()
    for program in ["kexd", "kex-http", "kex-handler"] {
        let path = "\(folder)/callgrind.\(program)"
        let lines = try run("callgrind_annotate", "--threshold=90", path).output.split(separator: "\n")
        let functions = lines.filter { $0.contains("%)") && !$0.contains("PROGRAM TOTALS") }.prefix(25)
        let total = lines.first { $0.contains("PROGRAM TOTALS") } ?? ""
        print("\(program): instructions, and where they were spent")
        print(total.trimmingCharacters(in: .whitespaces))
        for line in functions {
            let place = line.split(separator: "  ").joined(separator: " ").replacingOccurrences(of: "???:", with: "")
            print("  \(place.prefix(150))")
        }
        print("everything: callgrind_annotate --inclusive=yes \(path)\n")
    }
}
