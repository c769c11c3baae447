internal import NIOCore

/// Runs tasks on an event loop, in its thread. So one thread serves, however many processors there are, and no request
/// changes threads.
final class LoopExecutor: TaskExecutor {
    private let loop: any NIOCore.EventLoop

    init(_ loop: any NIOCore.EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { [self] in unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}
