internal import KexConfiguration
internal import KexDomain
internal import KexProtocol
internal import SystemCalls

/// When each domain has something to do without being asked.
///
/// A gateway may have a hundred domains, and the loop needs these times in each of its rounds. So a domain is asked only
/// after something was done with it.
struct Timetable {
    /// In the order of the domains; ``never`` for one that waits for nothing.
    private var wakes: [MonotonicTime]
    private var writes: [MonotonicTime]
    private var areInService: [Bool]
    private let indices: [DomainName: Int]
    /// Those that must be asked.
    private var changed: [Int]
    private(set) var inService = 0
    private(set) var nextWake: MonotonicTime?
    private(set) var nextWrite: MonotonicTime?

    private static let never = MonotonicTime(nanoseconds: .max)

    init(of domains: [MeshDomain]) {
        wakes = domains.map { _ in Self.never }
        writes = wakes
        areInService = domains.map { _ in false }
        indices = Dictionary(uniqueKeysWithValues: domains.enumerated().map { ($0.element.settings.name, $0.offset) })
        changed = Array(domains.indices)
        update(from: domains)
    }

    /// The index of the domain of this name, `nil` if there is none.
    func index(of name: DomainName) -> Int? { indices[name] }

    /// Something is done with the domain of this index.
    mutating func noteChange(of index: Int) {
        if changed.last != index { changed.append(index) }
    }

    /// Asks those with whom something was done.
    mutating func update(from domains: [MeshDomain]) {
        guard !changed.isEmpty else { return }
        for index in changed {
            wakes[index] = domains[index].nextWake ?? Self.never
            writes[index] = domains[index].nextWrite ?? Self.never
            areInService[index] = domains[index].isInService
        }
        changed.removeAll(keepingCapacity: true)
        inService = areInService.count { $0 }
        nextWake = wakes.min().flatMap { $0 < Self.never ? $0 : nil }
        nextWrite = writes.min().flatMap { $0 < Self.never ? $0 : nil }
    }

    /// Those whose time has come.
    func domainsToWake(at now: MonotonicTime) -> [Int] {
        guard let nextWake, nextWake <= now else { return [] }
        return wakes.indices.filter { wakes[$0] <= now }
    }

    /// The one whose state should have been written longest ago: else one that changes all the time would keep the others
    /// from it.
    func domainToWrite(at now: MonotonicTime) -> Int? {
        guard let nextWrite, nextWrite <= now else { return nil }
        return writes.firstIndex(of: nextWrite)
    }
}
