#!/usr/bin/env python3
"""plain.py IFACE KEYFILE

A machine of the field, for tests: it follows docs/PROTOCOL.md and the behaviour of wirelink that was measured, in rounds
of 5 s, and shares nothing with the product. Its datagrams are made and read by member.py. It changes WireGuard with
`wg`, and prints a line for each thing that it does.
"""

import base64
import ipaddress
import json
import os
import select
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import member  # noqa: E402

ROUND, TTL, REFRESH, ALIVE, VALID, NEXT_ENDPOINT, READY = 5, 255, 120, 30, 165.3, 15, 2.5
interface = sys.argv[1]
private = base64.b64decode(open(sys.argv[2]).read())
own = member.public_key(private)


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def device():
    """The listen port, and of each peer its endpoint, allowed IPs and handshake."""
    lines = [line.split("\t") for line in run("wg", "show", interface, "dump").splitlines()]
    peers = {}
    for key, _, endpoint, allowed, handshake, *_ in lines[1:]:
        nets = [] if allowed == "(none)" else [ipaddress.ip_network(net) for net in allowed.split(",")]
        peers[base64.b64decode(key)] = (None if endpoint == "(none)" else endpoint, nets, int(handshake))
    return int(lines[0][2]), peers


def set_peer(key, *words):
    print("set", base64.b64encode(key).decode()[:8], *words, flush=True)
    run("wg", "set", interface, "peer", base64.b64encode(key).decode(), *words)


def host(key):
    return ipaddress.ip_network(f"{member.address(key)}/128")


def is_router(nets):
    return any(net.prefixlen < net.max_prefixlen and not net.network_address.is_link_local for net in nets)


def join(endpoint):
    ip, port = endpoint.rsplit(":", 1)
    return ipaddress.ip_address(ip.strip("[]")), int(port)


def fact(kind, subject, value, ttl=TTL):
    return kind.encode() + member.number(ttl) + subject + value


def endpoint_fact(subject, ip, port):
    return ("e" if ip.version == 4 else "E", subject, ip.packed + port.to_bytes(2, "big"))


def allowed_fact(subject, net):
    return ("a" if net.version == 4 else "A", subject, net.network_address.packed + bytes([net.prefixlen]))


def addresses():
    for link in json.loads(run("ip", "-j", "address")):
        if link["ifname"] not in (interface, "lo"):
            for info in link["addr_info"]:
                if info["scope"] == "global":
                    yield ipaddress.ip_address(info["local"])


