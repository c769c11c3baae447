public import Foundation

/// The checkout that the tests were built from.
public enum Checkout {
    /// Where `Package.swift` stands.
    public static let root: URL = {
        var folder = URL(filePath: #filePath).deletingLastPathComponent()
        while !FileManager.default.fileExists(atPath: folder.appending(path: "Package.swift").path) {
            precondition(folder.path != "/", "no Package.swift above \(#filePath)")
            folder.deleteLastPathComponent()
        }
        return folder
    }()

    /// A file of it; `path` from the root.
    public static func file(_ path: String) -> URL { root.appending(path: path) }
}
