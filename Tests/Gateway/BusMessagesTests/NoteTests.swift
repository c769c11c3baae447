import BusMessages
import KexProtocol
import Keys
import Testing
import WireGuardTypes

private let registration = Registration(domain: domain, key: key)
private let gw = GatewayName("gw")!

private func router(_ state: RouterNote.State, time: Int64 = 0x0102) -> BusMessage {
    .router(registration, RouterNote(gateway: gw, time: time, state: state))
}

@Suite("Notes of gateways") struct NoteTests {
    @Test("Each has its bytes, and is read from them")
    func bytes() throws {
        let zero = [UInt8](repeating: 0, count: 8)
        let time: [UInt8] = [0, 0, 0, 0, 0, 0, 1, 2]
        let name: [UInt8] = [2] + Array("gw".utf8)
        let forms: [(BusMessage, [UInt8])] = [
            (router(.registered), [1, 1] + time + zero + name),
            (router(.heard(at: 3)), [1, 2] + time + [0, 0, 0, 0, 0, 0, 0, 3] + name),
            (router(.removed), [1, 3] + time + zero + name),
            (.router(registration, nil), []),
            (
                .count(domain, gw, CountNote(time: 0x0102, count: 20000)),
                [1, 4] + time + [0, 0, 0, 0, 0, 0, 0x4e, 0x20]
            ),
        ]
        for (message, payload) in forms {
            #expect(message.payload() == payload)
            #expect(try read("\(message.topic)", payload) == message)
        }
        #expect("\(forms[0].0.topic)" == "kex/ffww01/router/\(keyDigits)")
        #expect("\(forms[4].0.topic)" == "kex/ffww01/count/gw")
        let last = router(.heard(at: .max), time: .max)
        #expect(try read("\(last.topic)", last.payload()) == last)
    }

    @Test("What is cut, longer, or otherwise not whole is refused")
    func malformed() {
        let good = router(.heard(at: 3)).payload()
        let topic = "\(router(.removed).topic)"
        func isRefused(_ payload: [UInt8], _ topic: String) -> Bool {
            do throws(MalformedMessage) {
                _ = try read(topic, payload)
                return false
            } catch {
                if case .payload = error { return true } else { return false }
            }
        }
        func changed(_ index: Int, _ byte: UInt8) -> [UInt8] {
            var bytes = good
            bytes[index] = byte
            return bytes
        }
        for count in 1..<good.count { #expect(isRefused(Array(good.prefix(count)), topic), "\(count) bytes") }
        for more in [1, 63, 65, 4096] {
            #expect(isRefused(good + [UInt8](repeating: 0, count: more), topic), "\(more) bytes more")
        }
        for (index, byte) in [
            (0, 0), (0, 2), (1, 0), (1, 1), (1, 3), (1, 4), (1, 5), (2, 0x80), (10, 0x80), (18, 0), (18, 1), (18, 3),
            (19, 0x2f),
        ]
            as [(Int, UInt8)]
        {
            #expect(isRefused(changed(index, byte), topic), "byte \(index) = \(byte)")
        }
        #expect(isRefused(good, "kex/ffww01/count/gw"))
        #expect(isRefused([], "kex/ffww01/count/gw"))
    }

    @Test("With a signature and without, a note says the same to whoever trusts everybody")
    func unchecked() throws {
        let message = router(.heard(at: 3))
        let signed = message.payload(signedWith: SigningKey())
        #expect(signed.count == message.payload().count + SigningKey.signatureLength)
        #expect(try read("\(message.topic)", signed) == message)
    }
}

@Suite("Signatures") struct SignatureTests {
    private let signer = SigningKey()
    private let trusted: TrustedKeys

    init() throws {
        var keys = TrustedKeys()
        let isTrusted = keys.trust(signer.publicKey, of: gw)
        #expect(isTrusted)
        trusted = keys
    }

    private static let messages = [
        router(.registered), router(.heard(at: 3)), router(.removed),
        .count(domain, gw, CountNote(time: 1, count: 2)),
    ]

    private func isBelieved(_ topic: String, _ payload: [UInt8]) throws -> Bool {
        do throws(MalformedMessage) {
            _ = try read(topic, payload, trusting: trusted)
            return true
        } catch {
            guard error == .untrusted else { throw error }
            return false
        }
    }

