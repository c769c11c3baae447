/// What deployed routers do: Gluon with the package `ffmuc-mesh-vpn-wireguard-vxlan`, whose client of HTTP is OpenWrt's
/// uclient-fetch. It knows a status and nothing else of an answer that is none of success, and reads an answer of
/// success with a few lines of Lua.
///
/// Source: those packages, read, and their requests, taken down.
public struct FieldRouter {
    /// What a router comes away with.
    public enum Outcome: Equatable {
        /// It picks one of its configured gateways.
        case registered
        /// It uses this one. It adds `/128` to the address.
        case gateway(address: String, port: String, publicKey: String, allowedIP: String)
        /// uclient-fetch ended with this status: 8 for an answer, 4 for none.
        case failed(Int)
        /// The answer was one of success, and could not be used.
        case unusable
    }

    public var domain: String
    public var key: String
    /// Firmware from OpenWrt 24.10 on names itself in more fields.
    public var isRecent: Bool

    public init(domain: String, key: String, isRecent: Bool = true) {
        self.domain = domain
        self.key = key
        self.isRecent = isRecent
    }

    /// A request as it is on the wire: the body in chunks, without a length, and named a form.
    public func request(_ path: String, host: String = "gw.example.net") -> (head: String, body: String) {
        var lines = [
            "POST \(path) HTTP/1.1", "Host: \(host)",
            "User-Agent: gluon/v2023.2.3 (tp-link-archer-c7-v2) OpenWrt/23.05 (kernel/5.15.150; ath79/generic) firmware/2024.5",
        ]
        if isRecent {
            lines += [
                "X-Gluon-Version: v2024.1", "X-Board-Name: tp-link-archer-c7-v2", "X-Openwrt-Version: 24.10",
                "X-Kernel-Version: 6.6.73", "X-Target-Name: ath79/generic", "X-Firmware-Version: 2025.1",
            ]
        }
        lines += ["Content-Type: application/x-www-form-urlencoded", "Transfer-Encoding: chunked"]
        let text = "{\"domain\": \"\(domain)\",\"public_key\": \"\(key)\"}"
        let length = String(text.utf8.count, radix: 16)
        return (lines.joined(separator: "\r\n") + "\r\n\r\n", "\(length)\r\n\(text)\r\n0\r\n\r\n")
    }

    /// The exchange of a router with load balancing: it wants to know a gateway, and takes the old exchange if it
    /// cannot.
    public func exchange(port: UInt16) -> Outcome {
        let outcome = post("/api/v2/wg/key/exchange", port)
        if case .gateway = outcome { return outcome }
        return post("/api/v1/wg/key/exchange", port)
    }

    /// One request.
    public func post(_ path: String, _ port: UInt16) -> Outcome {
        let (head, body) = request(path)
        do {
            let client = try HTTPClient(port: port)
            try client.send(head)
            try client.send(body)
            let answer = try client.answer()
            guard answer.status == 200 || answer.status == 204 else { return .failed(8) }
            return Self.read(answer.body)
        } catch {
            return .failed(4)
        }
    }

    /// As the router's script, which takes the fields that it needs out of an object.
    private static func read(_ body: String) -> Outcome {
        func text(_ name: String) -> String? {
            let texts = body.matches(of: /"(\w+)": *\[?"([^"]*)"/)
            return texts.first { $0.1 == name }.map { String($0.2) }
        }
        if text("Message") == "OK" { return .registered }
        guard body.contains("\"Endpoint\""), let address = text("Address"), let port = text("Port"),
            let key = text("PublicKey"), let allowedIP = text("AllowedIPs")
        else { return .unusable }
        return .gateway(address: address, port: port, publicKey: key, allowedIP: allowedIP)
    }
}
