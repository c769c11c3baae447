internal import Glibc
internal import SystemPackage

extension INIFile {
    /// Reads `path`, then every `*.conf` of the folder `path` + `.d` in the order of their names.
    ///
    /// - Returns: the files and the sections of all of them in their order, and what is wrong with files or lines.
    public static func sectionsWithDropIns(
        path: String
    ) -> (files: [String], sections: [Section], mistakes: [ConfigurationMistake]) {
        var sections: [Section] = []
        var mistakes: [ConfigurationMistake] = []
        var files = [path]
        do throws(ConfigurationError) {
            files += try dropIns(of: path + ".d")
        } catch {
            mistakes += error.mistakes
        }
        for file in files {
            do throws(ConfigurationError) {
                sections += try INIFile(path: file).sections
            } catch {
                mistakes += error.mistakes
            }
        }
        return (files, sections, mistakes)
    }
}

/// The names of a folder's `*.conf` files in byte order, each with its folder; none if there is no such folder.
///
/// - Throws: if there is one that cannot be read.
private func dropIns(of folder: String) throws(ConfigurationError) -> [String] {
    guard let stream = unsafe opendir(folder) else {
        let failure = Errno(rawValue: errno)
        if failure == .noSuchFileOrDirectory { return [] }
        let location = ConfigurationLocation(file: folder, line: nil)
        throw ConfigurationError([
            ConfigurationMistake(at: location, "cannot read: \(failure) (errno \(failure.rawValue))")
        ])
    }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
        let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name.hasSuffix(".conf") && !name.hasPrefix(".") { names.append("\(folder)/\(name)") }
    }
    return names.sorted()
}
