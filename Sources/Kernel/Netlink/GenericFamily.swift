internal import CMNL
internal import SystemPackage

extension NetlinkSocket {
    /// The number of a generic netlink family, asked once and remembered.
    ///
    /// Asking makes the kernel load the module that has the family, if it may.
    ///
    /// - Throws: ``NetlinkError/noSuchFamily(_:)``, and every case that belongs to an exchange.
    public mutating func genericFamily(_ name: String) throws(NetlinkError) -> UInt16 {
        if let known = families[name] { return known }
        let request = try NetlinkMessage(
            type: UInt16(GENL_ID_CTRL),
            header: genlmsghdr(cmd: UInt8(CTRL_CMD_GETFAMILY), version: 1, reserved: 0)
        ) { message throws(NetlinkError) in
            try message.put(Int(CTRL_ATTR_FAMILY_NAME), text: name)
        }
        var number: UInt16?
        do throws(NetlinkError) {
            try perform(request, "look up", on: "generic netlink family \(name)") { reply throws(MalformedReply) in
                var (_, attributes) = try reply.parse(genlmsghdr.self)
                while let attribute = try attributes.next() {
                    if attribute.type == Int(CTRL_ATTR_FAMILY_ID) { number = try attribute.number() }
                }
            }
        } catch {
            guard error.refusal == .noSuchFileOrDirectory else { throw error }
            throw .noSuchFamily(name)
        }
        guard let number else {
            throw .malformedReply(operation: "look up", object: "generic netlink family \(name)", detail: "no number")
        }
        families[name] = number
        return number
    }

    /// Forgets the number of a family: it is another one after the module has been loaded anew.
    public mutating func forgetGenericFamily(_ name: String) { families[name] = nil }
}
