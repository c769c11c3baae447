/// A queue in which each element is once, with a limit.
struct UniqueQueue<Element: Hashable & Sendable>: Sendable {
    let limit: Int
    private var elements: [Element] = []
    /// Elements before this one are gone.
    private var start = 0
    private var members: Set<Element> = []

    init(limit: Int) { self.limit = limit }

    var isEmpty: Bool { members.isEmpty }

    /// Puts an element behind the others, unless it is there.
    ///
    /// - Returns: `false` if there is no room.
    mutating func append(_ element: Element) -> Bool {
        if members.contains(element) { return true }
        guard members.count < limit else { return false }
        members.insert(element)
        elements.append(element)
        return true
    }

    mutating func popFirst() -> Element? {
        guard start < elements.count else { return nil }
        let element = elements[start]
        start += 1
        members.remove(element)
        // Each element is moved at most once for every one that has left.
        if start > 64, start > elements.count / 2 {
            elements.removeFirst(start)
            start = 0
        }
        return element
    }
}
