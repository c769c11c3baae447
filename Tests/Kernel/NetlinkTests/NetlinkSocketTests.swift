import CMNL
import KernelTestSupport
import Surroundings
import SystemPackage
import Testing

@testable import Netlink

private func request(_ number: UInt8 = 0) throws(NetlinkError) -> NetlinkMessage {
    try NetlinkMessage(type: 0x20, header: genlmsghdr(cmd: number, version: 1, reserved: 0)) { _ in }
}

private func socket(_ datagrams: [UInt8]..., buffer: DatagramBuffer = DatagramBuffer()) -> NetlinkSocket {
    NetlinkSocket(transport: ScriptedKernel(datagrams.map(ScriptedKernel.Step.datagram)), buffer: buffer)
}

private func malformed(_ detail: String) -> NetlinkError {
    .malformedReply(operation: "try", object: "it", detail: detail)
}

@Suite("Netlink requests") struct NetlinkRequestTests {
    @Test("carry sequence number, port and the flags of a request")
    func header() throws {
        let kernel = ScriptedKernel([.datagram(acknowledgement(sequence: 1)), .datagram(acknowledgement(sequence: 2))])
        var socket = NetlinkSocket(transport: kernel)
        try socket.perform(try request(), "try", on: "it")
        try socket.perform(try request(), "try", on: "it")
        #expect(
            kernel.requests == [
                hex("14 00 00 00 20 00 05 00 01 00 00 00 07 00 00 00 00 01 00 00"),
                hex("14 00 00 00 20 00 05 00 02 00 00 00 07 00 00 00 00 01 00 00"),
            ]
        )
    }

    @Test("hand over what comes before the acknowledgement")
    func data() throws {
        var socket = socket(message(type: 0x20, sequence: 1, [1, 2, 3, 4]) + acknowledgement(sequence: 1))
        var payloads: [[UInt8]] = []
        try socket.perform(try request(), "try", on: "it") { reply in payloads.append(Array(reply.payload)) }
        #expect(payloads == [[1, 2, 3, 4]])
    }

    @Test("that are refused say so in the words of the caller and of the kernel")
    func refusal() {
        var socket = socket(acknowledgement(sequence: 1, errno: 17, text: "Name is taken"))
        let error = NetlinkError.refused(
            operation: "create VXLAN interface",
            object: "vxr1",
            errno: .fileExists,
            text: "Name is taken"
        )
        #expect(throws: error) { try socket.perform(try request(), "create VXLAN interface", on: "vxr1") }
        #expect("\(error)" == "cannot create VXLAN interface vxr1: File exists (errno 17): Name is taken")
    }

    @Test("drop answers to earlier requests that come late, and empty messages")
    func lateAnswers() throws {
        let kernel = ScriptedKernel([
            .failure(.resourceTemporarilyUnavailable),
            .datagram(acknowledgement(sequence: 1, errno: 1)),
            .datagram(message(type: UInt16(NLMSG_NOOP), sequence: 2)),
            .datagram(acknowledgement(sequence: 2)),
        ])
        var socket = NetlinkSocket(transport: kernel)
        #expect(throws: NetlinkError.noAnswer(operation: "try", object: "it")) {
            try socket.perform(try request(), "try", on: "it")
        }
        var others = 0
        try socket.perform(try request(), "try", on: "it") { _ in others += 1 }
        #expect(others == 0)
        #expect(kernel.isFinished)
    }

    @Test(
        "refuse answers that are not theirs or no answers",
        arguments: [
            (acknowledgement(sequence: 2), "a message with sequence number 2"),
            (message(type: 2, sequence: 1, port: 8, [0, 0, 0, 0]), "a message for port 8"),
            (message(type: 2, sequence: 1, [0, 0, 0]), "an acknowledgement without errno"),
            (message(type: 2, sequence: 1, hostOrder(Int32(5))), "errno 5, which is not negative"),
            (message(type: 2, sequence: 1, hostOrder(Int32.min)), "errno -2147483648, which is not negative"),
            ([1, 2, 3], "3 bytes that are no message"),
            (hex("15 00 00 00 02 00 00 00 01 00 00 00 07 00 00 00 00 00 00 00"), "20 bytes that are no message"),
            (hex("0f 00 00 00 02 00 00 00 01 00 00 00 07 00 00 00 00 00 00 00"), "20 bytes that are no message"),
            ([UInt8](repeating: 0, count: 65537), "a datagram of more than 65536 bytes"),
        ]
    )
    func strangers(datagram: [UInt8], detail: String) {
        var socket = socket(datagram)
        #expect(throws: malformed(detail)) { try socket.perform(try request(), "try", on: "it") }
    }

    @Test("read on to the acknowledgement when the caller cannot read what comes")
    func unreadable() throws {
        var socket = socket(
            message(type: 0x20, sequence: 1) + acknowledgement(sequence: 1),
            acknowledgement(sequence: 2)
        )
        #expect(throws: malformed("odd")) {
            try socket.perform(try request(), "try", on: "it") { _ throws(MalformedReply) in throw MalformedReply("odd")
            }
        }
        try socket.perform(try request(), "try", on: "it")
    }

    @Test("that the socket itself cannot carry are another error than a refusal")
    func socketError() {
        var socket = NetlinkSocket(transport: ScriptedKernel([.failure(.noBufferSpace)]))
        let error = NetlinkError.socketFailed(operation: "try", object: "it", errno: .noBufferSpace)
        #expect(throws: error) { try socket.perform(try request(), "try", on: "it") }
        #expect(error.refusal == nil)
        #expect("\(error)" == "cannot try it: netlink socket: No buffer space available (errno 105)")
    }

    @Test(
        "leave out kernel text that is broken",
        arguments: [[3, 0, 1, 0], [9, 0, 1, 0, 0x41, 0x42, 0, 0]] as [[UInt8]]
    )
    func brokenText(attributes: [UInt8]) {
        let payload = hostOrder(Int32(-1)) + [UInt8](repeating: 0, count: 16) + attributes
        var socket = socket(message(type: 2, flags: 0x300, sequence: 1, payload))
        #expect(
            throws: NetlinkError.refused(operation: "try", object: "it", errno: .notPermitted, text: nil)
        ) { try socket.perform(try request(), "try", on: "it") }
    }
}

