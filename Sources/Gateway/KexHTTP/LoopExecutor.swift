internal import NIOCore

/// Runs tasks on an event loop, in its thread. So this program has one thread that serves, however many processors there
/// are, and what is on the loop already need not change threads for each request.
final class LoopExecutor: TaskExecutor {
    private let loop: any NIOCore.EventLoop

    init(_ loop: any NIOCore.EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { [self] in unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}
