/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as an archive.  Beside memory safety: nothing is made or changed outside of the target, no temporary file is left,
 * and no file has a set-user-ID or set-group-ID bit.  The first byte says whether a name is asked for, and whether the target is
 * new.
 */
#include "archive/unpack.h"
#include "base/file.h"
#include "base/util.h"

#include <dirent.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
        if (!ok)
                abort();
}

/* `in` is the target, `outside` a file that must stay as it is. */
static char root[] = "/tmp/initvm-fuzz.XXXXXX", in[sizeof(root) + 16], outside[sizeof(root) + 16];

static void remove_root(void)
{
        tree_remove(root, NULL);
}

static void set_up(void)
{
        static bool done;

        if (done)
                return;
        done = true;
        umask(0);
        must(mkdtemp(root) != NULL);
        snprintf(in, sizeof(in), "%s/in", root);
        snprintf(outside, sizeof(outside), "%s/outside", root);
        atexit(remove_root);
        must(file_write_atomic(outside, 0600, "untouched", 9, NULL) == 0);
}

static void check_outside(void)
{
        autofree char *content = file_read(outside, 100, &(size_t){0}, NULL);
        DIR *d = opendir(root);
        struct dirent *e;

        must(streq(content, "untouched") && d);
        while ((e = readdir(d)))
                must(streq(e->d_name, ".") || streq(e->d_name, "..") || streq(e->d_name, "in") || streq(e->d_name, "outside"));
        closedir(d);
}

static void check_inside(void)
{
        char *const roots[] = {in, NULL};
        FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
        FTSENT *e;

        while (fts && (e = fts_read(fts))) {
                must(!str_has_prefix(e->fts_name, ".initvm-"));
                must(e->fts_info == FTS_NS || (e->fts_statp->st_mode & (S_ISUID | S_ISGID)) == 0);
                must(e->fts_info == FTS_NS || S_ISREG(e->fts_statp->st_mode) || S_ISDIR(e->fts_statp->st_mode) ||
                     S_ISLNK(e->fts_statp->st_mode));
        }
        if (fts)
                fts_close(fts);
}

/* Of each block that may be a header. That spoils contents as well, which nobody reads. */
static void put_checksums_right(uint8_t *tar, size_t size)
{
        for (uint8_t *h = tar; h + 512 <= tar + size; h += 512) {
                unsigned sum = 8 * ' ';

                if (memcmp(h + 257, "ustar", 5) != 0)
                        continue;
                for (size_t i = 0; i < 512; i++)
                        sum += i >= 148 && i < 156 ? 0 : h[i];
                snprintf((char *)h + 148, 8, "%06o", sum);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        autofree uint8_t *tar = xcalloc(size + 1, 1);
        autoclose int fd = memfd_create("tar", MFD_CLOEXEC);
        char *const names[] = {(char *)"a", NULL};
        struct unpack_options options = {.fd = fd, .target = in};
        struct error err = ERROR_INIT;

        if (size < 1)
                return 0;
        set_up();
        memcpy(tar, data + 1, size - 1);
        if (!(data[0] & 4))
                put_checksums_right(tar, size - 1);
        must(fd >= 0 && fd_write_all(fd, tar, size - 1) == 0 && lseek(fd, 0, SEEK_SET) == 0);
        if (data[0] & 1)
                options.names = names;
        if (!(data[0] & 2))
                must(mkdir(in, 0755) == 0);
        unpack(&options, &err);
        check_outside();
        check_inside();
        must(tree_remove(in, NULL) == 0);
        return 0;
}
