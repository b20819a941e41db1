/* SPDX-License-Identifier: MIT */
/*
 * Entries are made from files in /run/binfmt.d, which systemd-binfmt reads like those in /etc and /usr/lib: they belong to this
 * boot, as the proof does.  In /etc they would outlive the package that brought the emulator, and would hide what its next
 * version says; and what the administrator has written there is the administrator's.
 */
#include "agent/binfmt_look.h"

#include "base/file.h"
#include "base/process.h"
#include "base/util.h"
#include "binfmt/file_kind.h"
#include "binfmt/proof.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONFIG_FOLDER "/run/binfmt.d"

/* f_type of the file system: linux/magic.h. */
#define BINFMTFS_MAGIC 0x42494e4d

/* It only writes some lines into a file of the kernel's. */
#define REGISTER_DEADLINE_MS 15000

/* Where systemd's automount watches over the folder, opening something in it is what mounts it. */
static bool is_mounted(void)
{
        autoclose int fd = open(BINFMT_FOLDER "/status", O_RDONLY | O_CLOEXEC);
        struct statfs fs;

        return fd >= 0 && fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == BINFMTFS_MAGIC;
}

int binfmt_mount(struct error *err)
{
        if (is_mounted() || mount("binfmt_misc", BINFMT_FOLDER, "binfmt_misc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0)
                return 0;
        return error_errno(err, errno, "cannot mount binfmt_misc on '" BINFMT_FOLDER "' in the VM");
}

static void read_entry(struct binfmt_look *l, const char *name)
{
        autofree char *path = xasprintf(BINFMT_FOLDER "/%s", name);
        autofree char *text = file_read(path, BINFMT_TEXT_MAX, NULL, NULL);
        struct binfmt_found found = {0};

        if (!text || binfmt_entry_parse(name, text, &found.entry, NULL) < 0)
                return;
        found.text = take_ptr(text);
        l->found = xrealloc(l->found, l->n + 1, sizeof(*l->found));
        l->found[l->n++] = found;
}

int binfmt_look(struct binfmt_look *ret, struct error *err)
{
        struct binfmt_look l = {0};
        DIR *d;

        if (!is_mounted())
                return error_set(err, ERR_STATE, "binfmt_misc is not mounted on '" BINFMT_FOLDER "' in the VM");
        d = opendir(BINFMT_FOLDER);
        if (!d)
                return error_errno(err, errno, "cannot read '" BINFMT_FOLDER "' in the VM");
        for (struct dirent *e; (e = readdir(d));)
                if (e->d_name[0] != '.' && !streq(e->d_name, "register") && !streq(e->d_name, "status"))
                        read_entry(&l, e->d_name);
        closedir(d);
        *ret = l;
        return 0;
}

void binfmt_look_done(struct binfmt_look *l)
{
        for (size_t i = 0; i < l->n; i++) {
                binfmt_entry_done(&l->found[i].entry);
                free(l->found[i].text);
        }
        free(l->found);
        *l = (struct binfmt_look){0};
}

const struct binfmt_found *binfmt_look_find(const struct binfmt_look *l, const struct architecture *a)
{
        autofree char *name = xasprintf("qemu-%s", a->qemu);
        uint8_t program[PROOF_SIZE_MAX];
        size_t n = proof_program(a, program);
        const struct binfmt_found *found = NULL;

        for (size_t i = 0; i < l->n; i++)
                if (binfmt_entry_matches(&l->found[i].entry, a->name, program, n) &&
                    (!found || streq(l->found[i].entry.name, name)))
                        found = &l->found[i];
        return found;
}

bool binfmt_look_matches(const struct binfmt_look *l, const char *name, const void *head, size_t n)
{
        for (size_t i = 0; i < l->n; i++)
                if (binfmt_entry_matches(&l->found[i].entry, name, head, n))
                        return true;
        return false;
}

static bool is_static_program(const char *path)
{
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        autofree uint8_t *head = xcalloc(FILE_HEAD_MAX, 1);
        autofree struct file_kind *kind = xcalloc(1, sizeof(*kind));
        ssize_t n = fd < 0 ? -1 : read(fd, head, FILE_HEAD_MAX);

        if (n < 0 || access(path, X_OK) < 0)
                return false;
        file_kind_read(head, (size_t)n, kind);
        return kind->type == FILE_PROGRAM && !kind->interpreter[0];
}

/* Debian's packages have links whose names end in -binfmt-P, by which their QEMU knows that argv[0] comes as the flag P has it (a
 * newer one knows by AT_FLAGS, too); Debian 12 and 13 differ in where they lead to. */
char *binfmt_interpreter(const struct architecture *a)
{
        static const char *const forms[] = {"/usr/libexec/qemu-binfmt/%s-binfmt-P", "/usr/bin/qemu-%s-static",
                                            "/usr/bin/qemu-%s"};

        for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
                autofree char *path = xasprintf(forms[i], a->qemu);

                if (is_static_program(path))
                        return take_ptr(path);
        }
        return NULL;
}

char *binfmt_masked(const struct architecture *a)
{
        autofree char *path = xasprintf("/etc/binfmt.d/qemu-%s.conf", a->qemu);
        char target[16] = "";

        if (readlink(path, target, sizeof(target) - 1) < 0 || !streq(target, "/dev/null"))
                return NULL;
        return take_ptr(path);
}

/* Waits for the child, and kills it when it is late. Returns its status as of waitpid(2). */
static int wait_child(pid_t pid, int deadline_ms)
{
        autoclose int process = pidfd_open(pid, 0);
        struct pollfd p = {.fd = process, .events = POLLIN};
        int status = 0;

        if (poll(&p, 1, deadline_ms) == 0)
                kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return status;
}

static int apply(char **argv, struct error *err)
{
        const struct process_fd fds[] = {{.from = STDERR_FILENO, .to = STDERR_FILENO}};
        const struct process_options options = {.fds = fds, .n_fds = ARRAY_SIZE(fds), .death_signal = SIGKILL};
        pid_t pid;
        int status;

        if (process_spawn(argv, &options, &pid, err) < 0)
                return error_prefix(err, "binfmt_misc entries are made by systemd");
        status = wait_child(pid, REGISTER_DEADLINE_MS);
        if (status != 0)
                return error_set(err, ERR_FAILED, "systemd-binfmt could not make the entries in '" CONFIG_FOLDER "': %s",
                                 process_status_text(status));
        return 0;
}

int binfmt_register(const struct architecture *const *wanted, size_t n, struct error *err)
{
        /* /lib is a link to /usr/lib on every Debian with a systemd that has this program there only. */
        autostrv char **argv = NULL;

        strv_add(&argv, "/lib/systemd/systemd-binfmt");
        if (dir_make(CONFIG_FOLDER, 0755, err) < 0)
                return -1;
        for (size_t i = 0; i < n; i++) {
                autofree char *interpreter = binfmt_interpreter(wanted[i]);
                autofree char *line = interpreter ? binfmt_config(wanted[i], interpreter) : NULL;
                autofree char *path = xasprintf(CONFIG_FOLDER "/qemu-%s.conf", wanted[i]->qemu);

                if (!line || strv_contains(argv, path))
                        continue;
                if (file_write_atomic(path, 0644, line, strlen(line), err) < 0)
                        return -1;
                strv_push(&argv, take_ptr(path));
        }
        return argv[1] ? apply(argv, err) : 0;
}
