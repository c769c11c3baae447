#!/usr/bin/env python3
"""sealed.py

Another implementation of what machines of ours seal for each other, from docs/PROTOCOL.md, for tests: it shares nothing
with the product. It is slow, and its secrets are no secrets.

Prints the two vectors of that page, a word and a datagram in hexadecimal each: a message from C to A, and A's answer to a
probe of C.
"""

import hashlib
import struct
import sys

# The checkout stays as it is.
sys.dont_write_bytecode = True

import member

C = bytes.fromhex("a86a0b97d338e0746108484020433afbea82e017a440671b336f626dcb35fb63")
A = bytes.fromhex("20d247dcdc7e3c3268f52e850b920f999ced62dbb369c98e1953e13e2acece5c")


def hash(size, key, *parts):
    return hashlib.blake2b(b"".join(parts), digest_size=size, key=key).digest()


def pair_key(label, private, sender, receiver, other):
    return hash(32, member.x25519(private, other), label, sender, receiver)


def seal(key, nonce, text):
    """XChaCha20-Poly1305 without associated data."""
    first = member.rounds(member.state(key, nonce[:16]))
    subkey = struct.pack("<8I", *first[:4], *first[12:])
    out = b""
    for i in range(0, len(text), 64):
        start = member.state(subkey, struct.pack("<I", 1 + i // 64) + bytes(4) + nonce[16:])
        stream = struct.pack("<16I", *(a + b & 0xFFFFFFFF for a, b in zip(start, member.rounds(start))))
        out += bytes(a ^ b for a, b in zip(text[i : i + 64], stream))
    return out + member.tag(key, nonce, b"", out)


def message(private, other, nonce, boot, counter, content):
    own = member.public_key(private)
    key = pair_key(b"kex-link message 1", private, own, other, other)
    return b"\x4b\x01" + nonce + seal(key, nonce, struct.pack(">QQ", boot, counter) + content)


def probe(private, other, nonce, kind, boot, counter, endpoint):
    own = member.public_key(private)
    key = pair_key(b"kex-link probe 1", private, own, other, other)
    head = b"kxp1" + nonce + hash(8, other, nonce) + hash(4, key, nonce)
    return head + seal(key, nonce, bytes([kind]) + struct.pack(">QQ", boot, counter) + endpoint)


def main():
    boot = 0x0102030405060708
    here = bytes([10, 77, 0, 1])
    port = struct.pack(">H", 51820)
    call = b"\x05\x01" + struct.pack(">H", 51821) + b"\x01" + b"\x01\x04" + here + port
    print("message", message(C, member.public_key(A), bytes(range(0x40, 0x58)), boot, 1, call).hex())
    seen = b"\x04" + here + bytes(12) + port
    print("probe", probe(A, member.public_key(C), bytes(range(0x60, 0x78)), 2, boot, 1, seen).hex())


if __name__ == "__main__":
    main()
