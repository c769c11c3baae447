internal import BusMessages
internal import HandlerChannel
internal import KexProtocol
internal import Time
internal import WireGuardTypes

/// The routers of one domain of this gateway, and what the broker keeps of them.
struct OwnRouters: Sendable {
    private struct Router: Sendable {
        /// Last handshake, seconds since 1970.
        var heard: Int64
        /// The handshake in our note at the broker; `nil` if this connection knows of no note of ours there.
        var published: Int64?
        /// Whether there was one ever, so that the broker may have it.
        var wasPublished = false
        /// When another one may be published.
        var nextNote = Duration.zero
        /// The handshake in another gateway's note, if that has taken the place of ours.
        var heardElsewhere: Int64?
    }

    private let settings: MemberSettings.Domain
    private var routers: [PublicKey: Router] = [:]
    /// Routers that were removed here on purpose. The broker may keep our notes of their handshakes.
    private var gone: Set<PublicKey> = []
    /// Those of them whose removal is to be published.
    private var farewells: Set<PublicKey> = []
    private var queue = UniqueQueue<PublicKey>(limit: .max)
    /// Frames of a list that has not ended.
    private var list: [PublicKey: Int64] = [:]
    private var everybody: Set<PublicKey> = []
    private var removed: [PublicKey] = []
    /// Number of the handler's last removal that is known.
    private(set) var lastRemoval: UInt64 = 0
    /// When the handler is to be asked for the list.
    private(set) var nextList = Duration.zero
    /// Notes of ours that the broker keeps.
    private(set) var kept = 0
    private var reportedCount: Int?
    /// Whether the handler has listed its routers. Before that there is nothing to count.
    private var isKnown = false
    private var nextCount = Duration.zero

    init(_ settings: MemberSettings.Domain) { self.settings = settings }

    // MARK: - The handler

    /// A part of the list.
    mutating func take(_ records: [RouterRecord]) {
        for record in records {
            everybody.insert(record.key)
            if let time = record.lastHandshake { list[record.key] = max(time, 0) }
        }
    }

    /// Another part: who was removed on purpose since the list before.
    mutating func take(removals keys: [PublicKey]) { removed += keys }

    /// The list has ended.
    ///
    /// - Parameter lastRemoval: number of the last removal in it.
    mutating func finishList(isWhole: Bool, lastRemoval: UInt64, at now: Duration) {
        if isWhole {
            compare(at: now)
            isKnown = true
            self.lastRemoval = lastRemoval
        }
        forgetList(at: now)
    }

    /// The list has ended, or will never end.
    mutating func forgetList(at now: Duration) {
        list.removeAll(keepingCapacity: true)
        everybody.removeAll(keepingCapacity: true)
        removed.removeAll()
        nextList = now + settings.routersInterval
    }

    private mutating func compare(at now: Duration) {
        for (key, heard) in list {
            gone.remove(key)
            farewells.remove(key)
            var router = routers[key] ?? Router(heard: heard)
            router.heard = heard
            if isDue(router, at: now) { _ = queue.append(key) }
            routers[key] = router
        }
        for key in removed where !everybody.contains(key) {
            if gone.count >= BusLimit.farewells { gone.removeAll() }
            gone.insert(key)
            // If the note at the broker is another gateway's, or there is none, there is nothing to publish.
            if let router = routers[key], router.wasPublished, router.heardElsewhere == nil { sayFarewell(to: key) }
        }
        // A router may be missing for other reasons: the handler or the kernel lost it, or another gateway reported its
        // removal. None of these is published.
        for (key, router) in routers where !everybody.contains(key) {
            routers[key] = nil
            if router.published != nil, router.heardElsewhere == nil { kept -= 1 }
        }
    }

    private mutating func sayFarewell(to key: PublicKey) {
        // Beyond that the note expires by itself.
        guard farewells.count < BusLimit.farewells else { return }
        farewells.insert(key)
        _ = queue.append(key)
    }

