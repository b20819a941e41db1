#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""processes.py FOLDER: pids of the processes that work for the INITVM_HOME FOLDER, one 'PID COMM' a line.

These are initvm's programs, QEMU, and what they have started, also when those have died before; not the tests themselves.
"""
import os
import sys

PROGRAMS = ("initvm", "initvmd", "initvm-provisio", "qemu-", "mmdebstrap")


def read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""


def main(folder):
    folder = os.fsencode(folder)
    comm, parent = {}, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        stat = read(pid, "stat")
        if stat:
            comm[pid] = stat[stat.index(b"(") + 1:stat.rindex(b")")].decode(errors="replace")
            state, parent[pid] = stat[stat.rindex(b")") + 2:].split()[:2]
            parent[pid] = parent[pid].decode()
            if state == b"Z":
                del comm[pid]

    def ours(pid):
        """It, or one that it descends from, is a program of initvm's; or it was left alone."""
        first = pid
        while pid in comm:
            if comm[pid].startswith(PROGRAMS):
                return True
            pid = parent[pid]
        return parent[first] == "1"

    for pid in sorted(comm, key=int):
        named = folder in read(pid, "cmdline") or b"INITVM_HOME=" + folder in read(pid, "environ").split(b"\0")
        if named and int(pid) != os.getpid() and ours(pid):
            print(pid, comm[pid])


if __name__ == "__main__":
    main(sys.argv[1])
