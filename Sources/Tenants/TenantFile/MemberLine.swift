public import TenantModel
public import WireGuardTypes

/// The line of a document that makes a device a member of a network.
public struct MemberLine: Hashable, Sendable, CustomStringConvertible {
    public let name: NodeName
    public let key: PublicKey

    public init(name: NodeName, key: PublicKey) {
        self.name = name
        self.key = key
    }

    /// Without indentation.
    public var description: String { "\(name): {key: \(key), device: true}" }

    /// What the line means.
    var member: Member { Member(node: name, kind: .device, key: key) }
}

extension TenantFile {
    /// The file with one line more, behind the last member of a network, and with the network's version one higher. All
    /// other bytes stay.
    ///
    /// - Returns: `nil` if that cannot be done, as where members stand in braces. Places are found by lines and blanks,
    ///   so the result is read again: it must differ from this document by that member and that version alone.
    public func adding(_ line: MemberLine, to name: NetworkName) -> TenantFile? {
        guard let index = document.networks.firstIndex(where: { $0.name == name }) else { return nil }
        let network = document.networks[index]
        let place = DocumentPath().appending("networks").appending(name.text)
        let version = network.version.addingReportingOverflow(1)
        var text = DocumentLines(bytes)
        guard !version.overflow, let versionLine = lines[place.appending("version")],
            text.replace(network.version, of: "version", by: version.partialValue, in: versionLine),
            let last = network.members.last, let lastLine = lines[place.appending("members").appending(last.node.text)],
            text.insert(line.description, behindEntryOf: lastLine)
        else { return nil }
        var wanted = document
        wanted.networks[index].version = version.partialValue
        wanted.networks[index].members.append(line.member)
        guard let file = try? TenantFile(bytes: text.bytes, path: path), file.document == wanted else { return nil }
        return file
    }
}
