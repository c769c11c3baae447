internal import SystemCalls

/// What may be asked of the handler, on which socket, by whom. Whatever is not in this table ends the connection.
///
/// | door | frame that is taken | records | who |
/// | --- | --- | --- | --- |
/// | front doors | registrations | 1 to 64 of fixed size | root, the handler's own user, the group of the socket's file |
/// | front doors | status requests | 1 to 64 of fixed size | the same |
/// | control | sweep | 1 to 64 of fixed size | the same, with the group of that file |
enum Door: CaseIterable {
    /// Registrations and questions about domains, from `kexd` and its like.
    case front
    /// The operator's requests.
    case control

    /// `FileDescriptorName=` of its socket unit.
    var name: String {
        switch self {
        case .front: "handler"
        case .control: "control"
        }
    }

    /// Most connections at a time. More wait in the kernel's queue until one ends.
    var maximumConnections: Int {
        switch self {
        case .front: 16
        case .control: 16
        }
    }
}
