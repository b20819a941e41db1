#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A terminal for tests: runs a program on a pty, waits for what it prints, types, and sees that the terminal was restored.

As a program: terminal.py STEP... -- COMMAND ARG...
  expect:REGEX   wait until it has printed that (behind what an earlier expect has matched)
  send:TEXT      type that; \\r, \\n, \\xNN and so on are understood
  eof            wait until the program ends
  status:N       the same, and its exit status must be N
  raw            wait until the terminal is in raw mode: keys typed before are interpreted, or dropped
  cooked         wait until it no longer is
  restored       the terminal's settings must be what they were before
  signal:NAME    send the program a signal (INT, TERM, ...)
  size:ROWSxCOLS change the window's size
All that was printed goes to standard output.  Exit status 1 with the reason when a step failed.
"""
import codecs
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
import fcntl

DEADLINE = float(os.environ.get("TERMINAL_DEADLINE", "60"))


class Failed(Exception):
    pass


class Terminal:
    def __init__(self, argv, name="", env=None, rows=24, cols=80, copy=None):
        self.copy = copy  # a binary file that gets all that is printed, as it comes
        self.name = name or argv[0]
        self.text = b""
        self.at = 0
        self.status = None
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        environment = dict(os.environ, TERM="vt100", **(env or {}))
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for fd in (0, 1, 2):
                os.dup2(self.slave, fd)
            os.closerange(3, 256)
            try:
                os.execvpe(argv[0], argv, environment)
            except OSError as error:
                os.write(2, f"{argv[0]}: {error}\n".encode())
            os._exit(127)
        self.pidfd = os.pidfd_open(self.pid)

    def _read(self, until):
        """Takes what is there; False at the deadline, None when the program has ended and all of it was read."""
        left = until - time.monotonic()
        if left <= 0:
            return False
        ready = select.select([self.master, self.pidfd], [], [], left)[0]
        if self.master in ready:
            data = os.read(self.master, 65536)
            self.text += data
            if self.copy:
                self.copy.write(data)
                self.copy.flush()
            return True
        if self.pidfd in ready:
            return None
        return False

    def expect(self, pattern, deadline=None):
        """Waits for the pattern behind the last match; returns the match."""
        if isinstance(pattern, str):
            pattern = pattern.encode()
        until = time.monotonic() + (deadline or DEADLINE)
        while True:
            match = re.compile(pattern).search(self.text, self.at)
            if match:
                self.at = match.end()
                return match
            state = self._read(until)
            if state is None:
                raise Failed(f"{self.name} ended before it printed {pattern!r}; its last output: {self.text[-500:]!r}")
            if state is False:
                raise Failed(f"{self.name} did not print {pattern!r} in time; its last output: {self.text[-500:]!r}")

    def send(self, data):
        if isinstance(data, str):
            data = data.encode()
        while data:
            data = data[os.write(self.master, data):]

    def wait_raw(self, raw=True, deadline=None):
        until = time.monotonic() + (deadline or DEADLINE)
        while raw == bool(termios.tcgetattr(self.slave)[3] & termios.ICANON):  # the kernel tells nobody when this changes
            if time.monotonic() > until or select.select([self.pidfd], [], [], 0.01)[0]:
                raise Failed(f"{self.name} did not make its terminal {'raw' if raw else 'as it was'}")

    def resize(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def kill(self, signo):
        signal.pidfd_send_signal(self.pidfd, signo)

    def wait(self, deadline=None):
        """Waits for the end; the exit status as a shell has it."""
        if self.status is not None:
            return self.status
        until = time.monotonic() + (deadline or DEADLINE)
        while True:
            state = self._read(until)
            if state is None:
                break
            if state is False:
                raise Failed(f"{self.name} did not end in time")
        _, status = os.waitpid(self.pid, 0)
        self.status = os.waitstatus_to_exitcode(status)
        if self.status < 0:
            self.status = 128 - self.status
        return self.status

    def restored(self):
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        if self.status is None:
            try:
                self.kill(signal.SIGKILL)
                self.wait(10)
            except (ProcessLookupError, Failed):
                pass
        for fd in (self.master, self.slave, self.pidfd):
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def step(terminal, what):
    verb, _, argument = what.partition(":")
    if verb == "expect":
        terminal.expect(argument)
    elif verb == "send":
        terminal.send(codecs.escape_decode(argument.encode())[0])
    elif verb == "raw":
        terminal.wait_raw()
    elif verb == "cooked":
        terminal.wait_raw(False)
    elif verb == "eof":
        terminal.wait()
    elif verb == "status":
        status = terminal.wait()
        if status != int(argument):
            raise Failed(f"exit status {status} instead of {argument}")
    elif verb == "restored":
        if not terminal.restored():
            raise Failed("the terminal was not restored")
    elif verb == "signal":
        terminal.kill(getattr(signal, "SIG" + argument))
    elif verb == "size":
        terminal.resize(*map(int, argument.split("x")))
    else:
        raise Failed(f"unknown step '{what}'")


def main(argv):
    if "--" not in argv:
        sys.exit(__doc__)
    split = argv.index("--")
    with Terminal(argv[split + 1:], copy=sys.stdout.buffer) as terminal:
        failure = None
        try:
            for what in argv[:split]:
                step(terminal, what)
        except Failed as error:
            failure = error
        if failure:
            sys.exit(f"\nterminal.py: {failure}")


if __name__ == "__main__":
    main(sys.argv[1:])
