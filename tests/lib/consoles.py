#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Several viewers of one serial console at once: consoles.py SCENARIO VM.  Silent and 0 when all was as it should be."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from terminal import Failed, Terminal  # noqa: E402

DETACH = "\x1d"
PROMPT = rb"root@[^\r\n]*[#] ?"


def attach(vm, *options, name):
    viewer = Terminal(["initvm", "attach", "-n", vm, *options], name=name)
    viewer.expect(r"Ctrl-\] detaches")
    viewer.wait_raw()
    return viewer


def prompt(viewer):
    """A fresh prompt of root's shell, whatever stood there before (Ctrl-C drops a half-typed line)."""
    viewer.send("\x03\r")
    viewer.expect(PROMPT)


def run(viewer, expression, result):
    """Types a sum; its result cannot be the echo of what was typed."""
    viewer.send(f"echo sum=$(({expression}))\r")
    viewer.expect(f"sum={result}")


def detach(viewer):
    viewer.send(DETACH)
    viewer.expect("detached")
    status = viewer.wait()
    if status != 0:
        raise Failed(f"{viewer.name} ended with {status}")
    if not viewer.restored():
        raise Failed(f"{viewer.name} did not restore its terminal")


def login(vm):
    """Root is logged in, commands work, the detach key ends it and restores the terminal."""
    with attach(vm, name="the viewer") as viewer:
        prompt(viewer)
        run(viewer, "6*7", 42)
        detach(viewer)


def two(vm):
    """Both see the same; only the first one types; the second one replays what was there."""
    with attach(vm, name="the first") as first:
        prompt(first)
        run(first, "1000+1", 1001)
        with attach(vm, name="the second") as second:
            second.expect("another viewer has the keyboard")
            second.expect("sum=1001")  # from before it came
            run(first, "1000+2", 1002)
            second.expect("sum=1002")
            second.send("echo sum=$((1000+3))\r")  # goes nowhere
            run(first, "1000+4", 1004)
            second.expect("sum=1004")
            if b"sum=1003" in first.text or b"sum=1003" in second.text:
                raise Failed("what the second one typed was executed")
            detach(second)
        run(first, "1000+5", 1005)
        detach(first)


def take_over(vm):
    """--force takes the keyboard; the former writer is told and goes on watching."""
    with attach(vm, name="the first") as first:
        prompt(first)
        with attach(vm, "--force", name="the second") as second:
            first.expect("took the keyboard over")
            prompt(second)
            run(second, "2000+1", 2001)
            first.expect("sum=2001")
            first.send("echo sum=$((2000+2))\r")
            run(second, "2000+3", 2003)
            if b"sum=2002" in second.text:
                raise Failed("the former writer still types")
            detach(second)
        detach(first)


def writer_leaves(vm):
    """When the writer is gone, the next one to attach has the keyboard."""
    with attach(vm, name="the first") as first:
        detach(first)
    with attach(vm, name="the second") as second:
        prompt(second)
        run(second, "3000+1", 3001)
        detach(second)


def read_only(vm):
    """--read-only never has the keyboard, also when nobody else is there; detaching works all the same."""
    with attach(vm, "--read-only", name="the reader") as reader:
        with attach(vm, name="the writer") as writer:
            reader.send("echo sum=$((4000+1))\r")
            prompt(writer)
            run(writer, "4000+2", 4002)
            reader.expect("sum=4002")
            if b"sum=4001" in writer.text:
                raise Failed("the read-only viewer types")
            detach(writer)
        detach(reader)


def killed(vm):
    """SIGTERM ends a viewer and restores its terminal."""
    with attach(vm, name="the viewer") as viewer:
        viewer.kill(15)
        status = viewer.wait()
        if status != 143:
            raise Failed(f"it ended with {status}")
        if not viewer.restored():
            raise Failed("it did not restore its terminal")


def volume(vm):
    """A viewer that reads gets a long output in full and in order."""
    with attach(vm, name="the viewer") as viewer:
        prompt(viewer)
        viewer.send("stty -echo; for i in $(seq 1 2000); do echo line-$i; done; stty echo\r")
        for number in (1, 500, 1000, 1500, 2000):
            viewer.expect(f"line-{number}\r")
        lines = [int(word[5:]) for word in viewer.text.decode(errors="replace").split() if word[:5] == "line-" and word[5:].isdigit()]
        if sorted(set(lines)) != list(range(1, 2001)):
            raise Failed(f"{len(set(lines))} of 2000 lines came")
        prompt(viewer)
        detach(viewer)


def boot(vm):
    """Attached while the VM boots (it must be running already): the kernel's lines, then the prompt."""
    with attach(vm, name="the viewer") as viewer:
        viewer.expect(PROMPT, 240)
        run(viewer, "5000+1", 5001)
        detach(viewer)


if __name__ == "__main__":
    try:
        globals()[sys.argv[1]](sys.argv[2])
    except Failed as error:
        sys.exit(f"{sys.argv[1]}: {error}")
