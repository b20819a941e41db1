/* SPDX-License-Identifier: MIT */
#include "agent/boot.h"

#include "base/boot_files.h"
#include "base/json.h"
#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define BOOT "/boot"

/* Describes one of the files; appends what tells it from another one to `id`. */
static int describe(struct json_object *o, const char *what, const char *path, struct buf *id, struct error *err)
{
        autofree char *size = xasprintf("%sSize", what);
        struct stat st;

        if (stat(path, &st) < 0)
                return error_errno(err, errno, "cannot look at '%s'", path);
        json_add_string(o, what, path);
        json_add_u64(o, size, (uint64_t)st.st_size);
        buf_printf(id, " %lld@%lld.%09ld", (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
        return 0;
}

static int look(struct json_object *o, struct error *err)
{
        autofree char *release = boot_newest(BOOT, true, err), *kernel = NULL, *initrd = NULL, *text = NULL;
        autobuf struct buf id = {0};

        if (!release)
                return -1;
        kernel = xasprintf(BOOT "/vmlinuz-%s", release);
        initrd = xasprintf(BOOT "/initrd.img-%s", release);
        buf_printf(&id, "%s", release);
        if (describe(o, "kernel", kernel, &id, err) < 0 || describe(o, "initrd", initrd, &id, err) < 0)
                return -1;
        text = buf_take_string(&id);
        json_add_string(o, "id", text);
        return 0;
}

int boot_main(int argc, char **argv)
{
        autojson struct json_object *o = json_new();
        struct error err = ERROR_INIT;

        (void)argv;
        if (argc > 1) {
                fprintf(stderr, "usage: initvm-agent --boot\n");
                return 2;
        }
        if (look(o, &err) < 0) {
                fprintf(stderr, "%s\n", err.message);
                return 1;
        }
        puts(json_line(o));
        return 0;
}
