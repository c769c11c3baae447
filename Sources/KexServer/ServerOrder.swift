public import KexProtocol

/// What a running server is told to do.
public enum ServerOrder: Sendable {
    /// Serve these domains from now on. Exchanges whose domain was known when they named it go on.
    case serve(Set<DomainName>)
    /// Finish what is begun, and end.
    case stop
}
