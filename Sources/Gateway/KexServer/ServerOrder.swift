public import KexProtocol
public import NetworkAddresses

/// An order to a running server.
public enum ServerOrder: Sendable {
    /// Serve these domains from now on, with these sources unlimited. Exchanges whose domain was known when they named
    /// it go on.
    case serve(Set<DomainName>, unlimitedSources: [IPPrefix])
    /// Finish what is begun, and end.
    case stop
}
