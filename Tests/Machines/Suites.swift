import Surroundings
import Testing

// One machine does one thing at a time; the two of them work side by side.

/// systemd on this machine's kernel.
@Suite("In a container", .needsRoot, .serialized) enum InContainer {}

/// Debian's own kernel.
@Suite("In a virtual machine", .needsRoot, .serialized) enum InVirtualMachine {}
