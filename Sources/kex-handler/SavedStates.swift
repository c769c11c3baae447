internal import GatewayState
internal import KexDomain
internal import SystemCalls
internal import Time

/// The states of the domains are written, one at a time.
extension HandlerService {
    /// Saves the state of the domain whose turn it is, one at a time.
    mutating func writeNext() {
        guard written == nil, let index = timetable.domainToWrite(at: .now) else { return }
        written = index
        writer.start(writing: touch(index) { $0.takeState() }, to: domains[index].stateFile)
    }

    mutating func noteWritten() {
        if let result = writer.finished() { finishWriting(result) }
    }

    private mutating func finishWriting(_ result: Result<Duration, SystemCallError>) {
        if let written { touch(written) { $0.noteWritten(result) } }
        written = nil
        Heap.trim()
    }

    /// Saves all states now: the process ends, or a domain does.
    mutating func writeEverything() {
        if let result = writer.waitUntilFinished() { finishWriting(result) }
        for domain in domains where domain.nextWrite != nil {
            context.pulse.beat()
            let start = MonotonicTime.now
            domain.noteWritten(
                Result { () throws(SystemCallError) in
                    try domain.stateFile.write(domain.takeState())
                    return .now - start
                }
            )
        }
    }
}
