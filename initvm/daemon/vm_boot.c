/* SPDX-License-Identifier: MIT */
#include "daemon/vm_boot.h"

#include "base/file.h"
#include "base/log.h"
#include "daemon/guest_exec.h"
#include "daemon/vm_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWER_MAX 4096

struct boot_refresh {
        struct vm *vm;
        boot_refresh_fn done;
        struct guest_exec *exec;
        int fd;                   /* what the guest writes: its answer, then one of the files */
        struct json_object *wish; /* --boot's answer; NULL: not there yet */
        const char *file;         /* "kernel", "initrd": the one that comes */
        char *folder;             /* the new one */
};

char *boot_folder(const struct vm_record *r, const char *folder)
{
        return r->boot_folder ? xasprintf("%s/%s", folder, r->boot_folder) : xstrdup(folder);
}

void boot_refresh_cancel(struct boot_refresh *b)
{
        if (!b)
                return;
        guest_exec_cancel(b->exec);
        cleanup_close(&b->fd);
        if (b->folder)
                tree_remove(b->folder, NULL);
        json_object_put(b->wish);
        free(b->folder);
        free(b);
}

static void end(struct boot_refresh *b)
{
        struct vm *vm = b->vm;
        boot_refresh_fn done = b->done;

        vm->boot_refresh = NULL;
        boot_refresh_cancel(b);
        done(vm);
}

static void give_up(struct boot_refresh *b, const struct error *err)
{
        log_warning("VM '%s': its kernel and initrd were not looked at, and stay as they are: %s", b->vm->record.name,
                    err->message);
        end(b);
}

static void on_executed(void *userdata, const struct error *err);

static int execute(struct boot_refresh *b, char *const *argv, struct error *err)
{
        b->exec =
                guest_exec_start(b->vm->daemon->loop, b->vm->channel, argv, b->fd, BOOT_REFRESH_TIMEOUT_MS, on_executed, b, err);
        return b->exec ? 0 : -1;
}

/* ---- the files */

static int fetch(struct boot_refresh *b, const char *file, struct error *err)
{
        autofree char *path = xasprintf("%s/%s", b->folder, file);
        char *const argv[] = {(char *)"cat", (char *)"--", (char *)json_get_string(b->wish, file, ""), NULL};

        b->file = file;
        cleanup_close(&b->fd);
        b->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (b->fd < 0)
                return error_errno(err, errno, "cannot make '%s'", path);
        return execute(b, argv, err);
}

/* All of it has come, and is on the disk. */
static int check(struct boot_refresh *b, struct error *err)
{
        autofree char *size = xasprintf("%sSize", b->file);
        struct stat st;

        if (fstat(b->fd, &st) < 0 || fsync(b->fd) < 0)
                return error_errno(err, errno, "cannot write the %s", b->file);
        if ((uint64_t)st.st_size != json_get_u64(b->wish, size, 0))
                return error_set(err, ERR_FAILED, "the %s came with %llu bytes instead of %llu", b->file,
                                 (unsigned long long)st.st_size, (unsigned long long)json_get_u64(b->wish, size, 0));
        return 0;
}

/* From this one write on the new files count. */
static int commit(struct boot_refresh *b, struct error *err)
{
        struct vm_record *r = &b->vm->record;
        char *old_folder = r->boot_folder, *old_id = r->boot_id;

        r->boot_folder = b->folder ? xstrdup(strrchr(b->folder, '/') + 1) : old_folder;
        r->boot_id = xstrdup(json_get_string(b->wish, "id", ""));
        if (vm_record_save(r, b->vm->folder, err) < 0) {
                if (b->folder)
                        free(r->boot_folder);
                free(r->boot_id);
                r->boot_folder = old_folder;
                r->boot_id = old_id;
                return -1;
        }
        free(old_id);
        if (!b->folder)
                return 0;
        log_info("VM '%s': boots kernel and initrd '%s' from now on", r->name, r->boot_id);
        free(old_folder);
        free(take_ptr(b->folder)); /* it stays */
        boot_remove_left(r, b->vm->folder);
        return 0;
}

