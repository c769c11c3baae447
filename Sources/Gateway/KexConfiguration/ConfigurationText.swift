public import ConfigurationFiles
public import KexProtocol

/// The sections of a configuration by their names, and the mistakes that were found so far.
///
/// A program reads out of it what it needs, and then ``finish()`` says whether the whole can be used.
public struct ConfigurationText {
    /// The main file. What only the whole can show is a mistake of this file, without a line.
    public let path: String
    /// Reads the values.
    public var reader: EntryReader
    /// The entries of all `[Gateway]` in their order.
    private(set) var gateway: [INIFile.Entry] = []
    /// The domains in the order of their first lines.
    private(set) var domains: [(name: DomainName, part: Part)] = []
    private var others: [OtherSection: Part] = [:]
    /// In the order in which they were read.
    private let files: [String]

    /// Sections of one name, taken together.
    public struct Part: Sendable {
        /// Of the first one.
        public let location: ConfigurationLocation
        public fileprivate(set) var entries: [INIFile.Entry]
    }

    /// Reads `path`, then every `*.conf` of the folder `path` + `.d` in the order of their names. A key given again
    /// replaces what came before, a section given again goes on; so a file of the folder can change a single line.
    public init(path: String) {
        let (files, sections, mistakes) = INIFile.sectionsWithDropIns(path: path)
        self.init(path: path, files: files, sections, mistakes)
    }

    /// Reads `bytes` as the content of `path`, without a folder beside it.
    package init(bytes: [UInt8], path: String) throws(ConfigurationError) {
        self.init(path: path, files: [path], try INIFile(bytes: bytes, path: path).sections, [])
    }

    private init(
        path: String,
        files: [String],
        _ sections: [INIFile.Section],
        _ mistakes: [ConfigurationMistake]
    ) {
        self.path = path
        self.files = files
        reader = EntryReader(mistakes: mistakes)
        for section in sections {
            let words = section.name.split(separator: " ", omittingEmptySubsequences: true)
            if words == ["Gateway"] {
                gateway += section.entries
            } else if words.count == 1, let other = OtherSection(rawValue: String(words[0])) {
                others[other, default: Part(location: section.location, entries: [])].entries += section.entries
            } else if words.count == 2, words[0] == "Domain" {
                guard let name = DomainName(words[1]) else {
                    let rule = "1 to \(DomainName.maximumLength) letters, digits, dots, hyphens and underscores"
                    reader.fail(section.location, "a domain name has \(rule)")
                    continue
                }
                if let index = domains.firstIndex(where: { $0.name == name }) {
                    domains[index].part.entries += section.entries
                } else {
                    domains.append((name, Part(location: section.location, entries: section.entries)))
                }
            } else {
                let known = (["Gateway"] + OtherSection.allCases.map(\.rawValue)).map { "[\($0)]" }
                reader.fail(
                    section.location,
                    "unknown section [\(section.name)]; known are \(known.joined(separator: ", ")) and [Domain NAME]"
                )
            }
        }
    }

    /// The sections of that name; `nil` if there are none.
    public subscript(section: OtherSection) -> Part? { others[section] }

    /// Whether there is a section on a domain of that name, whatever is in it.
    public func names(_ domain: DomainName) -> Bool { domains.contains { $0.name == domain } }

    /// Whether nothing is wrong so far.
    public var isFaultless: Bool { reader.mistakes.isEmpty }

    /// Adds a mistake that only the whole can show.
    public mutating func failAsWhole(_ reason: String) {
        reader.fail(ConfigurationLocation(file: path, line: nil), reason)
    }

    /// - Throws: all mistakes in the order of the files and of their lines. Those of files as a whole come last.
    public func finish() throws(ConfigurationError) {
        guard !isFaultless else { return }
        func place(_ mistake: ConfigurationMistake) -> (Int, Int) {
            guard let line = mistake.location.line else { return (files.count, 0) }
            return (files.firstIndex(of: mistake.location.file) ?? files.count, line)
        }
        // `sorted` is stable.
        throw ConfigurationError(reader.mistakes.sorted { place($0) < place($1) })
    }
}
