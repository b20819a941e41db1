/* SPDX-License-Identifier: MIT */
#include "daemon/disk_size.h"

#include "base/util.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* docs/interop/qcow2.txt, "Header": all numbers are big endian. */
struct qcow2_header {
        char magic[4];
        uint32_t version;
        uint64_t backing_file_offset;
        uint32_t backing_file_size, cluster_bits;
        uint64_t size;
};

uint64_t disk_size(const char *vm_folder)
{
        autofree char *path = xasprintf("%s/buildenv.img", vm_folder);
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct qcow2_header header;

        if (fd < 0 || pread(fd, &header, sizeof(header), 0) != sizeof(header) || memcmp(header.magic, "QFI\xfb", 4) != 0)
                return 0;
        return be64toh(header.size);
}