/* ---- the answer */

/* What create has taken out has no id yet: files of the same sizes are those. */
static bool as_created(const struct boot_refresh *b)
{
        const struct vm_record *r = &b->vm->record;
        autofree char *kernel = xasprintf("%s/kernel", b->vm->folder), *initrd = xasprintf("%s/initrd", b->vm->folder);
        struct stat k, i;

        return !r->boot_id && !r->boot_folder && stat(kernel, &k) == 0 && stat(initrd, &i) == 0 &&
               (uint64_t)k.st_size == json_get_u64(b->wish, "kernelSize", 0) &&
               (uint64_t)i.st_size == json_get_u64(b->wish, "initrdSize", 0);
}

static int read_answer(struct boot_refresh *b, struct error *err)
{
        char text[ANSWER_MAX];
        ssize_t n = pread(b->fd, text, sizeof(text), 0);

        if (n < 0)
                return error_errno(err, errno, "cannot read what the agent said");
        b->wish = json_parse(text, (size_t)n, err);
        return b->wish ? 0 : -1;
}

/* 1: there is nothing to fetch. */
static int on_answer(struct boot_refresh *b, struct error *err)
{
        const char *id;

        if (read_answer(b, err) < 0)
                return -1;
        id = json_get_string(b->wish, "id", "");
        if (!*id || !json_get_string(b->wish, "kernel", NULL) || !json_get_string(b->wish, "initrd", NULL))
                return error_set(err, ERR_PROTOCOL, "what the agent said is not understood");
        if (streq(id, b->vm->record.boot_id))
                return 1;
        if (as_created(b))
                return commit(b, err) < 0 ? -1 : 1;
        b->folder = xasprintf("%s/" BOOT_FOLDER_PREFIX "XXXXXX", b->vm->folder);
        if (!mkdtemp(b->folder) || chmod(b->folder, geteuid() == 0 ? 0711 : 0700) < 0) /* QEMU may be another user's */
                return error_errno(err, errno, "cannot make '%s'", b->folder);
        return fetch(b, "kernel", err);
}

static int next(struct boot_refresh *b, struct error *err)
{
        if (!b->wish)
                return on_answer(b, err);
        if (check(b, err) < 0)
                return -1;
        if (streq(b->file, "kernel"))
                return fetch(b, "initrd", err);
        return commit(b, err) < 0 ? -1 : 1;
}

static void on_executed(void *userdata, const struct error *failed)
{
        struct boot_refresh *b = userdata;
        struct error err = ERROR_INIT;
        int r;

        b->exec = NULL;
        if (failed) {
                give_up(b, failed);
                return;
        }
        r = next(b, &err);
        if (r < 0)
                give_up(b, &err);
        else if (r > 0)
                end(b);
}

struct boot_refresh *boot_refresh_start(struct vm *vm, boot_refresh_fn done)
{
        char *const argv[] = {(char *)"/proc/self/exe", (char *)"--boot", NULL};
        struct boot_refresh *b = xcalloc(1, sizeof(*b));
        struct error err = ERROR_INIT;

        b->vm = vm;
        b->done = done;
        b->fd = memfd_create("initvm-boot", MFD_CLOEXEC);
        if (b->fd >= 0 && execute(b, argv, &err) == 0)
                return b;
        boot_refresh_cancel(b);
        return NULL;
}

void boot_remove_left(const struct vm_record *r, const char *folder)
{
        DIR *d = opendir(folder);

        for (struct dirent *e; d && (e = readdir(d));) {
                autofree char *path = xasprintf("%s/%s", folder, e->d_name);

                if (str_has_prefix(e->d_name, BOOT_FOLDER_PREFIX) && !streq(e->d_name, r->boot_folder))
                        tree_remove(path, NULL);
        }
        if (d)
                closedir(d);
}
