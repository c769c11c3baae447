internal import CMNL
internal import Netlink
internal import NetworkAddresses
internal import Secrets
internal import SystemCalls
internal import SystemPackage
internal import WireGuardTypes

/// A WireGuard interface of the kernel, over generic netlink.
///
/// Source: `linux/wireguard.h`, whose numbers are used by name, and the module's netlink.c.
final class KernelWireGuard: WireGuardInterface {
    /// While new peers come all the time, every list is interrupted.
    private static let listAttempts = 2

    let name: InterfaceName
    private var socket: NetlinkSocket

    /// - Throws: ``NetlinkError/noSuchFamily(_:)`` if this kernel has no WireGuard.
    init(_ name: InterfaceName, socket: consuming NetlinkSocket) throws(NetlinkError) {
        self.name = name
        self.socket = socket
        _ = try self.socket.genericFamily(WG_GENL_NAME)
    }

    func state() throws(WireGuardError) -> DeviceState {
        try run(.readState) { family throws(NetlinkError) in
            let request = try message(family, WG_CMD_GET_DEVICE) { _ in }
            var (state, isWhole) = try socket.dumpAsFarAsPossible(
                request,
                "read",
                on: name.text,
                isSecret: true,
                attempts: Self.listAttempts,
                into: DeviceState()
            ) { state, reply throws(MalformedReply) in try state.merge(reply) }
            state.isWhole = isWhole
            return state
        }
    }

    func privateKey() throws(WireGuardError) -> PrivateKey? {
        try run(.readKey) { family throws(NetlinkError) in
            let request = try message(family, WG_CMD_GET_DEVICE) { _ in }
            // Whatever becomes of the peers meanwhile, the first part has the key.
            return try socket.dumpAsFarAsPossible(
                request,
                "read",
                on: name.text,
                isSecret: true,
                attempts: 1,
                into: nil as PrivateKey?
            ) { key, reply throws(MalformedReply) in
                if key == nil { key = try reply.privateKey() }
            }.value
        }
    }

    func apply(_ changes: [PeerChange]) throws(WireGuardError) {
        var rest = changes.flatMap(\.parts)[...]
        while !rest.isEmpty {
            rest = try run(.applyChanges) { family throws(NetlinkError) in
                var count = 0
                let request = try message(family, WG_CMD_SET_DEVICE) { message throws(NetlinkError) in
                    try message.nest(DeviceAttribute.peers) { message throws(NetlinkError) in
                        count = try message.putAsManyAsFit(rest.prefix(changesPerRequest))
                    }
                }
                try socket.perform(request, "change", on: name.text)
                return rest.dropFirst(count)
            }
        }
    }

    func configure(privateKey: PrivateKey?, listenPort: UInt16?, firewallMark: UInt32?) throws(WireGuardError) {
        guard privateKey != nil || listenPort != nil || firewallMark != nil else { return }
        try run(.configure) { family throws(NetlinkError) in
            let request = try message(family, WG_CMD_SET_DEVICE) { message throws(NetlinkError) in
                if let privateKey { try message.put(DeviceAttribute.privateKey, secret: privateKey.bytes) }
                if let listenPort { try message.put(DeviceAttribute.listenPort, listenPort) }
                if let firewallMark { try message.put(DeviceAttribute.firewallMark, firewallMark) }
            }
            try socket.perform(request, "configure", on: name.text)
        }
    }

    /// Runs an operation with the family's number and puts its errors into the words of this module.
    private func run<Result>(
        _ operation: WireGuardOperation,
        _ body: (_ family: UInt16) throws(NetlinkError) -> Result
    ) throws(WireGuardError) -> Result {
        do throws(NetlinkError) {
            return try body(try socket.genericFamily(WG_GENL_NAME))
        } catch {
            // The module was unloaded; when it comes back it has another number.
            if error.refusal == .noSuchFileOrDirectory { socket.forgetGenericFamily(WG_GENL_NAME) }
            throw WireGuardError(error, operation, name)
        }
    }

