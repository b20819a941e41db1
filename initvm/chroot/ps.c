/* SPDX-License-Identifier: MIT */
/*
 * The processes of the machine, and in which chroot each of them is.  That is told by the filesystem of its root folder: each
 * overlay is one of its own.  Kernel threads are left out.
 */
#include "base/file.h"
#include "chroot/command_private.h"
#include "chroot/overlay.h"

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define COMMAND_SHOWN 4096

struct roots {
        struct root {
                dev_t device;
                char *chroot;
        } * v;
        size_t n;
};

static int is_name(const struct dirent *d)
{
        return d->d_name[0] != '.';
}

/* The mounted overlays. */
static void find_roots(const struct store *s, struct roots *ret)
{
        struct dirent **found = NULL;
        int n = scandir(s->mounts, &found, is_name, NULL);

        for (int i = 0; i < n; i++) {
                autofree char *root = xasprintf("%s/%s/root", s->mounts, found[i]->d_name);
                autofree char *chroot = overlay_chroot(s, found[i]->d_name);
                struct stat st;

                free(found[i]);
                if (!chroot || stat(root, &st) < 0)
                        continue;
                ret->v = xrealloc(ret->v, ret->n + 1, sizeof(*ret->v));
                ret->v[ret->n++] = (struct root){.device = st.st_dev, .chroot = take_ptr(chroot)};
        }
        free(found);
}

static const char *chroot_of(const struct roots *roots, const char *pid)
{
        autofree char *path = xasprintf("/proc/%s/root/.", pid);
        struct stat st;

        if (stat(path, &st) < 0)
                return NULL;
        for (size_t i = 0; i < roots->n; i++)
                if (roots->v[i].device == st.st_dev)
                        return roots->v[i].chroot;
        return NULL;
}

/* The command line with blanks between the arguments; NULL for a kernel thread, and for a process that has ended. Owned. */
static char *command_of(const char *pid)
{
        autofree char *path = xasprintf("/proc/%s/cmdline", pid);
        size_t n = 0;
        char *text = file_read(path, COMMAND_SHOWN * 64, &n, NULL);

        while (text && n > 0 && text[n - 1] == '\0')
                n--;
        if (!text || n == 0) {
                free(text);
                return NULL;
        }
        for (size_t i = 0; i < n; i++)
                if (text[i] == '\0')
                        text[i] = ' ';
        text[MIN(n, (size_t)COMMAND_SHOWN)] = '\0';
        return text;
}

/* By the users of the machine: those of a chroot are its own, and may have the same numbers. */
static void add_user(struct json_object *o, uid_t uid)
{
        autofclose FILE *f = fopen("/etc/passwd", "re");
        struct passwd *entry;

        json_add_u64(o, "uid", uid);
        while (f && (entry = fgetpwent(f)))
                if (entry->pw_uid == uid) {
                        json_add_string(o, "user", entry->pw_name);
                        return;
                }
}

static void print_process(const struct roots *roots, const char *pid)
{
        autofree char *path = xasprintf("/proc/%s", pid), *command = command_of(pid);
        autojson struct json_object *o = json_new();
        const char *chroot = chroot_of(roots, pid);
        uint64_t number = 0;
        struct stat st;

        if (!command || stat(path, &st) < 0 || parse_u64(pid, 1, UINT32_MAX, &number) < 0)
                return;
        json_add_u64(o, "pid", number);
        json_add_string(o, "chroot", chroot);
        if (chroot)
                json_add_u64(o, "uid", st.st_uid);
        else
                add_user(o, st.st_uid);
        json_add_string(o, "command", command);
        printf("%s\n", json_line(o));
}

int chroot_ps(struct chroot_command *c, struct error *err)
{
        struct roots roots = {0};
        DIR *d = opendir("/proc");
        struct dirent *e;

        if (!d)
                return error_errno(err, errno, "cannot read '/proc'");
        find_roots(c->store, &roots);
        while ((e = readdir(d)))
                if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
                        print_process(&roots, e->d_name);
        closedir(d);
        for (size_t i = 0; i < roots.n; i++)
                free(roots.v[i].chroot);
        free(roots.v);
        return 0;
}
