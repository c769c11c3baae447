import Foundation
import Testing

extension InContainer {
    /// `kex-mqtt` and `kex-http` as they are installed, beside a mosquitto on the same machine.
    @Suite("Beside a message broker") struct BrokerTests {
        let machine: Container

        init() throws {
            machine = try Container.prepared()
        }

        /// Asks over HTTP as the field's routers do; prints the status and the answer.
        private let post = """
            post() {
                python3 - "$1" "$2" <<'PYTHON'
            import http.client, json, sys
            connection = http.client.HTTPConnection("127.0.0.1", timeout=120)
            body = json.dumps({"domain": "ffww01", "public_key": sys.argv[2]})
            connection.request("POST", f"/api/{sys.argv[1]}/wg/key/exchange", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            print(sys.argv[1], answer.status, answer.read().decode())
            PYTHON
            }

            """

        @Test("Units, rights, the watchdog; the broker goes and comes; a router of the field's broker is let in")
        func units() throws {
            try machine.lab(
                """
                echo 'deb [trusted=yes] file:/opt/later ./' > /etc/apt/sources.list.d/later.list
                apt-get update -qq; apt-get install -y -qq mosquitto mosquitto-clients > /dev/null
                mkdir -p /etc/kex/kex.conf.d
                cat > /etc/kex/kex.conf.d/bus.conf <<END
                [Bus]
                Broker=127.0.0.1
                Name=gw01
                [Domain ffww01]
                LinkAddress=$gateway_link
                END
                systemctl start mosquitto
                systemctl reload kex-handler
                systemctl enable --now kex-bus.socket kex-mqtt.service kex-http.socket
                """
            )
            defer {
                _ = try? machine.run(
                    """
                    systemctl disable --now kex-http.socket kex-http.service kex-mqtt.service kex-bus.socket
                    systemctl stop mosquitto
                    rm /etc/kex/kex.conf.d/bus.conf
                    systemctl reload kex-handler
                    """
                )
            }
            try machine.wait(
                for: "the broker",
                until: "systemctl show -P StatusText kex-mqtt | grep -x 'gw01 on 127.0.0.1'"
            )
            let rights = try machine.lab(
                """
                pid=$(systemctl show -P MainPID kex-mqtt)
                stat -c %U /proc/$pid; grep -c '^Cap.*0000000000000000$' /proc/$pid/status
                """
            )
            #expect(rights == "kex-mqtt\n5")
            // One reload is for all.
            try machine.lab(
                "sed -i 's/^Name=gw01$/&\\nWeight=gw01 3/' /etc/kex/kex.conf.d/bus.conf; systemctl reload kex-handler"
            )
            try machine.wait(
                for: "the reload",
                until: "journalctl -o cat -u kex-mqtt | grep -q 'configuration read again'"
            )
            // Registrations over HTTP, and one of the field's broker.
            let keys = try machine.lab("for _ in 1 2 3 4; do wg genkey | wg pubkey; done").split(separator: "\n")
            let answers = try machine.lab("\(post)post v1 \(keys[0]); post v2 \(keys[1])").split(separator: "\n")
            #expect(answers.first?.hasPrefix("v1 200 ") == true, "\(answers)")
            #expect(answers.last?.hasPrefix("v2 200 ") == true, "\(answers)")
            try machine.lab("mosquitto_pub -V mqttv311 -t wireguard/ffww01/all -m \(keys[2])")
            for key in keys[0...2] {
                try machine.wait(for: "peer \(key)", until: "wg show wgww01 peers | grep -q '^\(key)$'")
            }
            // Without the broker a router is let in here, by HTTP and by the two lines.
            let outage = try machine.lab(
                """
                \(post)systemctl stop mosquitto
                post v1 \(keys[3]); post v2 \(keys[3])
                namespace crowd 9
                register_raw crowd ffww01 \(keys[3]) && echo registered
                systemctl show -P ActiveState -P NRestarts kex-mqtt
                """
            )
            #expect(outage.contains("v1 200 ") && outage.contains("v2 200 "), "\(outage)")
            #expect(outage.hasSuffix("registered\n0\nactive"), "\(outage)")
            try machine.lab("systemctl start mosquitto")
            try machine.wait(for: "the broker", until: "\(post)post v1 \(keys[0]) | grep -q 'v1 200'")
            // A hanging one is replaced.
            let old = try machine.lab("systemctl show -P MainPID kex-mqtt")
            try machine.lab("kill -STOP \(old)")
            let isAnother = "test $(systemctl show -P MainPID kex-mqtt) != \(old)"
            try machine.wait(for: "the watchdog", until: isAnother)
            try machine.wait(for: "its work", until: "\(post)post v1 \(keys[0]) | grep -q 'v1 200'")
            #expect(try machine.lab("systemctl show -P NRestarts kex-mqtt") == "1")
            // libdispatch and OpenSSL like to say something too.
            let journal = try machine.lab("journalctl -o cat -u kex-mqtt _COMM=kex-mqtt")
            #expect(journal.contains("connected to the broker") && !journal.contains("priority"), "\(journal)")
        }
    }
}
