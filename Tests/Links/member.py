#!/usr/bin/env python3
"""member.py make SEED COUNT | read

Another implementation of the datagrams with facts, from docs/PROTOCOL.md and the RFCs (7748, 8439, and the draft of
XChaCha20), for tests: it shares nothing with the product. It is slow, and its secrets are no secrets.

make    prints COUNT lines: the private key of the receiver, the source, a datagram, and the facts in it
read    reads lines with a private key, a source and a datagram, and prints the facts, or `refused`

Keys and datagrams are hexadecimal.

A fact in a line is ` | `, its time to live, its subject, and what it says.
"""

import hashlib
import ipaddress
import random
import struct
import sys

PRIME = 2**255 - 19


def x25519(private, public):
    k = bytearray(private)
    k[0] &= 248
    k[31] = k[31] & 127 | 64
    k = int.from_bytes(k, "little")
    x1 = int.from_bytes(public, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if swap != bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % PRIME, b * b % PRIME, d * a % PRIME, c * b % PRIME
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % PRIME, x1 * (da - cb) ** 2 % PRIME
        x2, z2 = aa * bb % PRIME, e * (aa + 121665 * e) % PRIME
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")


def rounds(state):
    s = list(state)

    def quarter(a, b, c, d):
        for first, second, third, count in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[first] = s[first] + s[second] & 0xFFFFFFFF
            mixed = s[third] ^ s[first]
            s[third] = (mixed << count | mixed >> (32 - count)) & 0xFFFFFFFF

    for _ in range(10):
        for column in range(4):
            quarter(column, 4 + column, 8 + column, 12 + column)
        quarter(0, 5, 10, 15)
        quarter(1, 6, 11, 12)
        quarter(2, 7, 8, 13)
        quarter(3, 4, 9, 14)
    return s


def state(key, rest):
    return struct.unpack("<16I", b"expand 32-byte k" + key + rest)


def tag(key, nonce, associated, text=b""):
    first = rounds(state(key, nonce[:16]))
    subkey = struct.pack("<8I", *first[:4], *first[12:])
    start = state(subkey, bytes(8) + nonce[16:])
    block = struct.pack("<16I", *(a + b & 0xFFFFFFFF for a, b in zip(start, rounds(start))))
    r = int.from_bytes(block[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    padded = (part + bytes(-len(part) % 16) for part in (associated, text))
    all = b"".join(padded) + struct.pack("<QQ", len(associated), len(text))
    sum = 0
    for i in range(0, len(all), 16):
        sum = (sum + int.from_bytes(all[i : i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((sum + int.from_bytes(block[16:32], "little")) % 2**128).to_bytes(16, "little")


def public_key(private):
    return x25519(private, (9).to_bytes(32, "little"))


def address(public):
    return ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + hashlib.sha1(public).digest()[:8])


def number(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def take_number(data):
    value = 0
    for i, byte in enumerate(data):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, data[i + 1 :]
    raise ValueError("number ends early")


def take(data, count):
    if count > len(data):
        raise ValueError("data ends early")
    return data[:count], data[count:]


def metadata(attributes):
    order = sorted(attributes, key=lambda a: (a != 0x6E, a))
    rest = b"".join(bytes([a]) + number(len(attributes[a])) + attributes[a] for a in order)
    return number(len(rest)) + rest


def take_fact(data):
    kind, data = take(data, 1)
    ttl, data = take_number(data)
    if ttl > 65535:
        raise ValueError("time to live")
    subject, data = take(data, 32)
    kind = kind.decode("latin1")
    if kind == "!":
        value, data = take(data, 16)
        says = "alive " + value.hex()
    elif kind in "eE":
        ip, data = take(data, 4 if kind == "e" else 16)
        port, data = take(data, 2)
        says = f"endpoint {ipaddress.ip_address(ip)} {int.from_bytes(port, 'big')}"
    elif kind in "aA":
        ip, data = take(data, 4 if kind == "a" else 16)
        length, data = take(data, 1)
        says = f"allowed {ipaddress.ip_address(ip)}/{length[0]}"
    elif kind == "m":
        says = "plain member"
    elif kind == "M":
        length, data = take_number(data)
        rest, data = take(data, length)
        attributes = {}
        while rest:
            attribute, rest = take(rest, 1)
            length, rest = take_number(rest)
            if attribute[0] in attributes:
                raise ValueError("attribute twice")
            attributes[attribute[0]], rest = take(rest, length)
        says = " ".join(["member"] + [f"{a:02x}={attributes[a].hex()}" for a in sorted(attributes)])
    else:
        raise ValueError("attribute")
    return f" | {ttl} {subject.hex()} {says}", data


def read(private, source, data):
    if data[:1] != b"S":
        raise ValueError("no group")
    _, data = take_number(data[1:])
    signer, data = take(data, 32)
    nonce, data = take(data, 24)
    found, data = take(data, 16)
    if source != address(signer) or found != tag(x25519(private, signer), nonce, data):
        raise ValueError("not the signer's")
    facts = ""
    while data:
        fact, data = take_fact(data)
        facts += fact
    return facts


def group(private, public, facts, noise):
    nonce = noise.randbytes(24)
    return b"S\0" + public_key(private) + nonce + tag(x25519(private, public), nonce, facts) + facts


def random_fact(noise):
    kind = noise.choice("!eEaAmM")
    value = {
        "!": lambda: noise.randbytes(16),
        "e": lambda: noise.randbytes(6),
        "E": lambda: b"\x20" + noise.randbytes(17),
        "a": lambda: noise.randbytes(4) + bytes([noise.randrange(33)]),
        "A": lambda: b"\x20" + noise.randbytes(15) + bytes([noise.randrange(129)]),
        "m": lambda: b"",
        "M": lambda: metadata(
            {0x6E: noise.choice(["", "fred", "zoë"]).encode(), 0x62: bytes([noise.randrange(2)])}
            | {noise.randrange(128, 256): noise.randbytes(noise.randrange(200)) for _ in range(noise.randrange(3))}
        ),
    }[kind]()
    ttl = noise.choice([0, 127, 128, 255, 16383, 16384, 65535])
    return kind.encode() + number(ttl) + noise.randbytes(32) + value


def main():
    if sys.argv[1:] == ["read"]:
        for line in sys.stdin:
            private, source, data = line.split()
            try:
                print(read(bytes.fromhex(private), ipaddress.IPv6Address(source), bytes.fromhex(data)))
            except ValueError:
                print("refused")
    elif len(sys.argv) == 4 and sys.argv[1] == "make":
        noise = random.Random(int(sys.argv[2]))
        for _ in range(int(sys.argv[3])):
            signer, receiver = noise.randbytes(32), noise.randbytes(32)
            facts = b"".join(random_fact(noise) for _ in range(noise.randrange(6)))
            data = group(signer, public_key(receiver), facts, noise)
            source = address(public_key(signer))
            print(receiver.hex(), source, data.hex(), end="")
            print(read(receiver, source, data))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
