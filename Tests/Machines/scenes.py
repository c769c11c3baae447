#!/usr/bin/env python3
"""scenes.py userspace|kernel COUNT

Plays scenes with WireGuard, up to COUNT at the same time, and prints a line for each: the seconds from its last step to what is
watched, or `never`, or the packets that were lost in each direction. Scenes come from standard input, as WireGuardScenes
writes them. Needs root. It makes network namespaces of its own, which go with it.
"""

import base64
import ctypes
import fcntl
import heapq
import itertools
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

PATIENCE = 12
libc = ctypes.CDLL(None, use_errno=True)
kernel = sys.argv[1] == "kernel"
pid = os.getpid()
MACHINES = ("a", "b", "h")
UNDERLAY = {
    ("a", "first"): "192.0.2.1", ("a", "second"): "192.0.2.101", ("b", "first"): "192.0.2.2",
    ("b", "second"): "192.0.2.102", ("h", "first"): "192.0.2.3", ("a", "dead"): "192.0.2.66",
    ("b", "dead"): "192.0.2.66",
}
namespaces = {machine: f"ws{pid}{machine}" for machine in MACHINES}
programs = []


def run(*words, input=None):
    return subprocess.run(words, check=True, capture_output=True, text=True, input=input).stdout


def enter(machine):
    """Takes this thread to a machine; what it opens stays there."""
    with open(f"/run/netns/{namespaces[machine]}") as file:
        if libc.setns(file.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def inside(machine, body):
    result = []

    def work():
        enter(machine)
        result.append(body())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return result[0]


def make_network():
    run("ip", "netns", "add", f"ws{pid}n")
    run("ip", "-n", f"ws{pid}n", "link", "add", "wire", "type", "bridge")
    run("ip", "-n", f"ws{pid}n", "link", "set", "wire", "up")
    for machine, namespace in namespaces.items():
        run("ip", "netns", "add", namespace)
        run("ip", "-n", namespace, "link", "set", "lo", "up")
        run("ip", "link", "add", "name", f"to-{machine}", "netns", f"ws{pid}n", "type", "veth", "peer", "name", "e", "netns", namespace)
        run("ip", "-n", f"ws{pid}n", "link", "set", f"to-{machine}", "master", "wire", "up")
        run("ip", "-n", namespace, "link", "set", "e", "up")
        for place in "first", "second":
            if (machine, place) in UNDERLAY:
                run("ip", "-n", namespace, "address", "add", UNDERLAY[machine, place] + "/24", "dev", "e")
        # Nobody is there, and no search says so.
        run("ip", "-n", namespace, "neigh", "add", "192.0.2.66", "lladdr", "02:00:00:00:00:66", "dev", "e")
    run("ip", "netns", "exec", namespaces["h"], "sysctl", "-qw", "net.ipv4.ip_forward=1")


def remove_network():
    for program in programs:
        program.kill()
        program.wait()
    for namespace in [*namespaces.values(), f"ws{pid}n"]:
        subprocess.run(["ip", "netns", "delete", namespace], capture_output=True)


def attribute(kind, content):
    return struct.pack("HH", len(content) + 4, kind) + content + bytes(-len(content) % 4)


class Device:
    """One WireGuard interface, and messages to it."""

    def __init__(self, machine, number):
        self.machine, self.number, self.name = machine, number, f"ws{pid}{machine}{number}"
        self.port = 51000 + number
        namespace = namespaces[machine]
        if kernel:
            run("ip", "-n", namespace, "link", "add", self.name, "type", "wireguard")
        else:
            words = ["ip", "netns", "exec", namespace, "wireguard-go", "-f", self.name]
            programs.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        while subprocess.run(self.wg("show", self.name), capture_output=True).returncode:
            time.sleep(0.05)
        self.private = run("wg", "genkey")
        run(*self.wg("set", self.name, "listen-port", str(self.port), "private-key", "/dev/stdin"), input=self.private)
        self.public = base64.b64decode(run("wg", "pubkey", input=self.private))
        run("ip", "-n", namespace, "link", "set", self.name, "up")
        if kernel:
            self.netlink = inside(machine, lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16))
            self.netlink.bind((0, 0))
            # CTRL_CMD_GETFAMILY with CTRL_ATTR_FAMILY_NAME
            answer = self.request(16, 3, attribute(2, b"wireguard\0"))
            self.family = next(struct.unpack("H", c[:2])[0] for k, c in self.attributes(answer[20:]) if k == 1)

    def wg(self, *words):
        return ("ip", "netns", "exec", namespaces[self.machine], "wg") + words

    @staticmethod
    def attributes(data):
        while len(data) >= 4:
            length, kind = struct.unpack("HH", data[:4])
            yield kind & 0x3FFF, data[4:length]
            data = data[length + 3 & ~3 :]

    def request(self, family, command, content):
        message = struct.pack("BBH", command, 1, 0) + content
        self.netlink.send(struct.pack("IHHII", len(message) + 16, family, 5, 1, 0) + message)
        answer = self.netlink.recv(65536)
        if struct.unpack("H", answer[4:6])[0] == 2:
            error = struct.unpack("i", answer[16:20])[0]
            if error:
                raise OSError(-error, "netlink")
        return answer

    def change(self, key, renewed=False, endpoint=None, keepalive=None, allowed=()):
        """One message about a peer."""
        if kernel:
            peers = attribute(0x8000, attribute(1, key) + attribute(3, struct.pack("I", 1))) if renewed else b""
            peer = attribute(1, key)
            if endpoint:
                ip, port = endpoint
                peer += attribute(4, struct.pack("=H", 2) + struct.pack(">H", port) + socket.inet_aton(ip) + bytes(8))
            if keepalive is not None:
                peer += attribute(5, struct.pack("H", keepalive))
            nets = b""
            for net in allowed:
                ip, length = net.split("/")
                content = attribute(1, struct.pack("H", 2)) + attribute(2, socket.inet_aton(ip))
                nets += attribute(0x8000, content + attribute(3, bytes([int(length)])))
            peer += attribute(0x8009, nets) if nets else b""
            peers += attribute(0x8000, peer)
            # WG_CMD_SET_DEVICE
            self.request(self.family, 1, attribute(2, self.name.encode() + b"\0") + attribute(0x8008, peers))
            return
        lines = ["set=1"]
        if renewed:
            lines += [f"public_key={key.hex()}", "remove=true"]
        lines.append(f"public_key={key.hex()}")
        if endpoint:
            lines.append("endpoint=%s:%d" % endpoint)
        if keepalive is not None:
            lines.append(f"persistent_keepalive_interval={keepalive}")
        lines += [f"allowed_ip={net}" for net in allowed]
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(f"/run/wireguard/{self.name}.sock")
            control.sendall("\n".join(lines + ["", ""]).encode())
            answer = control.recv(4096)
            if b"errno=0" not in answer:
                raise OSError(answer.decode())

    def has_handshake(self):
        lines = run(*self.wg("show", self.name, "latest-handshakes")).splitlines()
        return any(not line.endswith("\t0") for line in lines)


