/* SPDX-License-Identifier: MIT */
#include "image/source.h"

#include "image/qemu_img.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* blkid(8), "EXIT STATUS", of -p: nothing that it knows is there. */
#define BLKID_NOTHING   2
#define BLKID_TIMEOUT_S 60

/*
 * The byte of an image that every QEMU has a lock on that may write to it (RAW_LOCK_PERM_BASE and BLK_PERM_WRITE in QEMU's
 * block/file-posix.c, since 2.10).  qemu-img(1) minds it for formats with tables of their own only.
 */
#define QEMU_WRITER_BYTE 101

static int check_unused(int fd, struct error *err)
{
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = QEMU_WRITER_BYTE, .l_len = 1};

        if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
                return error_errno(err, errno, "cannot tell whether the image is in use");
        return lock.l_type == F_UNLCK ? 0 : error_set(err, ERR_STATE, "%s", QEMU_IMG_IN_USE);
}

static void find_encryption(void *userdata, const char *line)
{
        bool *encrypted = userdata;

        *encrypted |= streq(line, "TYPE=crypto_LUKS") || streq(line, "TYPE=BitLocker");
}

/* Any file can be taken for a raw image: one of a disk has a partition table or a file system. */
static int check_raw(struct run *run, const char *path, struct error *err)
{
        char *const argv[] = {(char *)"blkid", (char *)"-p", (char *)"-o", (char *)"export", (char *)"--", (char *)path, NULL};
        bool encrypted = false;
        int status = 0;
        const struct run_tool tool = {
                .argv = argv, .timeout = BLKID_TIMEOUT_S, .ret_exit = &status, .line = find_encryption, .userdata = &encrypted};

        if (run_tool(run, &tool, err) < 0)
                return -1;
        if (status == BLKID_NOTHING)
                return error_set(err, ERR_INVALID,
                                 "'%s' is not an image of a disk: it has neither a partition table nor a file system", path);
        return encrypted ? error_set(err, ERR_UNSUPPORTED, "the image is encrypted: only what is not can be taken over") : 0;
}

static int check_format(struct run *run, const char *path, struct json_object *info, struct source *ret, struct error *err)
{
        static const char *const formats[] = {QEMU_IMG_FORMAT, "raw"};
        const char *format = json_get_string(info, "format", "");

        for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
                if (streq(format, formats[i]))
                        ret->format = formats[i];
        if (!ret->format)
                return error_set(
                        err, ERR_UNSUPPORTED,
                        "'%s' is an image of the format '%s': make it one of qcow2 first, with 'qemu-img convert -O qcow2'", path,
                        format);
        if (json_get_bool(info, "encrypted", false))
                return error_set(err, ERR_UNSUPPORTED, "the image is encrypted: only what is not can be taken over");
        return streq(ret->format, "raw") ? check_raw(run, path, err) : 0;
}

int source_check(struct run *run, const char *path, struct source *ret, struct error *err)
{
        autojson struct json_object *info = NULL;
        autoclose int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        struct stat st;

        *ret = (struct source){0};
        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, errno, "cannot read the image '%s'", path);
        if (!S_ISREG(st.st_mode) || st.st_size == 0)
                return error_set(err, ERR_INVALID, "'%s' is not an image of a disk: it is %s", path,
                                 S_ISREG(st.st_mode) ? "empty" : "not a file");
        if (check_unused(fd, err) < 0)
                return -1;
        ret->modified = st.st_mtim;
        info = qemu_img_info(run, path, NULL, err);
        if (!info || check_format(run, path, info, ret, err) < 0)
                return -1;
        ret->size = qemu_img_virtual_size(info);
        return qemu_img_measure(run, path, ret->format, &ret->content, err);
}

int source_check_unchanged(const char *path, const struct source *source, struct error *err)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return error_errno(err, errno, "cannot read the image '%s'", path);
        if (st.st_mtim.tv_sec != source->modified.tv_sec || st.st_mtim.tv_nsec != source->modified.tv_nsec)
                return error_set(err, ERR_STATE,
                                 "'%s' was written to while it was being taken over: try again when nobody uses it", path);
        return 0;
}