    /// A message to this interface. It goes by name: so it reaches an interface that was made anew.
    private func message(
        _ family: UInt16,
        _ command: wg_cmd,
        _ attributes: (inout MessageBuilder) throws(NetlinkError) -> Void
    ) throws(NetlinkError) -> NetlinkMessage {
        let header = genlmsghdr(cmd: UInt8(command.rawValue), version: UInt8(WG_GENL_VERSION), reserved: 0)
        return try NetlinkMessage(type: family, header: header) { message throws(NetlinkError) in
            try message.put(DeviceAttribute.name, text: name.text)
            try attributes(&message)
        }
    }
}

extension MessageBuilder {
    /// Puts the first of `changes` as elements of the nest WGDEVICE_A_PEERS and returns how many fitted, at least one.
    ///
    /// - Throws: ``NetlinkError/messageTooLong(limit:)`` if not even one fits.
    fileprivate mutating func putAsManyAsFit(_ changes: some Collection<PeerChange>) throws(NetlinkError) -> Int {
        var count = 0
        for change in changes {
            do throws(NetlinkError) {
                try nest(0) { message throws(NetlinkError) in try message.put(change) }
            } catch .messageTooLong(let limit) {
                guard count > 0 else { throw .messageTooLong(limit: limit) }
                break
            }
            count += 1
        }
        return count
    }

    /// Puts a copy of a secret, and wipes it. What the message itself has of it goes with the message.
    fileprivate mutating func put(_ type: Int, secret: consuming [UInt8]) throws(NetlinkError) {
        var bytes = secret
        defer { SecretBytes.wipe(&bytes) }
        try put(type, bytes: bytes)
    }

    private mutating func put(_ change: PeerChange) throws(NetlinkError) {
        try put(PeerAttribute.publicKey, bytes: change.publicKey.bytes)
        switch change {
        case .remove:
            try put(PeerAttribute.flags, UInt32(WGPEER_F_REMOVE_ME.rawValue))
        case .add(let settings), .update(let settings):
            if let key = settings.presharedKey { try put(PeerAttribute.presharedKey, secret: key.bytes) }
            var flags = settings.replacesAllowedIPs ? UInt32(WGPEER_F_REPLACE_ALLOWEDIPS.rawValue) : 0
            if case .update = change { flags |= UInt32(WGPEER_F_UPDATE_ONLY.rawValue) }
            if flags != 0 { try put(PeerAttribute.flags, flags) }
            if let endpoint = settings.endpoint { try put(PeerAttribute.endpoint, bytes: endpoint.kernelBytes) }
            if let seconds = settings.persistentKeepalive { try put(PeerAttribute.persistentKeepalive, seconds) }
            guard !settings.allowedIPs.isEmpty else { return }
            try nest(PeerAttribute.allowedIPs) { message throws(NetlinkError) in
                for prefix in settings.allowedIPs {
                    try message.nest(0) { message throws(NetlinkError) in try message.put(prefix) }
                }
            }
        }
    }

    private mutating func put(_ prefix: IPPrefix) throws(NetlinkError) {
        switch prefix.address {
        case .v4(let address):
            try put(AllowedIPAttribute.family, UInt16(AF_INET))
            try put(AllowedIPAttribute.address, bytes: address.bytes)
        case .v6(let address):
            try put(AllowedIPAttribute.family, UInt16(AF_INET6))
            try put(AllowedIPAttribute.address, bytes: address.bytes)
        }
        try put(AllowedIPAttribute.length, prefix.length)
    }
}

extension WireGuardError {
    /// A netlink error in the words of this module.
    init(_ error: NetlinkError, _ operation: WireGuardOperation, _ name: InterfaceName) {
        switch error {
        case .refused(_, _, .noSuchDevice, _): self = .noSuchInterface(name)
        case .refused(_, _, .notSupportedOnSocket, _): self = .notWireGuard(name)
        case .refused(_, _, let errno, let text): self = .refused(operation, name, errno: errno, text: text)
        case .noSuchFamily: self = .noKernelSupport(name)
        case .socketFailed(_, _, let errno):
            self = .unreachable(operation, name, SystemCallError("use", "a netlink socket", errno: errno))
        case .noAnswer: self = .noAnswer(operation, name)
        case .interrupted, .tooLong: self = .interrupted(operation, name)
        case .malformedReply(_, _, let detail): self = .malformedReply(operation, name, detail: detail)
        // ``allowedIPsPerChange`` leaves no change that is longer.
        case .messageTooLong: self = .refused(operation, name, errno: .messageTooLong, text: nil)
        }
    }
}