class Wire:
    """Between the hub and a machine: what is sent from one to the other arrives later."""

    def __init__(self, hub_port, delay):
        self.delay = delay / 1000
        self.front = inside("h", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.back = inside("h", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.front.bind((UNDERLAY["h", "first"], 0))
        self.back.bind(("127.0.0.1", 0))
        self.port, self.leaf, self.hub = self.front.getsockname()[1], None, ("127.0.0.1", hub_port)
        threading.Thread(target=self.carry, daemon=True).start()

    def carry(self):
        due, count = [], itertools.count()
        while True:
            wait = max(due[0][0] - time.monotonic(), 0) if due else None
            for end in select.select([self.front, self.back], [], [], wait)[0]:
                data, source = end.recvfrom(2048)
                if end is self.front:
                    self.leaf = source
                heapq.heappush(due, (time.monotonic() + self.delay, next(count), end is self.front, data))
            while due and due[0][0] <= time.monotonic():
                _, _, is_from_leaf, data = heapq.heappop(due)
                if is_from_leaf:
                    self.back.sendto(data, self.hub)
                elif self.leaf:
                    self.front.sendto(data, self.leaf)


class Scene:
    numbers = itertools.count(1)

    def __init__(self, words):
        self.watched, self.delay = words[0], int(words[1]) if words[0] == "lost" else None
        self.steps = []

    def prepare(self):
        number = self.number = next(self.numbers)
        self.tunnel = {"a": f"10.6.{number}.1", "b": f"10.6.{number}.2"}
        self.devices = {machine: Device(machine, number) for machine in ("a", "b")}
        self.sockets, self.last, self.sent = {}, {"a": -1, "b": -1}, 0
        for machine, device in self.devices.items():
            add = ["ip", "-n", namespaces[machine], "address", "add", "dev", device.name]
            run(*add, self.tunnel[machine] + "/24")
            if self.delay is not None:
                run(*add, f"10.7.{number}.{1 + (machine == 'b')}/24")
            self.sockets[machine] = inside(machine, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self.sockets[machine].bind(("0.0.0.0", 7000 + number))
        self.arrived = {"a": {}, "b": {}}
        for machine in "a", "b":
            threading.Thread(target=self.receive, args=(machine,), daemon=True).start()
        if self.delay is not None:
            self.prepare_flow()

    def receive(self, machine):
        while True:
            data = self.sockets[machine].recv(2048)
            self.arrived[machine].setdefault(int(data), time.monotonic())

    # What the text says

    def other(self, machine):
        return "b" if machine == "a" else "a"

    def set(self, machine, renewed, place, keepalive):
        other = self.other(machine)
        endpoint = None if place == "nowhere" else (UNDERLAY[other, place], self.devices[other].port)
        self.devices[machine].change(
            self.devices[other].public, renewed == "renewed", endpoint, None if keepalive == "-1" else int(keepalive),
            [self.tunnel[other] + "/32"],
        )

    def send(self, machine):
        self.sent += 1
        self.last[machine] = self.sent
        try:
            self.sockets[machine].sendto(b"%d" % self.sent, (self.tunnel[self.other(machine)], 7000 + self.number))
        except OSError as error:
            # The kernel has no endpoint, and says so.
            if error.errno != 89:
                raise

    def together(self, *words):
        steps = [step.split() for step in " ".join(words).split("|")]
        if all(step[0] == "send" for step in steps):
            # Quicker than threads, which wait for each other.
            for step in steps:
                self.play(step)
            return
        gate = threading.Barrier(len(steps))

        def work(step):
            gate.wait()
            self.play(step)

        threads = [threading.Thread(target=work, args=(step,)) for step in steps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def wait(self, milliseconds):
        time.sleep(int(milliseconds) / 1000)

    def play(self, step):
        getattr(self, step[0])(*step[1:])

    # Through the hub, and then not

    def prepare_flow(self):
        number, hub = self.number, Device("h", self.number)
        run("ip", "-n", namespaces["h"], "address", "add", f"10.7.{number}.3/24", "dev", hub.name)
        self.address = {"a": f"10.7.{number}.1", "b": f"10.7.{number}.2"}
        self.holds, self.flowing, self.flows = {}, True, {"a": 0, "b": 0}
        for machine, device in self.devices.items():
            wire = Wire(hub.port, self.delay)
            hub.change(device.public, allowed=[self.address[machine] + "/32"])
            endpoint = (UNDERLAY["h", "first"], wire.port)
            device.change(hub.public, endpoint=endpoint, keepalive=25, allowed=[f"10.7.{number}.0/24"])
        self.set("b", "kept", "first", "-1")
        self.set("a", "kept", "first", "-1")
        self.send("a")
        end = time.monotonic() + 60
        while time.monotonic() < end and not (self.arrived["b"] and hub.has_handshake()):
            time.sleep(0.1)

    def begin_flow(self):
        for machine in "a", "b":
            threading.Thread(target=self.flow, args=(machine,), daemon=True).start()
        # Both hear each other through the hub before anything is counted.
        end = time.monotonic() + 60
        while time.monotonic() < end and not all(max(self.arrived[m], default=0) > 1000 for m in ("a", "b")):
            time.sleep(0.1)
        self.first = {machine: max(self.arrived[self.other(machine)]) for machine in ("a", "b")}

    def flow(self, machine):
        due = time.monotonic()
        while self.flowing:
            self.flows[machine] += 1
            data = b"%d" % (1000 + self.flows[machine])
            self.sockets[machine].sendto(data, (self.address[self.other(machine)], 7000 + self.number))
            due += 0.01
            time.sleep(max(due - time.monotonic(), 0))

    def hold(self, machine):
        def make():
            tun = os.open("/dev/net/tun", os.O_RDWR)
            # TUNSETIFF with IFF_TUN and IFF_NO_PI
            fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"hold%d" % self.number, 0x1001))
            return tun, socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)

        tun, out = inside(machine, make)
        self.holds[machine] = tun, out
        os.set_blocking(tun, False)
        here = ["ip", "-n", namespaces[machine]]
        run(*here, "link", "set", f"hold{self.number}", "txqueuelen", "10000", "up")
        run(*here, "route", "add", self.address[self.other(machine)] + "/32", "dev", f"hold{self.number}", "src",
            self.address[machine])

    def move(self, machine):
        other = self.other(machine)
        self.devices[machine].change(self.devices[other].public, allowed=[self.address[other] + "/32"])

    def release(self, machine):
        tun, out = self.holds[machine]
        other = self.address[self.other(machine)]
        run("ip", "-n", namespaces[machine], "route", "delete", other + "/32", "dev", f"hold{self.number}")
        while True:
            try:
                packet = os.read(tun, 2048)
                # The system itself speaks IPv6.
                if packet[0] >> 4 == 4:
                    out.sendto(packet, (other, 0))
            except BlockingIOError:
                return

    # What comes of it

    def result(self):
        if self.delay is not None:
            self.begin_flow()
        for step in self.steps[:-1]:
            self.play(step)
        start = time.monotonic()
        self.play(self.steps[-1])
        if self.delay is not None:
            ends = dict(self.flows)
            time.sleep(1 + 4 * self.delay / 1000)
            self.flowing = False
            lost = []
            for machine in "a", "b":
                asked = range(self.first[machine] + 1, 1000 + ends[machine] + 1)
                lost.append(sum(number not in self.arrived[self.other(machine)] for number in asked))
            return f"{lost[0]} {lost[1]} of {ends['a']}"
        while time.monotonic() < start + PATIENCE:
            if self.watched == "handshake":
                if self.devices["a"].has_handshake():
                    return f"{time.monotonic() - start:.3f}"
                time.sleep(0.05)
                continue
            times = [self.arrived[self.other(m)].get(self.last[m]) for m in ("a", "b") if self.last[m] > 0]
            times = [at for at in times if at and at > start - 0.1]
            if times:
                return f"{max(min(times) - start, 0):.3f}"
            time.sleep(0.005)
        return "never"


def main():
    scenes = []
    for line in sys.stdin:
        words = line.split()
        if words[0] == "scene":
            scenes.append(Scene(words[1:]))
        else:
            scenes[-1].steps.append(words)
    try:
        make_network()
        results = {}

        def work(scene):
            try:
                results[scene] = scene.result()
            except Exception as error:
                results[scene] = f"failed: {error!r}"

        count = int(sys.argv[2])
        for first in range(0, len(scenes), count):
            for scene in scenes[first : first + count]:
                scene.prepare()
            threads = [threading.Thread(target=work, args=(scene,)) for scene in scenes[first : first + count]]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for scene in scenes:
            print(results[scene])
    finally:
        remove_network()
    sys.stdout.flush()
    os._exit(0)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
main()
