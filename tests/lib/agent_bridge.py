#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A daemon with one VM whose guest is this machine: what the CLI does with an agent, without a VM.

  agent_bridge.py AGENT     serves $INITVM_HOME/run/socket until it is told to end

It starts the real agent on a socket pair, and passes frames between it and the clients as the daemon does (initvm/wire/frame.h).
SIGUSR1 lets go of the agent and of all clients' streams for a moment, as a restart of the VM does.
"""
import asyncio
import json
import os
import signal
import socket
import struct
import subprocess
import sys

MAGIC = 0x4956
OPEN, MESSAGE, DATA, EOF, CREDIT, CLOSE = range(1, 7)
SYNC_MAGIC = bytes.fromhex("ff438fd85af8630e73f0d1b63572282a")
SYNC_REQUEST = 1
CLIENT_STREAM = 1

ODD_FOLDER = "of a VM's \"100%\""

VM = {"name": "here", "state": "running", "agent": "connected", "image": "none", "suite": "none", "architecture": "none",
      "memory": 0, "cpus": 0, "disk": {"virtual": 0, "allocated": 0}, "created": 0, "folder": "/", "consoleLog": "/"}


def frame(kind, stream, channel=0, payload=b""):
    return struct.pack("<HBBII", MAGIC, kind, channel, stream, len(payload)) + payload


async def read_frame(reader):
    magic, kind, channel, stream, size = struct.unpack("<HBBII", await reader.readexactly(12))
    assert magic == MAGIC
    return kind, channel, stream, await reader.readexactly(size)


def call(method, parameters):
    return json.dumps({"method": method, "parameters": parameters, "upgrade": True}).encode()


class Stream:
    def __init__(self, writer):
        self.writer = writer
        self.answer = asyncio.get_running_loop().create_future()


class Bridge:
    def __init__(self, program):
        self.program = program
        self.clients = {}
        self.next_stream = 1
        self.ready = asyncio.Event()

    async def start(self):
        ours, theirs = socket.socketpair()
        self.agent = subprocess.Popen([self.program, "--port", f"fd:{theirs.fileno()}"], pass_fds=[theirs.fileno()])
        theirs.close()
        self.reader, self.writer = await asyncio.open_connection(sock=ours, limit=1 << 20)
        nonce = os.urandom(16)
        self.writer.write(SYNC_MAGIC + nonce + struct.pack("<I", SYNC_REQUEST))
        await self.reader.readuntil(SYNC_MAGIC + nonce)
        await self.reader.readexactly(4)
        self.pump = asyncio.ensure_future(self.from_agent())

    async def restart(self):
        self.ready.clear()
        self.pump.cancel()
        self.agent.kill()
        self.agent.wait()
        error = json.dumps({"error": "org.initvm.Disconnected", "parameters": {"message": "the VM has stopped meanwhile"}})
        for client in self.clients.values():
            client.writer.write(frame(MESSAGE, CLIENT_STREAM, 0, error.encode()) + frame(CLOSE, CLIENT_STREAM))
            client.writer.close()
        self.clients.clear()
        await self.start()

    async def from_agent(self):
        while True:
            kind, channel, stream, payload = await read_frame(self.reader)
            client = self.clients.get(stream)
            if stream == 0:
                self.ready.set()
            if client is None:
                continue
            if not client.answer.done():
                reply = json.loads(payload)
                reply.pop("continues", None)
                client.writer.write(json.dumps(reply).encode() + b"\0")
                client.answer.set_result("error" not in reply)
                continue
            if kind == CLOSE:
                del self.clients[stream]
            if client.answer.result():
                client.writer.write(frame(kind, CLIENT_STREAM, channel, payload))
                if kind == CLOSE:
                    client.writer.close()

    async def relay(self, reader, writer, method, parameters):
        """False when the connection is as it was: the call has failed."""
        stream, self.next_stream = self.next_stream, self.next_stream + 1
        client = self.clients[stream] = Stream(writer)
        parameters.pop("name")
        self.writer.write(frame(OPEN, stream, 0, call(f"org.initvm.agent.{method}", parameters)))
        try:
            if not await client.answer:
                return False
            while True:
                kind, channel, _, payload = await read_frame(reader)
                self.writer.write(frame(kind, stream, channel, payload))
                await self.writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            if self.clients.pop(stream, None):
                self.writer.write(frame(CLOSE, stream))
        return True

    async def serve(self, reader, writer):
        try:
            while True:
                message = json.loads((await reader.readuntil(b"\0"))[:-1])
                method = message["method"].rsplit(".", 1)[1]
                parameters = message.get("parameters") or {}
                if method in ("Connect", "Listen", "Accept"):
                    if await self.relay(reader, writer, method, parameters):
                        break
                    continue
                if method == "WaitReady":
                    await self.ready.wait()
                folder = os.path.join(os.environ["INITVM_HOME"], ODD_FOLDER)
                ssh = {"user": "root", "identityFile": f"{folder}/id_ed25519", "knownHostsFile": f"{folder}/known_hosts",
                       "configFile": f"{folder}/config", "hostKeyAlias": "initvm-here", "hostKeyDiffers": False}
                reply = {"PrepareSsh": ssh, "GetStatus": {"version": os.environ["INITVM_VERSION"]}, "Status": {"vm": VM}}.get(method, {})
                writer.write(json.dumps({"parameters": reply}).encode() + b"\0")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


async def main(program):
    path = os.path.join(os.environ["INITVM_HOME"], "run/socket")
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    bridge = Bridge(program)
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    loop.add_signal_handler(signal.SIGTERM, ended.set_result, None)
    loop.add_signal_handler(signal.SIGUSR1, lambda: asyncio.ensure_future(bridge.restart()))
    await bridge.start()
    await asyncio.start_unix_server(bridge.serve, path)
    await ended
    bridge.agent.terminate()
    bridge.agent.wait()
    os._exit(0)


asyncio.run(main(sys.argv[1]))
