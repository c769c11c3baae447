internal import TenantFile
internal import TenantModel
internal import WireGuardTypes

/// A device that becomes a member: what that does to the document.
struct MemberAddition {
    let id: MemberID
    let old: TenantFile
    /// `nil` if the member is in it already.
    let new: TenantFile?

    /// - Parameter name: `nil` for one that is made of the key.
    init(_ key: PublicKey, _ name: NodeName?, to network: NetworkName, in file: TenantFile) throws(Failure) {
        let document = file.document
        guard let given = document.networks.first(where: { $0.name == network }) else {
            let names = document.networks.map(\.name.text).joined(separator: ", ")
            throw Failure(.input, "there is no network \(network) in \(file.path); these are: \(names)")
        }
        old = file
        for other in document.networks {
            guard let member = other.members.first(where: { $0.key == key }) else { continue }
            id = MemberID(network: other.name, node: member.node)
            new = nil
            if other.name == network { return }
            throw Failure(.input, "\(key) is the key of \(id); a device needs another key in each network")
        }
        let nodes = Set(document.nodes.map(\.name))
        let members = Set(document.networks.flatMap(\.members).map(\.node))
        guard let name = name ?? Self.name(of: key, besides: nodes.union(members)) else {
            throw Failure(.input, "no name is left that is made of the key; --name gives one")
        }
        id = MemberID(network: network, node: name)
        if nodes.contains(name) {
            throw Failure(.input, "\(name) is a node in \(file.path), and a device needs a name of its own")
        }
        if given.members.contains(where: { $0.node == name }) {
            throw Failure(.input, "\(id) is a member already, with another key")
        }
        guard given.members.count < DocumentLimit.members else {
            throw Failure(.input, "\(network) has \(given.members.count) members, and at most as many are taken")
        }
        let line = MemberLine(name: name, key: key)
        new = file.adding(line, to: network)
        if new == nil {
            throw Failure(
                .configuration,
                "\(file.path): the members of \(network) stand so that no line is put there by itself; put it there by "
                    + "hand, raise the version, and let kex-net allocate give it its prefix:\n\(line)"
            )
        }
    }

    /// Where the member is in the document.
    var place: DocumentPath {
        DocumentPath().appending("networks").appending(id.network.text).appending("members").appending(id.node.text)
    }

    /// `router-` and as many digits of the key as nobody else's name has, at least eight.
    private static func name(of key: PublicKey, besides taken: Set<NodeName>) -> NodeName? {
        let digits = key.bytes.map { byte in
            let text = String(byte, radix: 16)
            return text.count < 2 ? "0" + text : text
        }
        return (4...PublicKey.length).lazy.compactMap { NodeName("router-" + digits.prefix($0).joined()) }
            .first { !taken.contains($0) }
    }
}
