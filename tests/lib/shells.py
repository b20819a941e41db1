#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Many shells in a VM at once: shells.py N VM.

All are started, then all are used, and each has the exit status 7.  Prints the daemon's resident memory in KiB while all of
them were there.
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from terminal import Failed, Terminal  # noqa: E402


def daemon_rss():
    status = subprocess.run(["initvm", "daemon", "status", "--json"], capture_output=True, check=True).stdout
    with open(f"/proc/{json.loads(status)['pid']}/status", encoding="ascii") as file:
        return next(line.split()[1] for line in file if line.startswith("VmRSS"))


def main(n, vm):
    shells = [Terminal(["initvm", "shell", "-n", vm], name=f"shell {i}") for i in range(n)]
    try:
        for i, shell in enumerate(shells):
            shell.expect(r"root@[^\r\n]*#", 300)
            shell.send(f"echo got=$(({i}+1000))\r")
        for i, shell in enumerate(shells):
            shell.expect(f"got={i + 1000}", 300)
        print(daemon_rss())
        for shell in shells:
            shell.send("exit 7\r")
        for shell in shells:
            status = shell.wait()
            if status != 7 or not shell.restored():
                raise Failed(f"{shell.name}: {status}")
    finally:
        for shell in shells:
            shell.close()


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), sys.argv[2])
    except Failed as error:
        sys.exit(f"shells.py: {error}")
