import KernelTestSupport
import Netlink
import NetworkAddresses
import Testing

@testable import VXLANFdb

@Suite("Fdb messages") struct FdbMessageTests {
    private let device = InterfaceIndex(9)!
    private let entry = FdbEntry(
        mac: MACAddress("02:de:5d:b8:5b:59")!,
        destination: IPv6Address("fe80::de:5dff:feb8:5b59")!,
        via: InterfaceIndex(4)!
    )

    @Test("for the flood list are 68 bytes: create and append")
    func flood() throws {
        let entry = FdbEntry.flood(to: entry.destination, via: entry.via)
        let bytes = try VXLANFdb.appendMessage(entry, device).bytes
        #expect(bytes.count == 68)
        #expect(
            bytes
                == hex(
                    """
                    44 00 00 00  1c 00  00 0c  00 00 00 00  00 00 00 00  ; length 68, RTM_NEWNEIGH, CREATE | APPEND
                    07  00 00 00  09 00 00 00  c0 00  02  00             ; AF_BRIDGE, interface 9, NOARP | PERMANENT, SELF
                    0a 00 02 00  00 00 00 00 00 00 00 00                 ; NDA_LLADDR, padded
                    14 00 01 00  fe 80 00 00 00 00 00 00 00 de 5d ff fe b8 5b 59  ; NDA_DST
                    08 00 08 00  04 00 00 00                             ; NDA_IFINDEX: via
                    """
                )
        )
    }

    @Test("for a router's MAC are 68 bytes: create and replace")
    func unicast() throws {
        let bytes = try VXLANFdb.appendMessage(entry, device).bytes
        #expect(
            bytes
                == hex(
                    """
                    44 00 00 00  1c 00  00 05  00 00 00 00  00 00 00 00  ; length 68, RTM_NEWNEIGH, CREATE | REPLACE
                    07  00 00 00  09 00 00 00  c0 00  02  00
                    0a 00 02 00  02 de 5d b8 5b 59 00 00
                    14 00 01 00  fe 80 00 00 00 00 00 00 00 de 5d ff fe b8 5b 59
                    08 00 08 00  04 00 00 00
                    """
                )
        )
    }

    @Test("that delete name MAC, destination and via")
    func deletion() throws {
        let bytes = try VXLANFdb.deleteMessage(entry, device).bytes
        #expect(Array(bytes[..<16]) == hex("44 00 00 00  1d 00  00 00  00 00 00 00  00 00 00 00"), "RTM_DELNEIGH")
        let addition = try VXLANFdb.appendMessage(entry, device).bytes
        #expect(bytes[16...] == addition[16...])
    }

    @Test("that list name the device in the header and nothing else")
    func listing() throws {
        #expect(
            try VXLANFdb.listMessage(device).bytes
                == hex(
                    """
                    1c 00 00 00  1e 00  00 00  00 00 00 00  00 00 00 00  ; length 28, RTM_GETNEIGH
                    07  00 00 00  09 00 00 00  00 00  00  00
                    """
                )
        )
    }
}
