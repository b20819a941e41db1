/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the archive of a root filesystem.  Beside memory safety: nothing is made or changed outside of the target,
 * whatever symbolic and hard links it holds, and there are no devices in it.
 */
#include "archive/rootfs.h"
#include "base/file.h"
#include "base/util.h"

#include <dirent.h>
#include <fts.h>
#include <locale.h>
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
        setlocale(LC_CTYPE, "C.UTF-8");
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
        struct stat st;

        must(streq(content, "untouched") && d && stat(outside, &st) == 0 && st.st_nlink == 1 && (st.st_mode & 07777) == 0600);
        while ((e = readdir(d)))
                must(streq(e->d_name, ".") || streq(e->d_name, "..") || streq(e->d_name, "in") || streq(e->d_name, "outside"));
        closedir(d);
}

static void check_inside(void)
{
        char *const roots[] = {in, NULL};
        FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
        FTSENT *e;

        while (fts && (e = fts_read(fts)))
                must(e->fts_info == FTS_NS ||
                     (!S_ISCHR(e->fts_statp->st_mode) && !S_ISBLK(e->fts_statp->st_mode) && !S_ISSOCK(e->fts_statp->st_mode)));
        if (fts)
                fts_close(fts);
}

/* Folders of any mode have come to be, which their owner could not remove things from. */
static void remove_inside(void)
{
        char *const roots[] = {in, NULL};
        FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
        FTSENT *e;

        while (fts && (e = fts_read(fts)))
                if (e->fts_info == FTS_D || e->fts_info == FTS_DNR)
                        chmod(e->fts_accpath, 0700);
        if (fts)
                fts_close(fts);
        must(tree_remove(in, NULL) == 0);
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
        struct error err = ERROR_INIT;

        if (size < 1)
                return 0;
        set_up();
        memcpy(tar, data + 1, size - 1);
        if (!(data[0] & 4))
                put_checksums_right(tar, size - 1);
        must(fd >= 0 && fd_write_all(fd, tar, size - 1) == 0 && lseek(fd, 0, SEEK_SET) == 0);
        must(mkdir(in, 0755) == 0);
        rootfs_unpack(fd, in, &err);
        check_outside();
        check_inside();
        remove_inside();
        return 0;
}
