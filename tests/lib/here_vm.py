#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A daemon for tests whose every VM is this very machine: the real agent, as an ordinary process, behind org.initvm.Exec.

  here_vm.py FOLDER     serves $INITVM_HOME/run/socket; commands start in FOLDER unless they ask for another one

Each call gets an agent of its own. The VM 'off' does not run. Files beside FOLDER change what happens:
  FOLDER.lose       the connection is lost once as many bytes as it says have come from the client
  FOLDER.instead    this shell script runs instead of the command
"""
import json
import os
import socket
import struct
import subprocess
import sys
import threading

MAGIC = bytes.fromhex("ff438fd85af8630e73f0d1b63572282a")
HEADER = struct.Struct("<HBBII")
MAGIC_FRAME, OPEN, MESSAGE, CLOSE = 0x4956, 1, 2, 6
NONCE = bytes(range(16))
STREAM = 1


def frame(kind, payload):
    return HEADER.pack(MAGIC_FRAME, kind, 0, STREAM, len(payload)) + payload


class Agent:
    def __init__(self, folder):
        ours, theirs = socket.socketpair()
        agent = os.path.join(os.environ["INITVM_BIN"], "initvm-agent")
        self.process = subprocess.Popen([agent, "--port", f"fd:{theirs.fileno()}"], pass_fds=[theirs.fileno()], cwd=folder)
        theirs.close()
        self.socket = ours
        self.data = b""
        ours.sendall(MAGIC + NONCE + struct.pack("<I", 1))
        while MAGIC + NONCE not in self.data:
            self.more()
        at = self.data.index(MAGIC + NONCE) + 36
        while len(self.data) < at:
            self.more()
        self.data = self.data[at:]
        self.take()  # Hello

    def more(self):
        part = self.socket.recv(1 << 18)
        if not part:
            raise EOFError
        self.data += part

    def take(self):
        """The next frame: its type and payload."""
        while len(self.data) < HEADER.size or len(self.data) < HEADER.size + HEADER.unpack_from(self.data)[4]:
            self.more()
        _, kind, _, _, size = HEADER.unpack_from(self.data)
        payload = self.data[HEADER.size:HEADER.size + size]
        self.data = self.data[HEADER.size + size:]
        return kind, payload

    def end(self):
        self.socket.shutdown(socket.SHUT_RDWR)  # the other thread may still read: closing would not end it
        self.socket.close()
        self.process.wait()


def shovel(source, sink, limit):
    """Passes bytes on up to the end or the limit."""
    try:
        while limit > 0 and (part := source.recv(1 << 18)):
            limit -= len(part)
            sink.sendall(part)
    except OSError:
        pass


def receive(client):
    data = b""
    while not data.endswith(b"\0"):
        part = client.recv(65536)
        if not part:
            return None
        data += part
    return json.loads(data[:-1])


def run(client, parameters, folder):
    if parameters["name"] == "off":
        error = {"error": "org.initvm.State", "parameters": {"message": "VM 'off' is not running"}}
        client.sendall(json.dumps(error).encode() + b"\0")
        return
    del parameters["name"]
    parameters.setdefault("cwd", folder)
    limit = int(open(folder + ".lose").read()) if os.path.exists(folder + ".lose") else 1 << 62
    if os.path.exists(folder + ".instead"):
        parameters["argv"] = ["sh", folder + ".instead"]
    agent = Agent(folder)
    call = {"method": "org.initvm.agent.Exec", "parameters": parameters, "upgrade": True}
    agent.socket.sendall(frame(OPEN, json.dumps(call).encode()))
    kind, payload = agent.take()
    reply = json.loads(payload)
    reply.pop("continues", None)
    client.sendall(json.dumps(reply).encode() + b"\0" + agent.data)
    threading.Thread(target=shovel, args=(agent.socket, client, 1 << 62), daemon=True).start()
    shovel(client, agent.socket, limit)
    agent.end()


def serve(client, folder):
    with client:
        while call := receive(client):
            if call["method"] == "org.initvm.Exec":
                run(client, call["parameters"], folder)
                return
            status = {"version": os.environ["HERE_VERSION"]}
            client.sendall(json.dumps({"parameters": status}).encode() + b"\0")


def main():
    folder = sys.argv[1]
    path = os.path.join(os.environ["INITVM_HOME"], "run/socket")
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    os.chmod(path, 0o600)
    server.listen(16)
    print("ready", flush=True)
    while True:
        client, _ = server.accept()
        threading.Thread(target=serve, args=(client, folder), daemon=True).start()


main()
