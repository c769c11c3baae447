"""Tries what a sandbox should keep a service from: one line for each attempt, its name and "allowed" or "blocked".

    probe.py [NAME...]
"""

import ctypes
import mmap
import os
import resource
import signal
import socket
import sys
import tempfile

libc = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    """A system call by its number on x86-64; an errno is an exception."""
    if libc.syscall(number, *arguments) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def in_child(action):
    """Whether a child process came through; what kills or ends it does not end this one."""
    child = os.fork()
    if child == 0:
        try:
            action()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def visible(path):
    return os.path.lexists(path)


def file_in_tmp():
    handle, path = tempfile.mkstemp()
    os.close(handle)
    return path


def chown():
    path = file_in_tmp()
    try:
        os.chown(path, 1, 1)
    finally:
        os.unlink(path)


def write(path):
    with open(path, "w"):
        pass
    os.unlink(path)


def control_group():
    os.mkdir("/sys/fs/cgroup/probe")
    os.rmdir("/sys/fs/cgroup/probe")


def tunable():
    path = "/proc/sys/net/ipv4/ip_default_ttl"
    with open(path) as file:
        value = file.read()
    with open(path, "w") as file:
        file.write(value)


def set_user_id_bit():
    path = file_in_tmp()
    try:
        os.chmod(path, 0o4755)
    finally:
        os.unlink(path)


def other_architecture():
    # mov eax, 20 (getpid of i386); int 0x80; ret
    code = bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3])
    handle, path = tempfile.mkstemp()
    os.write(handle, code.ljust(4096, b"\x90"))
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    address = libc.mmap(None, 4096, mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE, handle, 0)
    os.unlink(path)
    function = ctypes.CFUNCTYPE(ctypes.c_int)(address)
    return in_child(lambda: function() == os.getpid() or os._exit(1))


def memory():
    def fill():
        block = bytearray(600 << 20)
        block[::4096] = b"x" * len(block[::4096])

    return in_child(fill)


def tasks():
    children = []
    try:
        for _ in range(40):
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", 9))


def adjust_clock():
    # adjtimex with nothing to adjust changes nothing.
    call(159, ctypes.create_string_buffer(512))


def same_as_outside(kind):
    with open(f"/share/namespace-{kind}") as file:
        return file.read().strip() == os.readlink(f"/proc/self/ns/{kind}")


attempts = {
    "inet-socket": lambda: socket.socket(socket.AF_INET).close(),
    "xdp-socket": lambda: socket.socket(44, socket.SOCK_RAW).close(),  # AF_XDP of socket.h
    "netlink-socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    "interfaces": lambda: len(socket.if_nameindex()) > 1,
    "chown": chown,
    "new-privileges": lambda: libc.prctl(39, 0, 0, 0, 0) == 0,
    "host-users": lambda: open("/proc/self/uid_map").read().split() == ["0", "0", "4294967295"],
    "write-usr": lambda: write("/usr/probe"),
    "write-etc": lambda: write("/etc/probe"),
    "home": lambda: visible("/root/marker"),
    "tmp": lambda: visible("/tmp/marker"),
    "devices": lambda: visible("/dev/net/tun"),
    "other-device": lambda: visible("/dev/marker"),
    "ipc": lambda: same_as_outside("ipc"),
    "tunable": tunable,
    "modules": lambda: visible("/usr/lib/modules/marker"),
    "kernel-log": lambda: call(103, 10, None, 0),
    "control-group": control_group,
    "clock": adjust_clock,
    "hostname": lambda: socket.sethostname(socket.gethostname()),
    "other-processes": lambda: visible("/proc/1"),
    "system-information": lambda: visible("/proc/meminfo"),
    "namespaces": lambda: in_child(lambda: call(272, 0x04000000)),
    "realtime": lambda: in_child(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
    "set-user-id": set_user_id_bit,
    "personality": lambda: in_child(lambda: call(135, 8)),
    "write-and-execute": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC).close(),
    "other-architecture": other_architecture,
    # An unknown command of bpf(2): EINVAL if the call gets through.
    "rare-call": lambda: call(321, 9999, None, 0),
    "open-umask": lambda: os.umask(0o77) != 0o77,
    "core-dump": lambda: resource.getrlimit(resource.RLIMIT_CORE)[1] != 0,
    "few-descriptors": lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 16384,
    "memory": memory,
    "tasks": tasks,
    "datagram": datagram,
}

for name in sys.argv[1:] or attempts:
    try:
        result = "blocked" if attempts[name]() is False else "allowed"
    except OSError as error:
        # Getting through with nonsense is getting through.
        result = "allowed" if name == "rare-call" and error.errno == 22 else "blocked"
    print(name, result, flush=True)
