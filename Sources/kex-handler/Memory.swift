internal import GatewayState
internal import KexGateway
internal import Logging
internal import SystemCalls
internal import Systemd

/// Where a domain's routers are written down, and when next.
struct Memory {
    let file: StateFile
    /// Whether the file must be written although the routers are the same.
    var mustWrite = false
    /// ``DomainTable/changeCount`` as of the last write.
    var writtenChange = 0
    /// No write before this.
    var earliestWrite = MonotonicTime(nanoseconds: 0)
    /// Why the last write failed.
    var trouble: SystemCallError?

    /// Shortest time from one write to the next: what happens in between is lost in a power cut. A write that takes long
    /// is followed by a pause that is ``pauseShare`` times as long.
    static let pause = Duration.seconds(1)
    static let pauseShare = 20
    /// After a write that failed.
    static let pauseAfterTrouble = Duration.seconds(10)

    init(_ file: StateFile) { self.file = file }
}

extension MeshDomain {
    /// Reads what an earlier process knew.
    func recall() {
        let reading: StateFile.Reading?
        do throws(SystemCallError) {
            reading = try memory.file.read()
        } catch {
            return log(.stateDamaged, .error, "\(error): starting without what was known about silent routers")
        }
        guard let reading else { return }
        if let damage = reading.damage {
            log(.stateDamaged, .error, "\(damage)")
            memory.mustWrite = true
        }
        let state = reading.state
        identity = state.device
        let isSameRun = state.device.map(host.machine.isSameRun) ?? false
        table.recall(
            state.routers,
            clocks: isSameRun ? state.clocks : nil,
            listeningSince: state.listeningSince,
            operatorsPeers: state.operatorsPeers
        )
    }

    /// When the domain's routers should be written down; `nil` if the file has them.
    var nextWrite: MonotonicTime? {
        memory.mustWrite || memory.writtenChange != table.changeCount ? memory.earliestWrite : nil
    }

    /// What is to be written now. It counts as written until ``noteWritten(_:)`` says otherwise.
    func takeState() -> DomainState {
        memory.mustWrite = false
        memory.writtenChange = table.changeCount
        return DomainState(
            device: identity,
            clocks: table.clocks ?? host.clocks,
            listeningSince: table.listeningSince,
            routers: table.knownRouters,
            operatorsPeers: table.rememberedOperatorsPeers
        )
    }

    /// Takes in how a write ended: how long it took, or why it failed.
    func noteWritten(_ result: Result<Duration, SystemCallError>) {
        switch result {
        case .success(let duration):
            memory.earliestWrite = .now + max(Memory.pause, duration * Memory.pauseShare)
            if memory.trouble != nil { log(.stateWrittenAgain, .notice, "\(memory.file.path) is written again") }
            memory.trouble = nil
        case .failure(let error):
            memory.mustWrite = true
            memory.earliestWrite = .now + Memory.pauseAfterTrouble
            if memory.trouble != error {
                let consequence = "what a reboot would bring back stays as it was; trying again"
                log(.stateUnwritten, .error, "\(error): \(consequence)")
            }
            memory.trouble = error
        }
    }
}
