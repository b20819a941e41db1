#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs a command as root of a user namespace with 65536 users, and of mount and process namespaces: userns.py COMMAND [ARGUMENT...]

As root the users are its own; others need entries in /etc/subuid and /etc/subgid, and newuidmap(1).  What the command mounts and
registers is seen by nobody else, and all that it starts ends with it, or with us.
"""
import ctypes
import os
import signal
import subprocess
import sys

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000
PR_SET_PDEATHSIG = 1
IDS = 65536

libc = ctypes.CDLL(None, use_errno=True)


def become_root(argv):
    """In the child, once its users are mapped."""
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execvp("unshare", ["unshare", "--fork", "--kill-child", "--mount-proc", "--"] + argv)


def subordinate(path, name):
    with open(path, encoding="utf-8") as file:
        for line in file:
            user, first, count = line.strip().split(":")
            if user == name and int(count) >= IDS:
                return first
    sys.exit(f"userns.py: '{name}' has no {IDS} ids in {path}")


def map_ids(pid):
    if os.geteuid() == 0:
        for which in ("uid_map", "gid_map"):
            with open(f"/proc/{pid}/{which}", "w", encoding="ascii") as file:
                file.write(f"0 0 {IDS}\n")
        return
    import pwd
    name = pwd.getpwuid(os.getuid()).pw_name
    for tool, path, own in (("newuidmap", "/etc/subuid", os.getuid()), ("newgidmap", "/etc/subgid", os.getgid())):
        subprocess.run([tool, str(pid), "0", str(own), "1", "1", subordinate(path, name), str(IDS - 1)], check=True)


def main(argv):
    there, is_there = os.pipe()
    mapped, is_mapped = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(is_mapped)  # so that the end of our parent is told as well
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS) != 0:
            sys.exit(f"userns.py: no user namespace: {os.strerror(ctypes.get_errno())}")
        os.write(is_there, b"x")
        if os.read(mapped, 1) != b"x":
            sys.exit(1)
        become_root(argv)
    os.close(is_there)
    if os.read(there, 1) == b"x":
        map_ids(pid)
        os.write(is_mapped, b"x")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
