internal import CLinux
internal import Glibc

/// Lets this process have as many descriptors as its hard limit allows. Services begin with a soft limit of 1024, which
/// is there for programs that use select(2).
///
/// Source: RLIMIT_NOFILE of getrlimit(2); systemd.exec(5), "Process Properties".
public func raiseDescriptorLimit() throws(SystemCallError) {
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limit = rlimit()
    _ = try check("get", "the limit of open descriptors") { unsafe Int(getrlimit(resource, &limit)) }
    limit.rlim_cur = limit.rlim_max
    _ = try check("raise", "the limit of open descriptors") { unsafe Int(setrlimit(resource, &limit)) }
}
