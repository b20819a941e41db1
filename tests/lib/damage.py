#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Damages a qcow2 image as a broken host or a bug would: damage.py image IMAGE, damage.py inode IMAGE PATH

  image   one cluster is counted that nobody uses, and one that is used is not counted
  inode   the inode of the file PATH in the ext4 root file system, the last partition, is overwritten, with the one beside it

Where things are: docs/interop/qcow2.txt of QEMU; the rest is told by qemu-img, sfdisk and debugfs.
"""
import json
import os
import re
import struct
import subprocess
import sys
import tempfile

OFFSET = 0x00fffffffffffe00  # of an entry of an L1 or L2 table
SECTOR = 512


def output(*words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()


class Image:
    def __init__(self, path):
        self.file = open(path, "r+b")
        self.cluster = 1 << self.number(20, "I")
        assert 1 << self.number(96, "I") == 16, "a refcount has 16 bits"

    def number(self, offset, kind):
        self.file.seek(offset)
        return struct.unpack(">" + kind, self.file.read(struct.calcsize(kind)))[0]

    def entries(self, offset, count):
        return [self.number(offset + 8 * i, "Q") & OFFSET for i in range(count)]

    def counter(self, cluster):
        """Where the refcount of a cluster is."""
        block, index = divmod(cluster, self.cluster // 2)
        return (self.number(self.number(48, "Q") + 8 * block, "Q") & OFFSET) + 2 * index

    def set_counter(self, cluster, value):
        self.file.seek(self.counter(cluster))
        self.file.write(struct.pack(">H", value))

    def data_cluster(self):
        for table in filter(None, self.entries(self.number(40, "Q"), self.number(36, "I"))):
            for data in filter(None, self.entries(table, self.cluster // 8)):
                return data // self.cluster
        raise RuntimeError("there is no data")


def damage_image(path):
    image = Image(path)
    beyond = os.path.getsize(path) // image.cluster + 3
    image.set_counter(beyond, 1)
    image.set_counter(image.data_cluster(), 0)


def damage_inode(path, name):
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as folder:
        raw = os.path.join(folder, "raw")
        output("qemu-img", "convert", "-O", "raw", path, raw)
        start = max(p["start"] for p in json.loads(output("sfdisk", "--json", raw))["partitiontable"]["partitions"]) * SECTOR
        place = re.search(r"located at block (\d+), offset 0x([0-9a-f]+)", output("debugfs", "-R", f"imap {name}", f"{raw}?offset={start}"))
        block_size = int(re.search(r"Block size:\s+(\d+)", output("debugfs", "-R", "stats -h", f"{raw}?offset={start}")).group(1))
    inode = start + int(place.group(1)) * block_size + int(place.group(2), 16)
    output("qemu-io", "-f", "qcow2", "-c", f"write -P 255 {inode // SECTOR * SECTOR} {SECTOR}", path)


if __name__ == "__main__":
    {"image": damage_image, "inode": damage_inode}[sys.argv[1]](*sys.argv[2:])