class Machine:
    def __init__(self):
        run("ip", "address", "add", f"{member.address(own)}/64", "dev", interface, "nodad")
        self.port, peers = device()
        for key, (_, nets, _) in peers.items():
            if host(key) not in nets:
                set_peer(key, "allowed-ips", ",".join(map(str, nets + [host(key)])))
        self.socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.scope = socket.if_nametoindex(interface)
        self.socket.bind((str(member.address(own)), self.port + 1, 0, self.scope))
        self.boot, self.facts, self.alive, self.told, self.tried = os.urandom(16), {}, {}, {}, {}
        self.fixed = set(peers)

    def receive(self, data, source):
        signer, rest = data[2:34], data[58:]
        if data[:1] != b"S" or ipaddress.IPv6Address(source.split("%")[0]) != member.address(signer):
            print("refused", len(data), flush=True)
            return
        secret = member.x25519(private, signer)
        if member.tag(secret, data[34:58], rest[16:]) != rest[:16]:
            print("forged", flush=True)
            return
        rest = rest[16:]
        now = time.monotonic()
        _, peers = device()
        trusted = signer in peers and is_router(peers[signer][1])
        while rest:
            text, rest = member.take_fact(rest)
            _, ttl, subject, *words = text.split()
            ttl, subject, says = int(ttl), bytes.fromhex(subject), " ".join(words)
            if words[0] == "alive":
                if subject == signer:
                    boot, _, since = self.alive.get(signer, (None, 0, now))
                    if boot != words[1]:
                        self.told.pop(signer, None)
                        since = now
                    self.alive[signer] = (words[1], now + ttl, since)
                continue
            if trusted or words[0] == "endpoint" and subject in peers:
                key = (subject, says)
                self.facts[key] = max(self.facts.get(key, 0), now + ttl)

    def local(self, peers, router):
        for ip in addresses():
            yield endpoint_fact(own, ip, self.port)
        for key, (endpoint, nets, handshake) in peers.items():
            if endpoint and time.time() - handshake < VALID:
                yield endpoint_fact(key, *join(endpoint))
            if router:
                yield ("M", key, b"\0")
                for net in nets:
                    if not net.network_address.is_link_local:
                        yield allowed_fact(key, net)

    def send(self, key, facts):
        groups, group = [], b""
        for part in facts:
            if len(group) + len(part) > 1136:
                groups.append(group)
                group = b""
            group += part
        secret = member.x25519(private, key)
        for group in groups + [group]:
            nonce = os.urandom(24)
            data = b"S\0" + own + nonce + member.tag(secret, nonce, group) + group
            try:
                self.socket.sendto(data, (str(member.address(key)), self.port + 1, 0, self.scope))
            except OSError:
                pass

    def tell(self, peers, router):
        now = time.monotonic()
        local = list(self.local(peers, router))
        for key, (endpoint, nets, handshake) in peers.items():
            if not endpoint:
                continue
            known, pinged = self.told.get(key, ({}, 0))
            facts = []
            if is_router(nets) or router and time.time() - handshake < VALID:
                facts = [f for f in local if (f[1] != key or f[0] == "M") and known.get(f, 0) < now]
                known.update({f: now + REFRESH for f in facts})
            if facts or pinged + ALIVE < now:
                self.send(key, [fact(*f) for f in facts] + [fact("!", own, self.boot)])
                pinged = now
            self.told[key] = (known, pinged)

    def configure(self, peers, router):
        now = time.monotonic()
        self.facts = {key: expiry for key, expiry in self.facts.items() if expiry > now}
        members = {subject for subject, says in self.facts if says.startswith(("member", "plain"))} - {own}
        for key in members | set(peers):
            said = [says.split() for subject, says in self.facts if subject == key]
            places = [f"{w[1]}:{w[2]}" if "." in w[1] else f"[{w[1]}]:{w[2]}" for w in said if w[0] == "endpoint"]
            wanted = [ipaddress.ip_network(w[1]) for w in said if w[0] == "allowed"]
            tried = self.tried.setdefault(key, {})
            if key not in peers:
                if places:
                    tried[places[0]] = now
                    set_peer(key, "allowed-ips", str(host(key)), "endpoint", places[0])
                    self.told.pop(key, None)
                continue
            endpoint, nets, handshake = peers[key]
            if key in self.fixed:
                continue
            if endpoint and time.time() - handshake < VALID:
                _, until, since = self.alive.get(key, (None, 0, now))
                missing = [net for net in wanted if net not in nets]
                if missing and until > now and now - since > READY:
                    set_peer(key, "allowed-ips", ",".join(map(str, nets + missing)))
                    print("direct", base64.b64encode(key).decode(), flush=True)
            else:
                if not router and set(nets) != {host(key)}:
                    set_peer(key, "allowed-ips", str(host(key)))
                if places and now - max(tried.values(), default=0) > NEXT_ENDPOINT:
                    place = min(places, key=lambda p: tried.get(p, 0))
                    tried[place] = now
                    set_peer(key, "endpoint", place)
                    self.told[key] = (self.told.get(key, ({}, 0))[0], 0)

    def serve(self):
        print("ready", flush=True)
        while True:
            end = time.monotonic() + ROUND
            while (left := end - time.monotonic()) > 0:
                if select.select([self.socket], [], [], left)[0]:
                    data, source = self.socket.recvfrom(2424)
                    try:
                        self.receive(data, source[0])
                    except (ValueError, IndexError) as error:
                        print("malformed", error, flush=True)
            _, peers = device()
            router = not any(is_router(nets) for _, nets, _ in peers.values())
            self.configure(peers, router)
            self.tell(device()[1], router)


if __name__ == "__main__":
    Machine().serve()
