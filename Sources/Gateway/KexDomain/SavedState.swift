internal import GatewayEvents
public import GatewayState
internal import KexGateway
internal import Logging
public import SystemCalls
internal import Systemd
public import Time

/// The file of a domain's routers, and when it is written next.
struct SavedState {
    let file: StateFile
    /// Whether the file must be written although the routers are the same.
    var mustWrite = false
    /// ``DomainTable/changeCount`` as of the last write.
    var writtenChange = 0
    /// No write before this.
    var earliestWrite = MonotonicTime.start
    /// Why the last write failed.
    var failure: SystemCallError?

    /// Shortest time from one write to the next. A power cut loses what happened in between. After a slow write the
    /// pause is ``pauseShare`` times as long as the write.
    static let pause = Duration.seconds(1)
    static let pauseShare = 20
    /// After a write that failed.
    static let pauseAfterFailure = Duration.seconds(10)

    init(_ file: StateFile) { self.file = file }
}

extension MeshDomain {
    /// Reads what an earlier process knew.
    ///
    /// - Returns: the interface that its routers were in; `nil` if that is not known.
    func recall() -> DeviceIdentity? {
        let reading: StateFile.Reading?
        do throws(SystemCallError) {
            reading = try savedState.file.read()
        } catch {
            log(.stateDamaged, .error, "\(error): starting without what was known about silent routers")
            return nil
        }
        guard let reading else { return nil }
        if let damage = reading.damage {
            log(.stateDamaged, .error, "\(damage)")
            savedState.mustWrite = true
        }
        let state = reading.state
        let isSameRun = state.device.map(context.machine.isSameRun) ?? false
        table.recall(
            state.routers,
            clocks: isSameRun ? state.clocks : nil,
            restoredAt: state.restoredAt,
            operatorsPeers: state.operatorsPeers
        )
        return state.device
    }

    /// The file that the domain's routers are in.
    public var stateFile: StateFile { savedState.file }

    /// When the domain's routers should be written down; `nil` if the file has them.
    public var nextWrite: MonotonicTime? {
        savedState.mustWrite || savedState.writtenChange != table.changeCount ? savedState.earliestWrite : nil
    }

    /// What is to be written now. It counts as written until ``noteWritten(_:)`` says otherwise.
    public func takeState() -> DomainState {
        savedState.mustWrite = false
        savedState.writtenChange = table.changeCount
        return DomainState(
            device: identity,
            clocks: table.clocks ?? context.clocks,
            restoredAt: table.restoredAt,
            routers: table.knownRouters,
            operatorsPeers: table.rememberedOperatorsPeers
        )
    }

    /// Takes in how a write ended: how long it took, or why it failed.
    public func noteWritten(_ result: Result<Duration, SystemCallError>) {
        switch result {
        case .success(let duration):
            savedState.earliestWrite = context.now + max(SavedState.pause, duration * SavedState.pauseShare)
            if savedState.failure != nil {
                log(.stateWrittenAgain, .notice, "\(savedState.file.path) is written again")
            }
            savedState.failure = nil
        case .failure(let error):
            savedState.mustWrite = true
            savedState.earliestWrite = context.now + SavedState.pauseAfterFailure
            if savedState.failure != error {
                let consequence = "a reboot would bring back an older state; trying again"
                log(.stateUnwritten, .error, "\(error): \(consequence)")
            }
            savedState.failure = error
        }
    }
}
