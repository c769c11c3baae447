"""Runs inside a test machine: takes scripts, one after another, and answers with their output and status.

Both sides send a length of four bytes and that many bytes of JSON. In a virtual machine the way is a serial port, in a
container a Unix socket in the shared folder.
"""

import glob
import json
import os
import signal
import socket
import struct
import subprocess

PORT = "agent"


def exactly(read, count):
    data = b""
    while len(data) < count:
        part = read(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def run(request):
    process = subprocess.Popen(
        ["bash", "-c", request["script"]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd="/share",
    )
    try:
        output, _ = process.communicate(timeout=request["seconds"])
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        status = 124
    return {"status": status, "output": output.decode(errors="replace")}


def serve(read, write):
    while True:
        (length,) = struct.unpack(">I", exactly(read, 4))
        answer = json.dumps(run(json.loads(exactly(read, length)))).encode()
        write(struct.pack(">I", len(answer)) + answer)


def write_all(descriptor, data):
    while data:
        data = data[os.write(descriptor, data):]


ports = [p for p in glob.glob("/sys/class/virtio-ports/*") if open(p + "/name").read().strip() == PORT]
if ports:
    device = os.open("/dev/" + os.path.basename(ports[0]), os.O_RDWR)
    # Tells the other side that the machine is up.
    write_all(device, struct.pack(">I", 2) + b"{}")
    serve(lambda count: os.read(device, count), lambda data: write_all(device, data))
else:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("/share/agent.sock")
    listener.listen()
    while True:
        connection, _ = listener.accept()
        connection.sendall(struct.pack(">I", 2) + b"{}")
        try:
            serve(connection.recv, connection.sendall)
        except EOFError:
            pass
