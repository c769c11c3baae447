#!/usr/bin/env python3
"""hostile.py IFACE KEYFILE RATE VICTIM KEY=ADDRESS:PORT...

Somebody who has taken a member over, for tests: it has the key and the sessions of a machine whose program was killed,
and sends the others what docs/PROTOCOL.md allows and what it forbids, RATE datagrams a second, until it is ended. VICTIM
is an address that never answers, which it names again and again; all others that it invents are in 11.0.0.0/8. KEY is a
machine of the mesh, and where WireGuard is reached there.

It shares nothing with the product. Python is too slow for the sealing, so libsodium does that.
"""

import base64
import ctypes
import hashlib
import os
import random
import signal
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import member  # noqa: E402

sodium = ctypes.CDLL("libsodium.so.23")
interface, rate, victim = sys.argv[1], int(sys.argv[3]), socket.inet_aton(sys.argv[4])
private = base64.b64decode(open(sys.argv[2]).read())
own = member.public_key(private)
noise = random.Random(4711)
PORT, FACTS = 51820, 51821


def hash(size, key, *parts):
    return hashlib.blake2b(b"".join(parts), digest_size=size, key=key).digest()


def seal(key, nonce, text):
    out = ctypes.create_string_buffer(len(text) + 16)
    sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        out, None, text, ctypes.c_ulonglong(len(text)), None, ctypes.c_ulonglong(0), None, nonce, key
    )
    return out.raw


def invented():
    return bytes([11]) + noise.randbytes(3) + struct.pack(">H", noise.randrange(1, 65536))


class Target:
    def __init__(self, text):
        key, place = text.rsplit("=", 1)
        self.key = base64.b64decode(key)
        address, port = place.rsplit(":", 1)
        self.place = address, int(port)
        self.secret = member.x25519(private, self.key)
        self.message_key = hash(32, self.secret, b"kex-link message 1", own, self.key)
        self.probe_key = hash(32, self.secret, b"kex-link probe 1", own, self.key)
        self.boot, self.counter, self.probe_counter, self.recorded, self.probes = os.urandom(8), 0, 0, [], []
        self.probe_boot = os.urandom(8)

    def message(self, content):
        self.counter += 1
        nonce = noise.randbytes(24)
        text = self.boot + struct.pack(">Q", self.counter) + content
        data = b"\x4b\x01" + nonce + seal(self.message_key, nonce, text)
        if len(self.recorded) < 100:
            self.recorded.append(data)
        return data

    def group(self, facts):
        nonce = noise.randbytes(24)
        return b"S\0" + own + nonce + seal_facts(self.secret, nonce, facts) + facts

    def probe(self):
        self.probe_counter += 1
        nonce = noise.randbytes(24)
        text = b"\x01" + self.probe_boot + struct.pack(">Q", self.probe_counter) + bytes(19)
        gate, hint = hash(8, self.key, nonce), hash(4, self.probe_key, nonce)
        data = b"kxp1" + nonce + gate + hint + seal(self.probe_key, nonce, text)
        if len(self.probes) < 100:
            self.probes.append(data)
        return data


def seal_facts(key, nonce, facts):
    out = ctypes.create_string_buffer(16)
    sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        out, None, None, ctypes.c_ulonglong(0), facts, ctypes.c_ulonglong(len(facts)), None, nonce, key
    )
    return out.raw


targets = [Target(text) for text in sys.argv[5:]]


def someone():
    return noise.choice([target.key for target in targets] + [own, noise.randbytes(32)])


def call(places):
    candidates = b"".join(b"\x02\x04" + place for place in places)
    return b"\x05\x01" + struct.pack(">HB", FACTS, len(places)) + candidates


def some_facts(size):
    """About everybody: where they are, what they may send from, that they are members and run."""
    out = b""
    while len(out) < size:
        about = someone()
        kind = noise.randrange(6)
        if kind < 3:
            out += b"e" + member.number(255) + about + (invented() if kind else victim + struct.pack(">H", PORT))
        elif kind == 3:
            out += b"a" + member.number(255) + about + bytes([10, 99, 0, noise.randrange(256), 32])
        elif kind == 4:
            out += b"M" + member.number(255) + about + b"\0"
        else:
            out += b"!" + member.number(255) + about + noise.randbytes(16)
    return out


def storm():
    """What is sent through the tunnel, or outside if the first word says so."""
    while True:
        for target in targets:
            yield target, target.message(call([victim + struct.pack(">H", PORT)] + [invented() for _ in range(31)]))
            # One address, and each time another port.
            ports = [victim + struct.pack(">H", noise.randrange(1, 65536)) for _ in range(32)]
            yield target, target.message(call(ports))
            yield target, target.group(some_facts(1000))
            first = b"\x01" + noise.randbytes(4) + bytes([noise.randrange(2)])
            yield target, target.message(first + some_facts(900))
            forged = bytearray(target.message(b"\x08" + bytes(9)))
            forged[-1] ^= 1
            yield target, bytes(forged)
            forged = bytearray(target.group(some_facts(300)))
            forged[60] ^= 1
            yield target, bytes(forged)
            yield target, noise.choice(target.recorded)
            yield target, noise.randbytes(noise.randrange(1, 1212))
            target.boot, target.counter = noise.randbytes(8), 0
            yield target, target.message(b"\x09" + bytes([noise.randrange(1, 5)]))
            alive = b"!" + member.number(255) + own + b"kexL\1\1" + struct.pack(">H", FACTS) + noise.randbytes(8)
            yield target, target.group(alive)
            yield target, target.message(b"\x06" + someone())
            other = noise.choice(targets)
            yield target, target.message(b"\x03" + other.key + other.message(call([invented() for _ in range(8)])))
            yield target, target.message(b"\x08" + noise.randbytes(8) + b"\0")
            yield target, target.message(b"\x04" + someone() + b"\x02")
            yield (target,), target.probe()
            if target.probes:
                yield (target,), noise.choice(target.probes)
            target.probe_boot, target.probe_counter = noise.randbytes(8), 0
            yield (target,), target.probe()
            yield (target,), b"kxp1" + noise.randbytes(88)


def main():
    scope = socket.if_nametoindex(interface)
    tunnel = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    tunnel.bind((str(member.address(own)), FACTS, 0, scope))
    outside = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    start, count, refused = time.monotonic(), 0, 0

    def end(*_):
        print(f"sent {count} in {time.monotonic() - start:.1f} s, {refused} not", flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    print("ready", flush=True)
    for target, data in storm():
        count += 1
        wait = start + count / rate - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        try:
            if isinstance(target, tuple):
                address, port = target[0].place
                outside.sendto(struct.pack(">HHHH", PORT, port, len(data) + 8, 0) + data, (address, 0))
            else:
                tunnel.sendto(data, (str(member.address(target.key)), FACTS, 0, scope))
        except OSError:
            refused += 1


main()