    private func isDue(_ router: Router, at now: Duration) -> Bool {
        if let other = router.heardElsewhere {
            // It was there; a handshake here after the end of that session means that it came back.
            let isBack = .seconds(router.heard - other) > DomainStatus.freshness
            return isBack || router.heard > other && now >= router.nextNote
        }
        guard let published = router.published else { return true }
        // Another one, and not a later one: the clock may have been put back.
        return router.heard != published && now >= router.nextNote
    }

    /// Whether the handler has said that the router is here, or that it is gone.
    func knows(_ key: PublicKey) -> Bool { isKnown && (routers[key] != nil || gone.contains(key)) }

    /// The handler is gone. The next one may have lost everybody.
    mutating func loseHandler(at now: Duration) {
        isKnown = false
        lastRemoval = 0
        forgetList(at: now)
        nextList = now
    }

    // MARK: - Other gateways

    /// Another gateway's note has taken the place of ours at the broker. If ours is newer, it is published again.
    mutating func noteOther(_ report: PendingNews.Report, of key: PublicKey, at now: Moment) {
        guard var router = routers[key] else { return }
        let age = now.sinceStart - now.sinceStart(of: router.heard)
        let heard = min(router.heard, now.seconds)
        guard age > settings.staleAfter || report.kind == .heard && report.time >= heard else {
            _ = queue.append(key)
            return
        }
        if router.published != nil, router.heardElsewhere == nil { kept -= 1 }
        router.heardElsewhere = max(router.heardElsewhere ?? .min, report.time)
        routers[key] = router
    }

    /// Somebody has published a note in our name, perhaps a copy of an old one. If it is not our last one, that is
    /// published again.
    mutating func noteOwn(_ state: RouterNote.State, of key: PublicKey) {
        if let router = routers[key] {
            guard router.heardElsewhere == nil, let published = router.published else { return }
            if state != .heard(at: published) { _ = queue.append(key) }
        } else if state != .removed {
            noteKept(key)
        }
    }

    /// The broker keeps our note of a handshake of the router.
    mutating func noteKept(_ key: PublicKey) {
        if gone.contains(key) { sayFarewell(to: key) }
    }

    // MARK: - The broker

    /// The broker may have forgotten everything.
    mutating func publishAgain() {
        kept = 0
        reportedCount = nil
        nextCount = .zero
        for (key, router) in routers {
            routers[key]?.published = nil
            if router.heardElsewhere == nil { _ = queue.append(key) }
        }
        for key in farewells { _ = queue.append(key) }
    }

    /// The router whose note is to be published, and what it says.
    mutating func nextNote(at now: Duration) -> (key: PublicKey, state: RouterNote.State)? {
        while let key = queue.popFirst() {
            if var router = routers[key] {
                if let other = router.heardElsewhere, router.heard <= other { continue }
                if router.published == nil || router.heardElsewhere != nil { kept += 1 }
                router.published = router.heard
                router.wasPublished = true
                router.heardElsewhere = nil
                // Routers that came at the same time are not all refreshed at the same time.
                let spread = settings.refreshTime / 4 * (Double(key[0]) / 256)
                router.nextNote = now + settings.refreshTime - spread
                routers[key] = router
                return (key, .heard(at: router.heard))
            }
            if farewells.contains(key) { return (key, .removed) }
        }
        return nil
    }

    /// The broker knows that the router is gone.
    mutating func noteGone(_ key: PublicKey) { farewells.remove(key) }

    /// How many notes are kept, if that number is to be published.
    mutating func nextCount(at now: Duration) -> Int? {
        guard let countDue, now >= countDue else { return nil }
        reportedCount = kept
        nextCount = now + BusLimit.countInterval
        return kept
    }

    /// When ``nextCount(at:)`` has something.
    var countDue: Duration? { isKnown && queue.isEmpty && reportedCount != kept ? nextCount : nil }
}
