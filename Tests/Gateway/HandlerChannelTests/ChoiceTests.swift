import HandlerChannel
import KexProtocol
import NetworkAddresses
import Testing
import WireGuardTypes

@Suite("Frames of the bus socket") struct ChoiceTests {
    private let key = PublicKey(text: "TfxZpULgWLLg63D0Y+JAnejlFdYKNJi6C3AukoiBcyw=")!

    private func gateway(_ address: String) -> ChosenGateway {
        ChosenGateway(address: address, port: 10010, publicKey: key, linkAddress: IPv6Address("fe80::5757:bb:1")!)
    }

    private func frame(of answer: ChoiceAnswer) -> [UInt8] {
        var bytes: [UInt8] = []
        BusFrame.encode([answer], into: &bytes)
        return bytes
    }

    @Test("Choices are asked for and answered, a choice of nobody among them")
    func roundTrip() throws {
        let requests = (0..<64).map {
            ChoiceRequest(id: $0, domain: DomainName("ffww01")!, key: $0 % 2 == 0 ? key : nil)
        }
        var bytes: [UInt8] = []
        BusFrame.encode(requests, into: &bytes)
        #expect(bytes.count == 4 + 64 * 80)
        #expect(try BusFrame.request(in: bytes.span) == .choices(requests))
        #expect(throws: MalformedFrame.unexpectedKind(12)) { try HandlerRequest(decoding: bytes.span, from: .front) }
        let longest = String(repeating: "a", count: ChosenGateway.maximumAddress)
        let answers = [
            ChoiceAnswer(id: 1, gateway: gateway("gw01.example.net")), ChoiceAnswer(id: 2, gateway: nil),
            ChoiceAnswer(id: 3, gateway: gateway(longest)),
        ]
        BusFrame.encode(answers, into: &bytes)
        #expect(bytes.count == 4 + 3 * 308)
        #expect(try RegistrationFrame.answer(in: bytes.span) == .choices(answers))
        #expect(throws: MalformedFrame.unexpectedKind(13)) { try BusFrame.request(in: bytes.span) }
    }

    @Test("Registrations are taken as the handler takes them, and nothing else")
    func otherFrames() throws {
        let registration = Registration(domain: DomainName("ffww01")!, key: key)
        let request = RegistrationRequest(id: 1, source: IPv6Address(high: 0, low: 1), registration: registration)
        var bytes: [UInt8] = []
        RegistrationFrame.encode([request], into: &bytes)
        #expect(try BusFrame.request(in: bytes.span) == .registrations([request]))
        RegistrationFrame.encode(statusOf: [registration.domain], into: &bytes)
        #expect(throws: MalformedFrame.unexpectedKind(6)) { try BusFrame.request(in: bytes.span) }
    }

    @Test("An answer with half a gateway, no port, or an address that needs an escape is refused")
    func malformed() {
        var bytes = frame(of: ChoiceAnswer(id: 1, gateway: nil))
        bytes[300] = 1
        #expect(throws: MalformedFrame.record("half a gateway")) { try RegistrationFrame.answer(in: bytes.span) }
        bytes = frame(of: ChoiceAnswer(id: 1, gateway: gateway("gw01")))
        (bytes[262], bytes[263]) = (0, 0)
        #expect(throws: MalformedFrame.record("port 0")) { try RegistrationFrame.answer(in: bytes.span) }
        for byte in [0, 0x20, 0x7f, 0xc3] as [UInt8] {
            bytes = frame(of: ChoiceAnswer(id: 1, gateway: gateway("gw01")))
            bytes[10] = byte
            #expect(throws: MalformedFrame.record("a bad address")) { try RegistrationFrame.answer(in: bytes.span) }
        }
    }
}
