#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A Varlink peer for tests that speaks by hand, well or badly.

  varlink.py call METHOD [JSON]     print the reply, one line
  varlink.py raw <BYTES             send standard input as it is, print what comes until the daemon closes
  varlink.py flood BYTES            send one message of that many bytes without an end, until the daemon closes
  varlink.py crowd N                hold N connections at once; print how many got an answer, how many were refused
All have a deadline. The socket is $INITVM_HOME/run/socket.
"""
import json
import os
import socket
import sys

DEADLINE = 30


def connect():
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(DEADLINE)
    peer.connect(os.path.join(os.environ["INITVM_HOME"], "run/socket"))
    return peer


def message(method, parameters=None, **more):
    call = {"method": method, **more}
    if parameters is not None:
        call["parameters"] = parameters
    return json.dumps(call).encode() + b"\0"


def receive(peer):
    """One message without its NUL; what there is when the daemon closes."""
    data = b""
    while not data.endswith(b"\0"):
        try:
            part = peer.recv(65536)
        except ConnectionResetError:
            break
        if not part:
            break
        data += part
    return data.rstrip(b"\0")


def call(method, parameters=None):
    with connect() as peer:
        peer.sendall(message(method, parameters))
        return json.loads(receive(peer))


def raw(data):
    with connect() as peer:
        try:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        received = b""
        while True:
            part = receive(peer)
            if not part:
                return received
            received += part + b"\n"


def flood(size):
    """How many bytes the daemon let us send before it closed."""
    sent = 0
    with connect() as peer:
        block = b"x" * 65536
        try:
            while sent < size:
                sent += peer.send(block)
            peer.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            pass
    return sent


def crowd(n):
    answered = refused = 0
    peers = []
    for _ in range(n):
        peer = connect()
        peers.append(peer)
        try:
            peer.sendall(message("org.varlink.service.GetInfo"))
            reply = receive(peer)
        except (BrokenPipeError, ConnectionResetError):
            reply = b""
        if b'"product"' in reply:
            answered += 1
        else:
            refused += 1
    for peer in peers:
        peer.close()
    return answered, refused


def main(argv):
    if argv[0] == "call":
        print(json.dumps(call(argv[1], json.loads(argv[2]) if len(argv) > 2 else None)))
    elif argv[0] == "raw":
        sys.stdout.buffer.write(raw(sys.stdin.buffer.read()))
    elif argv[0] == "flood":
        print(flood(int(argv[1])))
    elif argv[0] == "crowd":
        print(*crowd(int(argv[1])))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
