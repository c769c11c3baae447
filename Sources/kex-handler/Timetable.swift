internal import KexConfiguration
internal import KexDomain
internal import KexProtocol
internal import SystemCalls
internal import Time

/// When each domain has something to do without being asked.
///
/// A gateway may have a hundred domains, and the loop needs these deadlines in each round. So a domain's deadlines are
/// read again only after it may have changed.
struct Timetable {
    /// In the order of the domains; `nil` for one that waits for nothing.
    private var wakes: [MonotonicTime?]
    private var writes: [MonotonicTime?]
    private var areInService: [Bool]
    private let indices: [DomainName: Int]
    /// Domains whose deadlines must be read again.
    private var changed: [Int]
    private(set) var inService = 0
    private(set) var nextWake: MonotonicTime?
    private(set) var nextWrite: MonotonicTime?

    init(of domains: [MeshDomain]) {
        wakes = domains.map { _ in nil }
        writes = wakes
        areInService = domains.map { _ in false }
        indices = Dictionary(uniqueKeysWithValues: domains.enumerated().map { ($0.element.settings.name, $0.offset) })
        changed = Array(domains.indices)
        update(from: domains)
    }

    /// The index of the domain of this name, `nil` if there is none.
    func index(of name: DomainName) -> Int? { indices[name] }

    /// The domain of this index may have changed.
    mutating func noteChange(of index: Int) {
        if changed.last != index { changed.append(index) }
    }

    /// Re-reads the deadlines of changed domains.
    mutating func update(from domains: [MeshDomain]) {
        guard !changed.isEmpty else { return }
        for index in changed {
            wakes[index] = domains[index].nextWake
            writes[index] = domains[index].nextWrite
            areInService[index] = domains[index].isInService
        }
        changed.removeAll(keepingCapacity: true)
        inService = areInService.count { $0 }
        nextWake = wakes.lazy.compactMap(\.self).min()
        nextWrite = writes.lazy.compactMap(\.self).min()
    }

    /// The domains whose deadlines have come.
    func domainsToWake(at now: MonotonicTime) -> [Int] {
        guard let nextWake, nextWake <= now else { return [] }
        return wakes.indices.filter { wakes[$0].map { $0 <= now } ?? false }
    }

    /// The domain whose state has been due longest. Otherwise one that changes all the time would keep the others from
    /// being saved.
    func domainToWrite(at now: MonotonicTime) -> Int? {
        guard let nextWrite, nextWrite <= now else { return nil }
        return writes.firstIndex(of: nextWrite)
    }
}
