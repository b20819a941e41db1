#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The guest's side of build jobs for tests without a VM: an agent that knows `--job` and `--chroot show`, as initvm-agent(8) has them.

  job_guest.py FOLDER     serves FOLDER/port (frames, as on the agent's port); what a VM's disk would keep is in FOLDER/jobs

Commands are ordinary processes of this machine; they end with this one. Files in FOLDER change what happens:
  fail.COMMAND      the command fails with the error that this file holds: "NAME MESSAGE"
  hang.COMMAND      the command does not answer while this file is there
  drop              connections are closed when it appears, and it is removed
  spoil             the next artifacts are changed on their way, and it is removed
  calls             every call is noted here, a line each
"""
import ctypes
import glob
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

MAGIC = bytes.fromhex("ff438fd85af8630e73f0d1b63572282a")
HEADER = struct.Struct("<HBBII")
OPEN, MESSAGE, DATA, EOF, CREDIT, CLOSE = 1, 2, 3, 4, 5, 6
WINDOW = 256 * 1024
PIECE = 60000
HEARTBEAT = 0.5
PR_SET_PDEATHSIG = 1

folder = sys.argv[1]
lock = threading.RLock()
running = {}  # id: Popen
starting = threading.Lock()  # held by who starts one: nobody sees it half started
connections = set()


def path(*names):
    return os.path.join(folder, *names)


def write(name, text):
    with open(name + ".new", "w") as f:
        f.write(text)
    os.rename(name + ".new", name)


def read(name):
    try:
        with open(name, "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None


class Failed(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Gone(Exception):
    """The host has hung up."""


class Stream:
    """One call of Exec."""

    def __init__(self, connection, number, argv):
        self.connection, self.number, self.argv = connection, number, argv
        self.input, self.input_ended = b"", False
        self.credit = WINDOW
        self.closed = False
        self.changed = threading.Condition(lock)

    def send(self, kind, channel, payload):
        if self.closed:
            raise Gone
        self.connection.send(kind, channel, self.number, payload)

    def output(self, channel, data):
        for at in range(0, len(data), PIECE):
            piece = data[at:at + PIECE]
            with lock:
                while self.credit < len(piece) and not self.closed:
                    self.changed.wait()
                if self.closed:
                    raise Gone
                self.credit -= len(piece)
            self.send(DATA, channel, piece)

    def report(self, o):
        self.output(2, json.dumps(o).encode() + b"\n")

    def read_input(self):
        """Pieces up to the end."""
        while True:
            with lock:
                while not self.input and not self.input_ended and not self.closed:
                    self.changed.wait()
                if self.closed:
                    raise Gone
                piece, self.input = self.input, b""
                if not piece:
                    return
            yield piece
            self.send(CREDIT, 0, struct.pack("<I", len(piece)))

    def run(self):
        try:
            self.send(MESSAGE, 0, json.dumps({"parameters": {"pid": 1}, "continues": True}).encode())
            status = 0
            try:
                call(self, self.argv[1:])
            except (Gone, BrokenPipeError):
                raise
            except Exception as e:  # also what is wrong here: nobody must wait for it
                self.report({"error": "org.initvm." + getattr(e, "code", "Failed"), "parameters": {"message": str(e)}})
                status = 1
            self.send(EOF, 1, b"")
            self.send(EOF, 2, b"")
            self.send(MESSAGE, 0, json.dumps({"parameters": {"exited": status}}).encode())
            self.send(CLOSE, 0, b"")
        except (Gone, OSError):
            pass
        with lock:
            self.connection.streams.pop(self.number, None)


class Connection:
    def __init__(self, sock):
        self.socket, self.data, self.streams = sock, b"", {}
        self.writing = threading.Lock()

    def send(self, kind, channel, number, payload):
        with self.writing:
            self.socket.sendall(HEADER.pack(0x4956, kind, channel, number, len(payload)) + payload)

    def more(self):
        part = self.socket.recv(1 << 18)
        if not part:
            raise EOFError
        self.data += part

    def sync(self):
        while MAGIC not in self.data or len(self.data) < self.data.index(MAGIC) + 36:
            self.more()
        at = self.data.index(MAGIC)
        nonce, self.data = self.data[at + 16:at + 32], self.data[at + 36:]
        self.socket.sendall(MAGIC + nonce + struct.pack("<I", 2))
        hello = {"agentVersion": "0.1.0", "protocolMin": 1, "protocolMax": 1, "kernel": "6.1", "hostname": "guest"}
        self.send(MESSAGE, 0, 0, json.dumps({"method": "org.initvm.agent.Hello", "parameters": hello, "oneway": True}).encode())

    def serve(self):
        try:
            self.sync()
            while True:
                while len(self.data) < 12 or len(self.data) < 12 + HEADER.unpack_from(self.data)[4]:
                    self.more()
                _, kind, channel, number, size = HEADER.unpack_from(self.data)
                payload, self.data = self.data[12:12 + size], self.data[12 + size:]
                self.take(kind, number, payload)
        except (EOFError, OSError):
            pass
        connections.discard(self)
        with lock:
            for s in self.streams.values():
                s.closed = True
                s.changed.notify_all()
        self.socket.close()

    def take(self, kind, number, payload):
        with lock:
            if kind == OPEN:
                argv = json.loads(payload)["parameters"]["argv"]
                with open(path("calls"), "a") as f:
                    f.write(" ".join(argv[1:]) + "\n")
                s = self.streams[number] = Stream(self, number, argv)
                threading.Thread(target=s.run, daemon=True).start()
                return
            s = self.streams.get(number)
            if not s:
                return
            if kind == DATA:
                s.input += payload
            elif kind == EOF:
                s.input_ended = True
            elif kind == CREDIT:
                s.credit += struct.unpack("<I", payload)[0]
            elif kind == CLOSE:
                s.closed = True
            s.changed.notify_all()


# ---- the commands


def call(stream, words):
    name = words[1] if len(words) > 1 else ""
    while os.path.exists(path("hang." + name)):
        if stream.closed:
            raise Gone
        time.sleep(0.02)
    failure = read(path("fail." + name))
    if failure:
        raise Failed(*failure.decode().strip().split(" ", 1))
    if words[0] == "--chroot":
        chroot(stream, words)
    elif words[0] == "--job":
        globals()["job_" + name](stream, *words[2:])
    else:
        raise Failed("Unsupported", "unknown: " + " ".join(words))


def chroot(stream, words):
    where = path("chroots", words[-1])
    if words[1] == "show":
        if not os.path.isdir(where):
            raise Failed("NotFound", "there is no chroot '%s'" % words[-1])
        stream.output(1, json.dumps({"name": words[-1]}).encode() + b"\n")
    else:
        raise Failed("Unsupported", "unknown: " + " ".join(words))


def place(number, *names):
    return path("jobs", number, *names)


def known(number, token):
    return read(place(number, "token")) == token.encode()


def job_create(stream, number, token):
    if known(number, token) and (number in running or read(place(number, "result.json"))):
        for _ in stream.read_input():
            pass
        return
    with tempfile.TemporaryDirectory(dir=folder) as new:
        os.mkdir(os.path.join(new, "work"))
        with tempfile.TemporaryFile() as f:
            for piece in stream.read_input():
                f.write(piece)
            f.seek(0)
            spec = json.loads(f.readline())
            if spec["inputs"]:
                with tarfile.open(fileobj=f, mode="r|") as tar:
                    tar.extractall(os.path.join(new, "work"))
        if spec.get("chroot") and not os.path.isdir(path("chroots", spec["chroot"])):
            raise Failed("NotFound", "there is no chroot '%s'; 'initvm chroot create' makes one" % spec["chroot"])
        write(os.path.join(new, "spec.json"), json.dumps(spec))
        write(os.path.join(new, "token"), token)
        with lock:  # a call that was hung up on may end behind the one that followed it
            if not known(number, token):
                shutil.rmtree(place(number), ignore_errors=True)
                os.rename(new, place(number))
                os.mkdir(new)


def end_with_us():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()


def job_start(stream, number, token):
    with starting:
        start(number)


def start(number):
    if number in running or read(place(number, "result.json")) or os.path.exists(place(number, "begun")):
        return
    spec = json.loads(read(place(number, "spec.json")))
    argv = spec.get("command")
    if "script" in spec:
        write(place(number, "script"), spec["script"])
        argv = ["/bin/sh", "-e", place(number, "script")]
    elif "package" in spec:
        argv = ["/bin/sh", "-c", "echo building; touch work_1.deb"]
    write(place(number, "begun"), "")
    environment = dict(os.environ, **spec.get("environment", {}))
    begun = threading.Event()
    threading.Thread(target=keep, args=(number, argv, environment, spec, begun), daemon=True).start()
    begun.wait()


def keep(number, argv, environment, spec, begun):
    """The thread that starts a process is the one with whose end it ends."""
    began = time.monotonic()
    try:
        with open(place(number, "log"), "ab") as log:
            process = running[number] = subprocess.Popen(argv, cwd=place(number, "work"), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                         env=environment, preexec_fn=end_with_us)
    except (FileNotFoundError, PermissionError) as e:
        missing = isinstance(e, FileNotFoundError)
        finish(number, {"result": "no-command" if missing else "not-executable", "status": 0,
                        "message": "'%s' %s" % (argv[0], "is not there" if missing else "is not executable")})
        return
    finally:
        begun.set()
    limit = spec.get("limits", {}).get("timeout")
    result = {"message": ""}
    try:
        status = process.wait(limit / 1000 if limit else None)
        result.update({"result": "exited", "status": status} if status >= 0 else {"result": "signaled", "status": -status})
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        result.update({"result": "timeout", "status": 0, "message": "it took longer than %d ms; raise --timeout" % limit})
    if os.path.exists(place(number, "cancelled")):
        result = {"result": "cancelled", "status": 0, "message": "cancelled"}
    result["stats"] = {"wall": int((time.monotonic() - began) * 1000), "cpu": 0, "memoryPeak": 0, "read": 0, "written": 0}
    finish(number, result)
    del running[number]


def finish(number, result):
    size = os.path.getsize(place(number, "log"))
    write(place(number, "times"), "0 %d\n" % (time.time() * 1000) if size else "")
    write(place(number, "result.json"), json.dumps(result))


def job_follow(stream, number, token, offset):
    offset, heartbeat = int(offset), time.monotonic()
    while True:
        ended = read(place(number, "result.json")) is not None
        with open(place(number, "log"), "rb") as f:
            f.seek(offset)
            while piece := f.read(1 << 16):
                offset += len(piece)
                stream.output(1, piece)
        if ended or number not in running and read(place(number, "result.json")) is None:
            return
        if time.monotonic() - heartbeat > HEARTBEAT:
            heartbeat = time.monotonic()
            stream.report({"heartbeat": {"silence": 0, "cpu": 1, "read": 2, "written": 3, "memory": 4}})
        if stream.closed:
            raise Gone
        time.sleep(0.02)


def job_status(stream, number, token):
    with starting:
        runs = number in running  # asked first: whoever does not run any more has written its result before
    result = read(place(number, "result.json"))
    if not known(number, token):
        o = {"state": "absent"}
    elif result:
        o = {"state": "ended", "result": json.loads(result)}
    elif runs:
        o = {"state": "running"}
    else:
        o = {"state": "lost" if os.path.exists(place(number, "begun")) else "created"}
    stream.output(1, json.dumps(o).encode() + b"\n")


def job_cancel(stream, number, token):
    process = running.get(number)
    if process:
        write(place(number, "cancelled"), "")
        os.killpg(process.pid, signal.SIGTERM)
        while number in running:
            time.sleep(0.01)
    elif known(number, token) and not read(place(number, "result.json")):
        finish(number, {"result": "cancelled", "status": 0, "message": "cancelled"})


def job_artifacts(stream, number, token, option=None):
    if not known(number, token):
        raise Failed("NotFound", "there is no job %s" % number)
    spec = json.loads(read(place(number, "spec.json")))
    work, names = place(number, "work"), []
    for pattern in spec.get("artifacts", []) or (["*.deb"] if "package" in spec else []):
        found = sorted(glob.glob(pattern, root_dir=work))
        if not found and not spec.get("allowEmpty") and not option:
            raise Failed("NotFound", "the artifact '%s' matches nothing; --allow-empty allows that" % pattern)
        names += found
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            tar.add(os.path.join(work, name), name)
        for member in tar.getmembers():
            if member.isfile():
                content = read(os.path.join(work, member.name))
                stream.report({"artifact": {"name": member.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}})
    spoil = path("spoil")
    content = bytearray(data.getvalue())
    if os.path.exists(spoil):
        os.remove(spoil)
        content[512] ^= 1
    stream.output(1, bytes(content))


def job_times(stream, number, token):
    stream.output(1, read(place(number, "times")) or b"")


def job_remove(stream, number, token):
    if known(number, token):
        if number in running:
            raise Failed("State", "job %s runs" % number)
        shutil.rmtree(place(number))


def job_list(stream):
    for number in sorted(os.listdir(path("jobs"))):
        token = read(place(number, "token"))
        if token:
            stream.output(1, json.dumps({"id": int(number), "token": token.decode(), "state": "ended"}).encode() + b"\n")


def job_trim(stream):
    write(path("trimmed"), str(len(os.listdir(path("jobs")))))
    stream.output(1, b'{"trimmed": 4096}\n')


def job_run(stream, number, token, *words):
    for piece in stream.read_input():
        stream.output(1, piece)


def drop():
    while True:
        time.sleep(0.05)
        if os.path.exists(path("drop")):
            os.remove(path("drop"))
            for connection in list(connections):
                connection.socket.shutdown(socket.SHUT_RDWR)


def main():
    threading.Thread(target=drop, daemon=True).start()
    os.makedirs(path("jobs"), exist_ok=True)
    os.makedirs(path("chroots"), exist_ok=True)
    if os.path.lexists(path("port")):
        os.remove(path("port"))
    server = socket.socket(socket.AF_UNIX)
    server.bind(path("port.new"))
    server.listen(16)
    os.rename(path("port.new"), path("port"))
    os.write(1, b"ready\n")  # at once
    while True:
        client, _ = server.accept()
        connections.add(connection := Connection(client))
        threading.Thread(target=connection.serve, daemon=True).start()


main()
