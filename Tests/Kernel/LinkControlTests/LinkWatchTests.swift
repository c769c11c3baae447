import KernelTestSupport
import LinkControl
import Netlink
import NetworkAddresses
import Surroundings
import Testing

private func ip(_ arguments: String...) throws { _ = try output(of: "/usr/sbin/ip", arguments) }

@Suite("News of interfaces", .needsRoot, .serialized) struct LinkWatchTests {
    private let name = uniqueInterfaceName()
    private let other = uniqueInterfaceName()

    init() throws { try requirePrivateNamespace() }

    /// What has happened to the two interfaces, without repetitions that follow each other.
    private func news(_ watch: borrowing LinkWatch) throws -> [LinkChange] {
        guard case .links(let changes) = try watch.changes() else {
            Issue.record("news were lost")
            return []
        }
        return changes.filter { [name, other].contains($0.name) }
            .reduce(into: []) { if $0.last != $1 { $0.append($1) } }
    }

    @Test("tell of one that appears, is renamed, and goes, with the same number throughout")
    func life() throws {
        let watch = try LinkWatch()
        var links = try LinkControl()
        try ip("link", "add", name.text, "type", "bridge")
        let index = try #require(try links.link(named: name)).index
        #expect(try news(watch) == [LinkChange(index: index, name: name, isGone: false)])
        try ip("link", "set", name.text, "name", other.text)
        #expect(try news(watch) == [LinkChange(index: index, name: other, isGone: false)])
        try ip("link", "set", other.text, "up")
        #expect(try news(watch) == [LinkChange(index: index, name: other, isGone: false)])
        try ip("link", "delete", other.text)
        #expect(try news(watch).last == LinkChange(index: index, name: other, isGone: true))
        #expect(try news(watch) == [])
    }

    @Test("do not take a port that leaves its bridge for one that is gone")
    func port() throws {
        try ip("link", "add", name.text, "type", "bridge")
        try ip("link", "add", other.text, "type", "veth", "peer", "name", uniqueInterfaceName().text)
        let watch = try LinkWatch()
        try ip("link", "set", other.text, "master", name.text)
        try ip("link", "set", other.text, "nomaster")
        let changes = try news(watch)
        #expect(!changes.isEmpty && !changes.contains { $0.isGone }, "\(changes)")
        try ip("link", "delete", name.text)
        try ip("link", "delete", other.text)
    }

    @Test("say when there were more than could be kept, and go on after that")
    func overrun() throws {
        let watch = try LinkWatch()
        var links = try LinkControl()
        try ip("link", "add", name.text, "type", "bridge")
        // Each message is more than a kilobyte, and the buffer has room for a mebibyte (twice, with overhead).
        for round in 0..<3000 { try links.change(name, mtu: round % 2 == 0 ? 1400 : 1401) }
        var sawLoss = false
        while true {
            let changes = try watch.changes()
            if changes == .missed { sawLoss = true }
            if changes == .links([]) { break }
        }
        #expect(sawLoss)
        try ip("link", "delete", name.text)
        #expect(try news(watch).last?.isGone == true)
    }
}
