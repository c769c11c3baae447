/// The name of a network interface, already checked against the kernel's rules.
public struct InterfaceName: Hashable, Sendable {
    /// Longest name in bytes, without the terminating NUL. Source: IFNAMSIZ of `linux/if.h`, less one.
    public static let maximumLength = 15

    public let text: String

    /// Returns `nil` for a name that is empty, longer than ``maximumLength``, `.` or `..`, or that contains a slash,
    /// a colon, white space, or anything else that is not printable ASCII. The kernel refuses the first ones
    /// (`dev_valid_name`); the rest would make log lines and socket paths ambiguous.
    public init?(_ text: String) {
        guard (1...Self.maximumLength).contains(text.utf8.count), text != ".", text != "..",
            text.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") })
        else { return nil }
        self.text = text
    }
}

extension InterfaceName: CustomStringConvertible {
    public var description: String { text }
}

/// The number by which the kernel knows an interface as long as it exists. Never 0.
public struct InterfaceIndex: Hashable, Sendable, CustomStringConvertible {
    public let number: UInt32

    /// Returns `nil` for 0, which the kernel uses for "no interface".
    public init?(_ number: UInt32) {
        guard number != 0 else { return nil }
        self.number = number
    }

    public var description: String { "\(number)" }
}