@Suite("Batches") struct NetlinkBatchTests {
    @Test("give each message its own result, in whatever order the answers come")
    func results() throws {
        var socket = socket(
            acknowledgement(sequence: 3, errno: 2) + acknowledgement(sequence: 1),
            acknowledgement(sequence: 2, errno: 1)
        )
        let results = try socket.perform((0..<3).map { try request($0) }, "try", on: { "number \($0)" })
        #expect(
            results == [
                nil,
                .refused(operation: "try", object: "number 1", errno: .notPermitted, text: nil),
                .refused(operation: "try", object: "number 2", errno: .noSuchFileOrDirectory, text: nil),
            ]
        )
    }

    @Test(
        "are split after 64 messages",
        arguments: [(0, []), (1, [1]), (64, [64]), (65, [64, 1]), (129, [64, 64, 1])]
    )
    func splitByCount(count: Int, sends: [Int]) throws {
        let kernel = ScriptedKernel((0..<count).map { .datagram(acknowledgement(sequence: UInt32($0 + 1))) })
        var socket = NetlinkSocket(transport: kernel)
        let results = try socket.perform((0..<count).map { _ in try request() }, "try", on: { "\($0)" })
        #expect(results == [NetlinkError?](repeating: nil, count: count))
        #expect(kernel.requests.map { $0.count / 20 } == sends)
    }

    @Test("are split before 65,536 bytes are exceeded", arguments: [(16384, [4, 1]), (16388, [3, 2])])
    func splitBySize(size: Int, sends: [Int]) throws {
        let large = try NetlinkMessage(type: 1, header: genlmsghdr(), limit: 32768) { message throws(NetlinkError) in
            try message.put(1, bytes: [UInt8](repeating: 0, count: size - 24))
        }
        let kernel = ScriptedKernel((1...5).map { .datagram(acknowledgement(sequence: UInt32($0))) })
        var socket = NetlinkSocket(transport: kernel)
        _ = try socket.perform([NetlinkMessage](repeating: large, count: 5), "try", on: { "\($0)" })
        #expect(kernel.requests.map { $0.count / size } == sends)
    }

    @Test("refuse a second answer to one message")
    func twice() {
        var socket = socket(acknowledgement(sequence: 1) + acknowledgement(sequence: 1))
        #expect(
            throws: NetlinkError.malformedReply(
                operation: "try",
                object: "0",
                detail: "a message with sequence number 1"
            )
        ) {
            try socket.perform([try request(), try request()], "try", on: { "\($0)" })
        }
    }
}

