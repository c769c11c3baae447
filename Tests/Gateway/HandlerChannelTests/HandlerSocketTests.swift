import Checkout
import Foundation
import KexProtocol
import NetworkAddresses
import Testing
import WireGuardTypes

@testable import HandlerChannel

@Suite("Local sockets of the handler") struct HandlerSocketTests {
    /// A well-formed frame of each kind.
    private func frame(_ kind: Frame.Kind) -> [UInt8] {
        let key = PublicKey(text: "I/Q7jOWvH9RGOBqF1tBPRXCbNLD0jEEUeSfHqbtd9wo=")!
        let domain = DomainName("ffww01")!
        let registration = Registration(domain: domain, key: key)
        var bytes: [UInt8] = []
        switch kind {
        case .registrations:
            let request = RegistrationRequest(id: 1, source: IPv6Address("::")!, registration: registration)
            RegistrationFrame.encode([request], into: &bytes)
        case .answers: RegistrationFrame.encode([RegistrationAnswer(id: 1, refusal: nil)], into: &bytes)
        case .sweep: ControlFrame.encode([SweepRequest(domain: domain, isDryRun: true)], into: &bytes)
        case .sweepEvents:
            let event = SweepEvent(domain: domain, key: key, action: .marked, silence: nil)
            ControlFrame.encode([event], into: &bytes)
        case .sweepEnd: ControlFrame.encode(SweepEnd(domain: nil, peers: 0, failure: nil), into: &bytes)
        case .statusRequests: RegistrationFrame.encode(statusOf: [domain], into: &bytes)
        case .statuses: RegistrationFrame.encode([DomainStatus(domain: domain, isInService: false)], into: &bytes)
        case .routerNews:
            FleetFrame.encode([RouterNews(id: 1, kind: .heard, time: 1, registration: registration)], into: &bytes)
        case .routerListRequest:
            FleetFrame.encode(RouterListRequest(domain: domain, lastRemoval: 0), into: &bytes)
        case .routerRecords: FleetFrame.encode([RouterRecord(key: key, lastHandshake: nil)], into: &bytes)
        case .routerListEnd:
            let end = RouterListEnd(domain: domain, isWhole: true, lastRemoval: 0)
            FleetFrame.encode(end, into: &bytes)
        case .choiceRequests:
            BusFrame.encode([ChoiceRequest(id: 1, domain: registration.domain, key: registration.key)], into: &bytes)
        case .choices: BusFrame.encode([ChoiceAnswer(id: 1, gateway: nil)], into: &bytes)
        case .remoteRegistrations:
            FleetFrame.encode([RemoteRegistration(id: 1, registration: registration)], into: &bytes)
        case .routerRemovals: FleetFrame.encode([RouterRemoval(key: key)], into: &bytes)
        case .newsAnswers: FleetFrame.encode(toNews: [RegistrationAnswer(id: 1, refusal: nil)], into: &bytes)
        }
        return bytes
    }

    @Test("Each takes the frames of its row, and no other", arguments: HandlerSocket.allCases, Frame.Kind.allCases)
    func table(socket: HandlerSocket, kind: Frame.Kind) throws {
        let bytes = frame(kind)
        #expect(bytes[1] == kind.rawValue)
        if socket.requests.contains(kind) {
            _ = try HandlerRequest(decoding: bytes.span, from: socket)
        } else {
            #expect(throws: MalformedFrame.unexpectedKind(kind.rawValue)) {
                try HandlerRequest(decoding: bytes.span, from: socket)
            }
        }
    }

    @Test("Whoever sweeps registers nobody, and whoever registers removes nobody")
    func separation() {
        #expect(HandlerSocket.control.requests == [.sweep])
        for socket in HandlerSocket.allCases where socket != .control { #expect(!socket.requests.contains(.sweep)) }
        #expect(HandlerSocket.front.requests.isDisjoint(with: [.routerNews, .routerListRequest, .remoteRegistrations]))
    }

    @Test("docs/PRIVSEP.md has the same table")
    func documented() throws {
        let rows = try String(contentsOf: Checkout.file("docs/PRIVSEP.md"), encoding: .utf8).split(separator: "\n").map
        { line in
            line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
        let header = try #require(rows.first { $0.first == "frame" && $0.contains("bytes") })
        let columns = HandlerSocket.allCases.map { "`\($0.name).sock`" }
        #expect(Array(header.suffix(columns.count)) == columns)
        let frames = rows.filter { $0.count == header.count && UInt8($0[1]) != nil }
        #expect(frames.compactMap { UInt8($0[1]) }.sorted() == Frame.Kind.allCases.map(\.rawValue).sorted())
        for row in frames {
            let kind = try #require(UInt8(row[1]).flatMap(Frame.Kind.init(rawValue:)))
            #expect(Int(row[header.firstIndex(of: "bytes") ?? 0]) == kind.recordSize, "\(row)")
            let taken = HandlerSocket.allCases.map { $0.requests.contains(kind) ? "yes" : "no" }
            #expect(Array(row.suffix(columns.count)) == taken, "\(row)")
        }
        let size = { (kinds: Set<Frame.Kind>) in
            Frame.headerSize + ChannelLimit.records * (kinds.map(\.recordSize).max() ?? 0)
        }
        let text = rows.map { $0.joined(separator: "|") }.joined(separator: " ")
        for socket in HandlerSocket.allCases {
            let bytes = size(socket.requests).formatted(.number.locale(Locale(identifier: "en_US")))
            #expect(text.contains("\(bytes) at `\(socket.name).sock`"), "\(bytes) bytes at \(socket)")
        }
    }
}