    @Test("A signed note is believed, an unsigned one is not", arguments: messages)
    func believed(message: BusMessage) throws {
        #expect(try isBelieved("\(message.topic)", message.payload(signedWith: signer)))
        #expect(try !isBelieved("\(message.topic)", message.payload()))
        #expect(try !isBelieved("\(message.topic)", message.payload(signedWith: SigningKey())))
    }

    @Test("No bit of it can be another")
    func flips() {
        let message = router(.heard(at: 3))
        let payload = message.payload(signedWith: signer)
        for index in payload.indices {
            for bit in 0..<8 {
                var flipped = payload
                flipped[index] ^= 1 << bit
                #expect(throws: MalformedMessage.self) { try read("\(message.topic)", flipped, trusting: trusted) }
            }
        }
    }

    @Test("It does not count for another domain, router or gateway")
    func replay() throws {
        let payload = router(.heard(at: 3)).payload(signedWith: signer)
        #expect(try !isBelieved("kex/ffww02/router/\(keyDigits)", payload))
        #expect(try !isBelieved("kex/ffww01/router/b\(keyDigits.dropFirst())", payload))
        let count = BusMessage.count(domain, gw, CountNote(time: 1, count: 2)).payload(signedWith: signer)
        #expect(try isBelieved("kex/ffww01/count/gw", count))
        #expect(try !isBelieved("kex/ffww02/count/gw", count))
        #expect(try !isBelieved("kex/ffww01/count/gx", count))
        // A trusted gateway speaks for itself only.
        let other = BusMessage.router(registration, RouterNote(gateway: gateway, time: 1, state: .removed))
        #expect(try !isBelieved("\(other.topic)", other.payload(signedWith: signer)))
    }

    @Test("A key is its text, and signs the same after it was read from there")
    func text() throws {
        let again = try #require(SigningKey(text: signer.text))
        #expect(again.publicKey == signer.publicKey)
        #expect(again.text == signer.text)
        #expect(signer.text.utf8.count == 45)
        let message = router(.removed)
        #expect(message.payload(signedWith: again) == message.payload(signedWith: signer))
        #expect(SigningKey(text: signer.text.dropLast()) != nil)
        #expect(VerificationKey(text: "\(signer.publicKey)") == signer.publicKey)
        for text in ["", "\n", signer.text + "\n", " " + signer.text, String(signer.text.dropFirst())] {
            #expect(SigningKey(text: text) == nil)
        }
        #expect(SigningKey().text != SigningKey().text)
    }

    @Test("The key of the first test of RFC 8032 is what it is there")
    func vector() throws {
        let key = try #require(SigningKey(text: "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="))
        #expect("\(key.publicKey)" == "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    }

    @Test("A file of trusted keys has a key and a name in each line, comments left out")
    func file() throws {
        let text = "# ours\n\n \(signer.publicKey)\tgw # the first\r\n\(SigningKey().publicKey) gw\n"
        let keys = try TrustedKeys(file: Array(text.utf8))
        let message = router(.heard(at: 3))
        #expect(try read("\(message.topic)", message.payload(signedWith: signer), trusting: keys) == message)
        #expect(try TrustedKeys(file: Array("\(signer.publicKey) gw".utf8)) == trusted)
    }

    @Test("Everything else is a mistake with its line")
    func mistakes() {
        let line = "\(signer.publicKey) gw\n"
        for bad in [
            "\(signer.publicKey)", "gw \(signer.publicKey)", "\(signer.publicKey) g/w", "\(signer.publicKey) a b",
            "x gw",
        ] {
            let error = #expect(throws: TrustedKeys.Mistake.self) { try TrustedKeys(file: Array((line + bad).utf8)) }
            #expect(error?.line == 2)
            #expect(error?.reason == "expected a key and the name of its gateway")
        }
        let most = TrustedKeys.maximumKeysOfGateway
        func file(_ lines: [String]) throws { _ = try TrustedKeys(file: Array(lines.joined(separator: "\n").utf8)) }
        let own = (0..<most).map { _ in "\(SigningKey().publicKey) gw" }
        // One that is there counts once.
        #expect(throws: Never.self) { try file(own + own) }
        #expect(throws: TrustedKeys.Mistake.self) { try file(own + ["\(signer.publicKey) gw"]) }
        let many = (0..<TrustedKeys.maximumKeys).map { "\(signer.publicKey) g\($0)" }
        #expect(throws: Never.self) { try file(many) }
        #expect(throws: TrustedKeys.Mistake.self) { try file(many + ["\(signer.publicKey) last"]) }
    }
}