@Suite("Dumps") struct NetlinkDumpTests {
    private let interrupted = UInt16(NLM_F_MULTI | NLM_F_DUMP_INTR)

    private func part(_ value: UInt8, _ sequence: UInt32 = 1, flags: UInt16 = 2) -> [UInt8] {
        message(type: 0x20, flags: flags, sequence: sequence, [value, 0, 0, 0])
    }

    private func values(_ socket: inout NetlinkSocket, isSecret: Bool = false) throws(NetlinkError) -> [UInt8] {
        try socket.dump(try request(), "try", on: "it", isSecret: isSecret, into: []) { values, reply in
            values.append(reply.payload[reply.payload.startIndex])
        }
    }

    @Test("go over all datagrams to the end")
    func whole() throws {
        let kernel = ScriptedKernel([.datagram(part(1) + part(2)), .datagram(part(3)), .datagram(done(sequence: 1))])
        var socket = NetlinkSocket(transport: kernel)
        #expect(try values(&socket) == [1, 2, 3])
        #expect(kernel.requests == [hex("14 00 00 00 20 00 01 03 01 00 00 00 07 00 00 00 00 01 00 00")])
    }

    @Test("begin again from nothing when they were interrupted, whichever message says so", arguments: [true, false])
    func retry(atTheEnd: Bool) throws {
        let (first, last) = atTheEnd ? (UInt16(2), interrupted) : (interrupted, UInt16(2))
        var socket = socket(
            part(1, flags: first) + done(sequence: 1, flags: last),
            part(1, 2) + part(2, 2) + done(sequence: 2)
        )
        #expect(try values(&socket) == [1, 2])
    }

    @Test("are given up after five interrupted attempts, and not after four", arguments: [4, 5])
    func attempts(count: UInt32) throws {
        let broken = (1...count).map { ScriptedKernel.Step.datagram(done(sequence: $0, flags: interrupted)) }
        let kernel = ScriptedKernel(broken + [.datagram(part(9, count + 1) + done(sequence: count + 1))])
        var socket = NetlinkSocket(transport: kernel)
        if count < 5 {
            #expect(try values(&socket) == [9])
        } else {
            #expect(throws: NetlinkError.interrupted(operation: "try", object: "it")) { try values(&socket) }
            #expect(kernel.requests.count == NetlinkSocket.dumpAttempts)
        }
    }

    @Test("fail with the errno of their end, or of a message in place of data")
    func errors() {
        let error = NetlinkError.refused(operation: "try", object: "it", errno: .noSuchDevice, text: nil)
        var atTheEnd = socket(part(1) + done(sequence: 1, errno: 19))
        #expect(throws: error) { try values(&atTheEnd) }
        var inPlace = socket(part(1), acknowledgement(sequence: 1, errno: 19))
        #expect(throws: error) { try values(&inPlace) }
    }

    @Test("refuse what does not belong in them")
    func strangers() {
        var acknowledged = socket(acknowledgement(sequence: 1))
        #expect(throws: malformed("an acknowledgement in a dump")) { try values(&acknowledged) }
        var foreign = socket(part(1, 2))
        #expect(throws: malformed("a message with sequence number 2")) { try values(&foreign) }
        var short = socket(message(type: 3, flags: 2, sequence: 1))
        #expect(throws: malformed("an acknowledgement without errno")) { try values(&short) }
    }

    @Test("are read to their end when one message cannot be read")
    func unreadable() throws {
        let kernel = ScriptedKernel([.datagram(part(1)), .datagram(part(2) + done(sequence: 1))])
        var socket = NetlinkSocket(transport: kernel)
        #expect(throws: malformed("odd 1")) {
            try socket.dump(try request(), "try", on: "it", into: ()) { _, reply throws(MalformedReply) in
                throw MalformedReply("odd \(reply.payload[reply.payload.startIndex])")
            }
        }
        #expect(kernel.isFinished)
    }

    @Test("with keys in them leave nothing in the buffer, not even when they fail", arguments: [0, 1] as [Int32])
    func wiping(errno: Int32) {
        let buffer = DatagramBuffer()
        var socket = socket(part(0xee) + done(sequence: 1, errno: errno), buffer: buffer)
        _ = try? values(&socket, isSecret: true)
        #expect(buffer.bytes.allSatisfy { $0 == 0 })
    }
}

