import FuzzTargets
import Glibc

/// libFuzzer as a library: it reads the arguments and calls `body` for each input. Source: LLVM, "libFuzzer – a library for
/// coverage-guided fuzz testing", section "Using libFuzzer as a library".
@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// Which parser this process tries: `KEX_FUZZ_TARGET=`, because libFuzzer reads the arguments.
let target: FuzzTarget = {
    let name = getenv("KEX_FUZZ_TARGET").map { String(cString: $0) } ?? ""
    guard let target = FuzzTarget(rawValue: name) else {
        fatalError("KEX_FUZZ_TARGET= is one of \(FuzzTarget.allCases)")
    }
    return target
}()

var count = CommandLine.argc
var arguments = CommandLine.unsafeArgv
let status = runDriver(&count, &arguments) { data, size in
    target.run(Array(UnsafeBufferPointer(start: data, count: size)))
    return 0
}
exit(status)
