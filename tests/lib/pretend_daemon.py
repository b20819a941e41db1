#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Stands in for the daemon, without a VM: org.initvm.Exec is passed on to the real agent, which runs on this host.

  pretend_daemon.py [--deaf]   until it is killed; --deaf: what the client sends once the command runs is not read
The socket is $INITVM_HOME/run/socket, the programs are in $INITVM_BIN.
"""
import json
import os
import socket
import struct
import subprocess
import sys
import threading

HEADER = struct.Struct("<HBBII")  # wire/frame.h
FRAME = 0x4956
OPEN, MESSAGE = 1, 2
SYNC_MAGIC = bytes.fromhex("ff438fd85af8630e73f0d1b63572282a")
SYNC_REQUEST, SYNC_ANSWER = 1, 2

BIN = os.environ["INITVM_BIN"]
PATH = os.path.join(os.environ["INITVM_HOME"], "run/socket")
DEAF = "--deaf" in sys.argv[1:]


def read_exactly(peer, n):
    data = b""
    while len(data) < n:
        part = peer.recv(n - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def read_frame(agent):
    _, kind, _, stream, size = HEADER.unpack(read_exactly(agent, HEADER.size))
    return kind, stream, read_exactly(agent, size)


def start_agent():
    ours, theirs = socket.socketpair()
    subprocess.Popen([os.path.join(BIN, "initvm-agent"), "--port", f"fd:{theirs.fileno()}"], pass_fds=[theirs.fileno()],
                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    theirs.close()
    nonce = os.urandom(16)
    ours.sendall(SYNC_MAGIC + nonce + struct.pack("<I", SYNC_REQUEST))
    answer = SYNC_MAGIC + nonce + struct.pack("<I", SYNC_ANSWER)
    seen = b""
    while not seen.endswith(answer):  # behind the agent's own padding and record
        seen = (seen + read_exactly(ours, 1))[-len(answer):]
    return ours


def copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def execute(client, parameters):
    """The client's stream and the agent's have the same number: behind the first reply bytes are bytes."""
    agent = start_agent()
    del parameters["name"]
    call = json.dumps({"method": "org.initvm.agent.Exec", "more": True, "parameters": parameters}).encode()
    agent.sendall(HEADER.pack(FRAME, OPEN, 0, 1, len(call)) + call)
    while True:
        kind, stream, payload = read_frame(agent)
        if kind == MESSAGE and stream == 1:
            break
    reply = json.loads(payload)
    reply.pop("continues", None)
    client.sendall(json.dumps(reply).encode() + b"\0")
    if not DEAF:
        threading.Thread(target=copy, args=(client, agent), daemon=True).start()
    copy(agent, client)


def serve(client, version):
    received = b""
    while True:
        while b"\0" not in received:
            part = client.recv(65536)
            if not part:
                return
            received += part
        message, _, received = received.partition(b"\0")
        call = json.loads(message)
        if call["method"] == "org.initvm.Exec":
            execute(client, call["parameters"])
            return
        client.sendall(json.dumps({"parameters": {"version": version, "pid": os.getpid()}}).encode() + b"\0")


def main():
    version = subprocess.run([os.path.join(BIN, "initvm"), "version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(PATH + ".new")
    listener.listen(200)
    os.rename(PATH + ".new", PATH)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, version), daemon=True).start()


if __name__ == "__main__":
    main()
