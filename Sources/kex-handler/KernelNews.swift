internal import EventLoop
internal import GatewayEvents
internal import KexDomain
internal import LinkControl
internal import Logging
internal import Netlink
internal import SystemCalls
internal import VXLANFdb

/// What the kernel tells, and what ran beside the loop.
extension HandlerService {
    mutating func noticeLinks() {
        do throws(NetlinkError) {
            let changes = try links.changes()
            touchAll { $0.notice(changes) }
        } catch {
            context.budget.log(.failed, .error, "\(error)", to: log)
            touchAll { $0.notice(LinkChanges.missed) }
        }
    }

    mutating func noticeEntries() {
        do throws(NetlinkError) {
            let news = try fdb.news()
            touchAll { $0.notice(news) }
        } catch {
            context.budget.log(.failed, .error, "\(error)", to: log)
            touchAll { $0.notice(FdbNews.missed) }
        }
    }

    mutating func noticeFrames() {
        do throws(NetlinkError) {
            let news = try learning.news()
            guard !news.entries.isEmpty || !news.isWhole else { return }
            touchAll { $0.notice(news) }
        } catch {
            context.budget.log(.failed, .error, "\(error)", to: log)
        }
    }

    /// Reads at a limited rate. The kernel keeps what comes faster, and drops what finds no room.
    mutating func watchLearning() throws(SystemCallError) {
        let isWanted = learning.resumption.map { $0 <= .now } ?? true
        if isWanted, learning.resumption != nil { noticeFrames() }
        let isToBeWatched = learning.resumption == nil
        guard isToBeWatched != isLearningWatched else { return }
        if isToBeWatched {
            try loop.watch(learning.descriptor, for: .readable, token: Self.learningToken)
        } else {
            try loop.stopWatching(learning.descriptor)
        }
        isLearningWatched = isToBeWatched
    }

    /// Hands out the results of what ran beside the loop.
    mutating func takeWorks() {
        context.crew.deliver()
        for name in context.takeTouched() {
            if let index = timetable.index(of: name) { timetable.noteChange(of: index) }
        }
    }
}
