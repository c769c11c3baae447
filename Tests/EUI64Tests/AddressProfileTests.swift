import EUI64
import NetworkAddresses
import Testing
import WireGuardTypes

@Suite("Address profiles") struct AddressProfileTests {
    /// The digests are those of `md5sum`, of the key's text with a line feed and without. Published addresses: the map
    /// host of Freifunk Westerwald (first row, `eui64`), gw04 and gw05 of Freifunk München (second and third, `ffmuc`).
    struct Vector: Sendable {
        let key: String
        let mac: String
        let eui64: String
        let ffmuc: String
        let gluonMAC: String
        let gluon: String
    }

    private static let vectors = [
        Vector(
            key: "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw=",
            mac: "02:de:5d:b8:5b:59",
            eui64: "fe80::de:5dff:feb8:5b59",
            ffmuc: "fe80::2de:5dff:feb8:5b59",
            gluonMAC: "02:4d:84:26:e7:20",
            gluon: "fe80::24d:84ff:fe26:e720"
        ),
        Vector(
            key: "TszFS3oFRdhsJP3K0VOlklGMGYZy+oFCtlaghXJqW2g=",
            mac: "02:7c:16:c0:6c:74",
            eui64: "fe80::7c:16ff:fec0:6c74",
            ffmuc: "fe80::27c:16ff:fec0:6c74",
            gluonMAC: "02:a8:27:d3:98:8e",
            gluon: "fe80::2a8:27ff:fed3:988e"
        ),
        Vector(
            key: "igyqOmWiz4EZxPG8ZzU537MnHhaqlwfa7HarB3KmnEg=",
            mac: "02:81:8e:f0:73:aa",
            eui64: "fe80::81:8eff:fef0:73aa",
            ffmuc: "fe80::281:8eff:fef0:73aa",
            gluonMAC: "02:7d:ff:38:7e:10",
            gluon: "fe80::27d:ffff:fe38:7e10"
        ),
        Vector(
            key: "o52Ge+Rpj4CUSitVag9mS7pSXUesNM0ESnvj/wwehkg=",
            mac: "02:a6:8f:21:54:65",
            eui64: "fe80::a6:8fff:fe21:5465",
            ffmuc: "fe80::2a6:8fff:fe21:5465",
            gluonMAC: "02:68:63:f3:89:12",
            gluon: "fe80::268:63ff:fef3:8912"
        ),
        Vector(
            key: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHhg=",
            mac: "02:5f:ef:ac:74:b4",
            eui64: "fe80::5f:efff:feac:74b4",
            ffmuc: "fe80::25f:efff:feac:74b4",
            gluonMAC: "02:b1:73:ab:52:a2",
            gluon: "fe80::2b1:73ff:feab:52a2"
        ),
    ]

    @Test("derive what each network derives", arguments: vectors)
    func derivation(vector: Vector) throws {
        let key = try #require(PublicKey(text: vector.key))
        for (profile, mac, address) in [
            (AddressProfile.eui64, vector.mac, vector.eui64),
            (.ffmuc, vector.mac, vector.ffmuc),
            (.gluon, vector.gluonMAC, vector.gluon),
        ] {
            #expect(profile.mac(of: key).description == mac, "\(profile)")
            #expect(profile.linkLocalAddress(of: key).description == address, "\(profile)")
        }
    }

    @Test(
        "invert the universal/local bit, or set it, as their network does",
        arguments: [
            ("02:00:00:00:00:01", 0x0000_00ff_fe00_0001, 0x0200_00ff_fe00_0001),
            ("00:00:00:00:00:01", 0x0200_00ff_fe00_0001, 0x0200_00ff_fe00_0001),
            ("fd:ff:ff:ff:ff:ff", 0xffff_ffff_feff_ffff, 0xffff_ffff_feff_ffff),
            ("34:56:78:9a:bc:de", 0x3656_78ff_fe9a_bcde, 0x3656_78ff_fe9a_bcde),
        ] as [(String, UInt64, UInt64)]
    )
    func identifiers(mac: String, inverted: UInt64, set: UInt64) throws {
        let mac = try #require(MACAddress(mac))
        #expect(AddressProfile.eui64.interfaceIdentifier(of: mac) == inverted)
        #expect(AddressProfile.ffmuc.interfaceIdentifier(of: mac) == set)
        #expect(AddressProfile.gluon.interfaceIdentifier(of: mac) == set)
    }

    @Test("have the names that the configuration uses")
    func names() {
        #expect(AddressProfile.allCases.map(\.rawValue) == ["eui64", "ffmuc", "gluon"])
    }
}
