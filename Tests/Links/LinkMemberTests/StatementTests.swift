import LinkFacts
import LinkMessages
import NetworkAddresses
import Testing
import Time
import WireGuardTypes

@testable import LinkMember

@Suite("What a machine says") struct StatementTests {
    private func said(_ stage: Stage, _ number: Int) -> Set<Fact.Statement> {
        Set(stage.exchange.statements(of: key(number)).map(\.statement))
    }

    @Test("A leaf says where it and its peers are, and no more")
    func leaf() {
        let stage = Stage([1: ["10.0.0.0/24"], 2: ["+10.0.0.2/32"]])
        #expect(said(stage, 0) == [.at("192.0.2.1:51820")])
        #expect(said(stage, 1) == [.at("198.51.100.1:7")])
        #expect(said(stage, 2) == [.at("198.51.100.2:7")])
    }

    @Test("A router says who is a member, and what all may send from, itself as well")
    func router() {
        var stage = Stage(LinkSettings(isRouter: true), [1: ["10.0.0.2/32", "fe80::1/128", "10.1.2.3/16"]])
        stage.device.tunnelAddresses = [prefix("10.0.0.1/24"), prefix("fd00::1/64"), prefix("fe80::1/64")]
        stage.read()
        #expect(said(stage, 0) == [.at("192.0.2.1:51820"), .from("10.0.0.0/24"), .from("fd00::/64")])
        #expect(said(stage, 1) == [.at("198.51.100.1:7"), .member, .from("10.0.0.2/32"), .from("10.1.0.0/16")])
    }

    @Test("So does one whose operator trusts it so far")
    func trusted() {
        func stage(_ trust: Trust) -> Stage {
            Stage(
                LinkSettings(isRouter: false, members: [MemberSettings(publicKey: key(0), trust: trust)]),
                [1: ["10.0.0.2/32"]]
            )
        }
        #expect(said(stage(.endpoint), 1) == [.at("198.51.100.1:7")])
        #expect(said(stage(.allowedIPs), 1) == [.at("198.51.100.1:7"), .from("10.0.0.2/32")])
        #expect(said(stage(.membership), 1) == [.at("198.51.100.1:7"), .from("10.0.0.2/32"), .member])
    }

    @Test("What the operator says is said, instead of the plain word")
    func configured() throws {
        let member = MemberSettings(
            publicKey: key(1),
            name: "alpha",
            endpoints: [HostPort("203.0.113.1:7", defaultPort: nil)!],
            allowedIPs: [prefix("10.9.0.0/24")],
            isBasic: true
        )
        let own = MemberSettings(publicKey: key(0), name: "self", allowedIPs: [prefix("10.8.0.0/24")])
        var stage = Stage(LinkSettings(isRouter: true, members: [member, own]), [1: ["10.0.0.2/32"]])
        #expect(
            said(stage, 1)
                == [
                    .member("alpha", isBasic: true), .from("10.0.0.2/32"), .from("10.9.0.0/24"), .at("198.51.100.1:7"),
                ]
        )
        // Its own networks are not said beside what the operator says.
        #expect(said(stage, 0) == [.member("self", isBasic: false), .from("10.8.0.0/24"), .at("192.0.2.1:51820")])
        #expect(stage.view(1)?.name == "alpha" && stage.view(1)?.isBasic == true)
        #expect(stage.view(1)?.candidates.first == CandidateEndpoint(endpoint("203.0.113.1:7"), .configured))
        // Who is not there is not spoken of.
        stage.wait(200)
        stage.read()
        #expect(said(stage, 1) == [])
    }

    @Test("A peer without a session has no endpoint to speak of")
    func dead() {
        var stage = Stage(LinkSettings(isRouter: true), [1: ["10.0.0.2/32"]])
        stage.wait(200)
        stage.read()
        stage.start(1)
        #expect(said(stage, 1) == [.member, .from("10.0.0.2/32")])
    }

    @Test("The endpoint of a pair may be a relay's: it is neither said nor a candidate")
    func pair() {
        var stage = Stage([1: ["10.0.0.0/24"], 2: ["+10.0.0.2/32"]])
        #expect(said(stage, 2) == [.at("198.51.100.2:7")])
        let boot = OurBoot(port: 7, relays: false, random: 1).bootID
        stage.say(2, [Fact(subject: key(2), .alive(boot), timeToLive: .usual)])
        #expect(said(stage, 2) == [])
        #expect(stage.endpoints(2) == [])
        stage.say(2, 2, .at("203.0.113.2:7"))
        #expect(stage.endpoints(2) == [endpoint("203.0.113.2:7")])
    }

    @Test("Which of its own addresses a machine tells")
    func own() {
        var stage = Stage(LinkSettings(hideInterfaces: [InterfacePattern("docker*")!]), [1: ["10.0.0.0/24"]])
        var temporary = underlay("2001:db8::aaaa/64")
        temporary.isTemporary = true
        var deprecated = underlay("2001:db8::bbbb/64")
        deprecated.isDeprecated = true
        var tentative = underlay("2001:db8::cccc/64")
        tentative.isTentative = true
        stage.device.underlayAddresses = [
            temporary, deprecated, tentative, underlay("127.0.0.1/8"), underlay("::1/128"), underlay("fe80::1/64"),
            underlay("169.254.1.1/16"), underlay("172.17.0.1/16", on: "docker0"), underlay("192.168.1.2/24"),
            underlay("2001:db8::1/64"), underlay("192.168.1.2/24", on: "eth1"),
        ]
        stage.read()
        let own = ["192.168.1.2:51820", "[2001:db8::1]:51820", "[2001:db8::aaaa]:51820"].map { endpoint($0) }
        #expect(stage.exchange.ownEndpoints == own)
        stage.device.underlayAddresses = (1...20).map { underlay("192.168.1.\($0)/24") } + [temporary]
        stage.read()
        #expect(stage.exchange.ownEndpoints.count == FactLimits.endpointsOfClaimant)
        stage.device.listenPort = 0
        stage.read()
        #expect(stage.exchange.ownEndpoints == [])
    }

    @Test("The port of the facts is the one behind WireGuard's, or the operator's")
    func port() {
        #expect(Stage([:]).exchange.factsPort == 51821)
        #expect(Stage(LinkSettings(factsPort: 4), [:]).exchange.factsPort == 4)
        var stage = Stage([:])
        stage.device.listenPort = .max
        stage.read()
        #expect(stage.exchange.factsPort == 65534)
        #expect(stage.exchange.ours?.port == 65534)
    }
}
