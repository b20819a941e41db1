/* SPDX-License-Identifier: MIT */
#include "job/emulation.h"

#include "base/file.h"
#include "base/util.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_MAX   8             /* of groups in groups: nspawn's and systemd's own are three */
#define THREADS_MAX (1024u << 10) /* bytes of cgroup.threads */
#define STAT_MAX    512           /* up to the state: the number and a name of 15 bytes */

/* proc_pid_stat(5): the third field, behind the name, which may hold anything. */
static bool is_running(const char *thread)
{
        autofree char *path = xasprintf("/proc/%s/stat", thread);
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        char text[STAT_MAX];
        ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
        const char *end = n > 0 ? memrchr(text, ')', (size_t)n) : NULL;

        return end && end + 2 < text + n && end[2] == 'R';
}

/* By binfmt_misc's interpreters: Debian's are all called so, behind links as well. */
static bool is_emulated(const char *thread)
{
        autofree char *path = xasprintf("/proc/%s/exe", thread);
        char target[PATH_MAX];
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        const char *name;

        if (n <= 0)
                return false;
        target[n] = '\0';
        name = strrchr(target, '/');
        return str_has_prefix(name ? name + 1 : target, "qemu-");
}

static void sample(struct emulation *e, const char *cgroup, unsigned depth)
{
        autofree char *path = xasprintf("%s/cgroup.threads", cgroup), *text = file_read(path, THREADS_MAX, NULL, NULL);
        autostrv char **threads = strv_split(text ? text : "", "\n");
        autofree char *self = xasprintf("%d", getpid());
        DIR *folder = depth < DEPTH_MAX ? opendir(cgroup) : NULL;
        struct dirent *d;

        for (char **thread = threads; *thread; thread++) {
                if (streq(*thread, self) || !is_running(*thread))
                        continue;
                e->running++;
                e->emulated += is_emulated(*thread);
        }
        while (folder && (d = readdir(folder))) {
                if (d->d_type == DT_DIR && d->d_name[0] != '.') {
                        autofree char *below = xasprintf("%s/%s", cgroup, d->d_name);
                        sample(e, below, depth + 1);
                }
        }
        if (folder)
                closedir(folder);
}

void emulation_sample(struct emulation *e, const char *cgroup)
{
        sample(e, cgroup, 0);
}
