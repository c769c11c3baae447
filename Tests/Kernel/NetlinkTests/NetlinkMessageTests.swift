import CMNL
import KernelTestSupport
import Netlink
import Testing

@Suite("Netlink messages") struct NetlinkMessageTests {
    @Test("have lengths, padding and nests as the kernel reads them")
    func encoding() throws {
        let message = try NetlinkMessage(
            type: 0x1234,
            flags: NLM_F_CREATE,
            header: genlmsghdr(cmd: 3, version: 1, reserved: 0)
        ) {
            message throws(NetlinkError) in
            try message.put(1, UInt8(0xaa))
            try message.put(2, UInt16(0x0102).bigEndian)
            try message.put(3, text: "abc")
            try message.nest(4) { message throws(NetlinkError) in
                try message.put(5, bytes: [1, 2, 3, 4, 5])
            }
        }
        // As this machine has them; the packages are built for little-endian machines only.
        #expect(
            message.bytes
                == hex(
                    """
                    3c 00 00 00  34 12  00 04  00 00 00 00  00 00 00 00  ; length 60, type, NLM_F_CREATE, no sequence, no port
                    03 01 00 00              ; struct genlmsghdr
                    05 00 01 00  aa 00 00 00 ; u8 and three bytes of padding
                    06 00 02 00  01 02 00 00 ; u16 in network order
                    08 00 03 00  61 62 63 00 ; text with its NUL
                    10 00 04 80              ; nest of 16 bytes, NLA_F_NESTED
                    09 00 05 00  01 02 03 04  05 00 00 00
                    """
                )
        )
    }

    @Test("take what fits to the byte, and not one byte more", arguments: [(1000, true), (1001, false)])
    func limit(size: Int, fits: Bool) throws {
        // 16 bytes of netlink header, 4 of genlmsghdr, 4 of attribute header: 1000 are left of 1024.
        func build() throws(NetlinkError) -> NetlinkMessage {
            try NetlinkMessage(type: 1, header: genlmsghdr(), limit: 1024) { message throws(NetlinkError) in
                try message.put(1, bytes: [UInt8](repeating: 1, count: size))
            }
        }
        if fits {
            #expect(try build().bytes.count == 1024)
        } else {
            #expect(throws: NetlinkError.messageTooLong(limit: 1024)) { try build() }
        }
    }

    @Test("are as before after a nest that did not fit", arguments: [0, 960, 984, 996, 1000])
    func rollBack(before: Int) throws {
        func build(withNest: Bool) throws -> NetlinkMessage {
            try NetlinkMessage(type: 1, header: genlmsghdr(), limit: 1024) { message throws(NetlinkError) in
                try message.put(1, bytes: [UInt8](repeating: 1, count: before))
                guard withNest else { return }
                #expect(throws: NetlinkError.messageTooLong(limit: 1024)) {
                    try message.nest(2) { message throws(NetlinkError) in
                        try message.put(3, UInt32(1))
                        try message.put(4, bytes: [UInt8](repeating: 1, count: 1000))
                    }
                }
            }
        }
        #expect(try build(withNest: true) == build(withNest: false))
    }
}

@Suite("Attributes") struct AttributesTests {
    @Test("are read one after the other")
    func reading() throws {
        var attributes = Attributes((attribute(1, [7]) + attribute(0x8002, attribute(3, hostOrder(UInt32(9)))))[...])
        let first = try #require(try attributes.next())
        #expect(first.type == 1)
        #expect(try first.number(UInt8.self) == 7)
        let second = try #require(try attributes.next())
        #expect(second.type == 2, "without NLA_F_NESTED")
        var nested = second.nested
        #expect(try nested.next()?.number(UInt32.self) == 9)
        #expect(try nested.next() == nil)
        #expect(try attributes.next() == nil)
    }

    @Test(
        "that do not keep to their bytes are refused",
        arguments: [
            [4, 0, 1],  // not even a header
            [3, 0, 1, 0],  // shorter than its header
            [0, 0, 1, 0],  // a length that would stand still
            [9, 0, 1, 0, 0, 0, 0, 0],  // one byte longer than what is there
            [0xff, 0xff, 1, 0, 0, 0, 0, 0],
        ] as [[UInt8]]
    )
    func broken(bytes: [UInt8]) {
        var attributes = Attributes(bytes[...])
        #expect(throws: MalformedReply.self) { try attributes.next() }
    }

    @Test("of a wrong size are no number", arguments: [0, 3, 5, 8])
    func numberSize(size: Int) throws {
        var attributes = Attributes(attribute(1, [UInt8](repeating: 0, count: size))[...])
        let found = try #require(try attributes.next())
        #expect(throws: MalformedReply("attribute 1 of \(size) bytes and not 4")) { try found.number(UInt32.self) }
    }

    @Test("give text up to the first NUL")
    func text() throws {
        var attributes = Attributes((attribute(1, Array("wg0\0x".utf8)) + attribute(1, Array("wg0".utf8)))[...])
        #expect(try attributes.next()?.text == "wg0")
        #expect(try attributes.next()?.text == "wg0")
    }
}
