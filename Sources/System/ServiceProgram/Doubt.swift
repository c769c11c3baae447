public import ConfigurationFiles
internal import Glibc

/// What can be used, and will hardly do what is meant.
public enum Doubt {
    /// A secret is no secret.
    ///
    /// - Parameters:
    ///   - path: of its file; nothing is said of one that is not there.
    ///   - user: who needs it, as units and packages call him.
    ///   - isForGroup: whether a group may have it, as that of Debian's ssl-cert for keys of certificates.
    public static func secret(at path: String?, of user: String, isForGroup: Bool = false) -> [ConfigurationMistake] {
        var status = stat()
        guard let path, unsafe stat(path, &status) == 0 else { return [] }
        let readers: String
        if status.st_mode & 0o004 != 0 {
            readers = "everybody can read it"
        } else if status.st_mode & 0o040 != 0, status.st_gid != 0, !isForGroup {
            readers = "its group can read it, and front doors that strangers talk to may be in that"
        } else {
            return []
        }
        let reason = "\(readers): chown \(user) \(path) && chmod 400 \(path)"
        return [ConfigurationMistake(at: ConfigurationLocation(file: path, line: nil), reason)]
    }
}
