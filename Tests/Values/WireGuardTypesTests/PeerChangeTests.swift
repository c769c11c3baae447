import NetworkAddresses
import Testing
import WireGuardTypes

@Suite("Changes of peers") struct PeerChangeTests {
    @Test("tell whose they are")
    func key() throws {
        let key = try #require(PublicKey(text: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="))
        #expect(PeerChange.remove(key).publicKey == key)
        #expect(PeerChange.add(PeerSettings(publicKey: key, allowedIPs: [])).publicKey == key)
    }
}
