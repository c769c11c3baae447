internal import CLinux
internal import Glibc
public import NetworkAddresses
public import Time

/// Why a host name has no addresses for us.
public enum HostLookupError: Error, Hashable, Sendable {
    /// The resolver said no; `reason` is its own wording.
    case failed(host: String, reason: String)
    /// The resolver did not answer in time.
    case timedOut(host: String)
}

extension HostLookupError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .failed(let host, let reason): "cannot look up \(host): \(reason)"
        case .timedOut(let host): "cannot look up \(host): no answer in time"
        }
    }
}

/// Looks up the addresses of host names.
public enum HostLookup {
    /// All addresses of `host`, in the order in which RFC 6724 wants them tried.
    ///
    /// - Parameters:
    ///   - host: a name, or an address of either family; `fe80::1%eth0` has an interface as its scope.
    ///   - deadline: when to give up. getaddrinfo(3) cannot be stopped, so a look-up that takes longer goes on in a
    ///     thread of its own that nobody waits for: for programs that end soon.
    public static func endpoints(
        ofHost host: String,
        port: UInt16,
        until deadline: MonotonicTime
    ) throws(HostLookupError) -> [Endpoint] {
        // A resolver that knows the answer could be faster than the look at the clock.
        guard .now < deadline else { throw .timedOut(host: host) }
        let thread: SideThread<Result<[Endpoint], HostLookupError>>
        do throws(SystemCallError) {
            thread = try SideThread()
        } catch {
            throw .failed(host: host, reason: "\(error)")
        }
        thread.run {
            Result { () throws(HostLookupError) in try ask(host: host, port: port) }
        } orElse: {
            .failure(.failed(host: host, reason: "\($0)"))
        }
        guard let result = thread.wait(until: deadline) else { throw .timedOut(host: host) }
        return try result.get()
    }

    private static func ask(host: String, port: UInt16) throws(HostLookupError) -> [Endpoint] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>? = nil
        let status = unsafe getaddrinfo(host, "\(port)", &hints, &list)
        guard status == 0 else {
            let reason =
                status == EAI_SYSTEM
                ? unsafe String(cString: strerror(errno)) : unsafe String(cString: gai_strerror(status))
            throw .failed(host: host, reason: reason)
        }
        defer { unsafe freeaddrinfo(list) }
        var endpoints: [Endpoint] = []
        var next = unsafe list
        while let entry = unsafe next {
            let address = unsafe SocketAddress(copying: entry.pointee.ai_addr, length: entry.pointee.ai_addrlen)
            if let endpoint = address?.endpoint { endpoints.append(endpoint) }
            unsafe next = entry.pointee.ai_next
        }
        return endpoints
    }
}
