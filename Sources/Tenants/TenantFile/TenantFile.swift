public import ConfigurationFiles
public import TenantModel

/// A file with a document of tenant networks.
public struct TenantFile: Sendable {
    /// Largest file in bytes. A thousand networks of five nodes have less than one million.
    public static let maximumSize = 1 << 23

    public let path: String
    public let document: TenantDocument
    /// What is in the file.
    public let bytes: [UInt8]
    /// The lines of everything in the document, from 1.
    let lines: [DocumentPath: Int]

    /// Reads a file.
    ///
    /// - Throws: all mistakes in what the file says by itself, each with its line. Rules of the whole are for
    ///   `TenantDocument.mistakes(assigned:)`, whose places ``error(_:)`` turns into lines.
    public init(path: String) throws(ConfigurationError) {
        let advice = "`kex-net init` makes one"
        try self.init(bytes: contents(ofFile: path, limit: Self.maximumSize, ifMissing: advice), path: path)
    }

    /// Reads `bytes` as the content of `path`.
    public init(bytes: [UInt8], path: String) throws(ConfigurationError) {
        guard bytes.count <= Self.maximumSize else {
            let whole = ConfigurationLocation(file: path, line: nil)
            throw ConfigurationError([ConfigurationMistake(at: whole, "file of more than \(Self.maximumSize) bytes")])
        }
        let (value, mistakes) = YAMLText.read(bytes)
        var reader = DocumentReader(file: path)
        for mistake in mistakes { reader.fail(mistake.line, mistake.reason) }
        let document = value.flatMap { reader.document($0) }
        if value == nil, mistakes.isEmpty {
            reader.fail(nil, "nothing in it; `kex-net init` writes a document to begin with")
        }
        guard let document, reader.mistakes.isEmpty else { throw ConfigurationError(Self.inOrder(reader.mistakes)) }
        self.path = path
        self.document = document
        self.bytes = bytes
        lines = reader.lines
    }

    /// The line of a place in the document, or of the nearest place around it that is written.
    public func location(of path: DocumentPath) -> ConfigurationLocation {
        var place: DocumentPath? = path
        while let here = place {
            if let line = lines[here] { return ConfigurationLocation(file: self.path, line: line) }
            place = here.parent
        }
        return ConfigurationLocation(file: self.path, line: nil)
    }

    /// Mistakes in the document with their lines, in the order of the file.
    public func error(_ mistakes: [DocumentMistake]) -> ConfigurationError {
        ConfigurationError(
            Self.inOrder(mistakes.map { ConfigurationMistake(at: location(of: $0.path), $0.text) })
        )
    }

    private static func inOrder(_ mistakes: [ConfigurationMistake]) -> [ConfigurationMistake] {
        // Stable, so that what was found first of one line stays first.
        mistakes.enumerated()
            .sorted { ($0.element.location.line ?? 0, $0.offset) < ($1.element.location.line ?? 0, $1.offset) }
            .map(\.element)
    }
}

extension DocumentReader {
    mutating func document(_ value: YAMLValue) -> TenantDocument? {
        let place = Place(value: value, path: DocumentPath(), line: value.line)
        // First of all, for a newer document may have keys that only a newer program knows.
        if case .table(let entries) = value.content, let format = entries.first(where: { $0.key == "format" }) {
            let place = Place(value: format.value, path: DocumentPath().appending("format"), line: format.line)
            guard let number = number(place, in: 1...UInt32.max) else { return nil }
            guard number <= TenantDocument.currentFormat else {
                fail(
                    format.line,
                    "format \(number) is newer than this program, which reads up to \(TenantDocument.currentFormat); "
                        + "install a newer kex-net"
                )
                return nil
            }
        }
        guard let table = table(place, .document) else { return nil }
        if table["format"] == nil {
            fail(
                1,
                "the document needs `format: \(TenantDocument.currentFormat)`, so that programs know how to read it"
            )
        }
        var document = TenantDocument()
        document.allocations = list(table["allocations"], "allocations", limit: DocumentLimit.allocations)
            .compactMap { allocation($0) }
        for (name, place) in limited(table["nodes"], "nodes by their names", DocumentLimit.nodes) {
            if let name = NodeName(name) {
                if let node = node(name, place) { document.nodes.append(node) }
            } else {
                fail(place.line, "\(quoted(name)) is not a name: \(Self.nameRule)")
            }
        }
        let numbers = document.allocations.map(\.number)
        for (name, place) in limited(table["networks"], "networks by their names", DocumentLimit.networks) {
            if let name = NetworkName(name) {
                if let network = network(name, place, allocations: numbers) { document.networks.append(network) }
            } else {
                fail(place.line, "\(quoted(name)) is not a name: \(Self.nameRule)")
            }
        }
        return document
    }

    private mutating func limited(_ place: Place?, _ what: String, _ limit: Int) -> [(name: String, place: Place)] {
        let entries = named(place, "expected \(what)")
        guard let place, entries.count > limit else { return entries }
        fail(place.line, "\(Self.subject(place)) has \(entries.count) entries, and at most \(limit) are taken")
        return []
    }
}