@Suite("Netlink with the real kernel", .needsRoot) struct NetlinkKernelTests {
    @Test("finds a family that every kernel has, and remembers it")
    func family() throws {
        var socket = try NetlinkSocket(.generic)
        #expect(try socket.genericFamily("nlctrl") == UInt16(GENL_ID_CTRL))
        #expect(socket.families == ["nlctrl": UInt16(GENL_ID_CTRL)])
        socket.forgetGenericFamily("nlctrl")
        #expect(socket.families == [:])
    }

    @Test("knows a family that no kernel has as missing")
    func noFamily() throws {
        var socket = try NetlinkSocket(.generic)
        #expect(throws: NetlinkError.noSuchFamily("kex-none")) { try socket.genericFamily("kex-none") }
    }

    @Test("lists the interfaces, the loopback interface among them")
    func dump() throws {
        var socket = try NetlinkSocket(.route)
        let list = try NetlinkMessage(type: UInt16(RTM_GETLINK), header: ifinfomsg()) { _ in }
        let indexes = try socket.dump(list, "list", on: "interfaces", into: [Int32]()) {
            indexes,
            reply throws(MalformedReply) in
            indexes.append(try reply.parse(ifinfomsg.self).0.ifi_index)
        }
        #expect(indexes.contains(1))
    }

    @Test("hears the kernel's own words")
    func kernelText() throws {
        var socket = try NetlinkSocket(.route)
        // Strict checking is on: a filled-in field that has no meaning here is an error with a text.
        let bad = try NetlinkMessage(
            type: UInt16(RTM_GETLINK),
            header: ifinfomsg(ifi_family: 0, __ifi_pad: 0, ifi_type: 1, ifi_index: 1, ifi_flags: 0, ifi_change: 0)
        ) { _ in }
        let error = #expect(throws: NetlinkError.self) { try socket.perform(bad, "try", on: "it") }
        guard case .refused("try", "it", .invalidArgument, let text?) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(text == "Invalid values in header for get link request")
    }

    @Test("does not wait for ever")
    func timeout() throws {
        let transport = try KernelTransport(protocol: NETLINK_ROUTE, timeout: .milliseconds(50))
        var buffer = [UInt8](repeating: 0, count: 100)
        let start = ContinuousClock.now
        #expect(throws: Errno.resourceTemporarilyUnavailable) { try transport.receive(into: &buffer) }
        #expect(ContinuousClock.now - start >= .milliseconds(40))
    }

    @Test("notices an answer that was cut off")
    func truncation() throws {
        let transport = try KernelTransport(protocol: NETLINK_ROUTE, timeout: .seconds(1))
        let get = try NetlinkMessage(
            type: UInt16(RTM_GETLINK),
            header: ifinfomsg(ifi_family: 0, __ifi_pad: 0, ifi_type: 0, ifi_index: 1, ifi_flags: 0, ifi_change: 0)
        ) { _ in }
        try transport.send(get.addressed(sequence: 1, port: transport.port, flags: 0))
        var buffer = [UInt8](repeating: 0, count: 32)
        #expect(throws: Errno.noSpace) { try transport.receive(into: &buffer) }
    }

    @Test("carries out a batch of 200, one refusal in it")
    func batch() throws {
        var socket = try NetlinkSocket(.route)
        let messages = try (0..<200).map { number in
            try NetlinkMessage(
                type: UInt16(RTM_GETLINK),
                header: ifinfomsg(
                    ifi_family: 0,
                    __ifi_pad: 0,
                    ifi_type: 0,
                    ifi_index: number == 150 ? 0x7fff_ffff : 1,
                    ifi_flags: 0,
                    ifi_change: 0
                )
            ) { _ in }
        }
        let results = try socket.perform(messages, "look up", on: { "number \($0)" })
        #expect(results.count == 200)
        for (number, error) in results.enumerated() {
            #expect(error?.refusal == (number == 150 ? .noSuchDevice : nil), "number \(number)")
        }
        #expect(results[150]?.description.hasPrefix("cannot look up number 150: ") == true)
    }
}
