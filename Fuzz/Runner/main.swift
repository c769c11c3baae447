import Foundation
import FuzzTargets

/// libFuzzer as a library: it reads the arguments and calls `body` for each input. Source: LLVM, "libFuzzer – a library
/// for coverage-guided fuzz testing", section "Using libFuzzer as a library".
@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// Which parser this process tries: `KEX_FUZZ_TARGET=`, because libFuzzer reads the arguments.
enum Choice {
    static let target: FuzzTarget = {
        let name = ProcessInfo.processInfo.environment["KEX_FUZZ_TARGET"] ?? ""
        guard let target = FuzzTarget(rawValue: name) else {
            fatalError("KEX_FUZZ_TARGET= is one of \(FuzzTarget.allCases)")
        }
        return target
    }()
}

/// Makes a file for each input of a text, as libFuzzer reads them.
func unpack(_ text: URL, into folder: URL) throws {
    for (index, input) in try CorpusText.inputs(in: Array(Data(contentsOf: text))).enumerated() {
        try Data(input).write(to: folder.appending(path: "\(index)"))
    }
}

/// Makes one text of the inputs that are files of a folder.
func pack(_ folder: URL, into text: URL) throws {
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    try Data(CorpusText.text(of: files.map { Array(try Data(contentsOf: $0)) })).write(to: text)
}

switch CommandLine.arguments.dropFirst().first {
case "unpack" where CommandLine.argc == 4:
    try unpack(URL(filePath: CommandLine.arguments[2]), into: URL(filePath: CommandLine.arguments[3]))
case "pack" where CommandLine.argc == 4:
    try pack(URL(filePath: CommandLine.arguments[2]), into: URL(filePath: CommandLine.arguments[3]))
default:
    var count = CommandLine.argc
    var arguments = CommandLine.unsafeArgv
    let status = runDriver(&count, &arguments) { data, size in
        Choice.target.run(Array(UnsafeBufferPointer(start: data, count: size)))
        return 0
    }
    exit(status)
}
