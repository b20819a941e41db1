/* SPDX-License-Identifier: MIT */
/*
 * What an interrupted create leaves: processes (known by RUN_FOLDER_VARIABLE in their environment), a folder, and for an
 * ordinary user a second folder whose files belong to ids of a user namespace.
 */
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "daemon/create.h"
#include "io/run.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENVIRONMENT_MAX (256u * 1024) /* of a process; a larger one is not ours */
#define TERM_GRACE_MS   10000         /* provisioning unmounts and removes what it made before it goes */
#define KILL_GRACE_MS   5000

static bool belongs_to(pid_t pid, const char *mark)
{
        autofree char *path = xasprintf("/proc/%d/environ", pid);
        size_t n = 0, length = strlen(mark) + 1;
        autofree char *environment = file_read(path, ENVIRONMENT_MAX, &n, NULL);

        return environment && n >= length && memmem(environment, n + 1, mark, length) != NULL;
}

/* Sends the signal to every process of the create and waits, bounded, until they are gone. True when none is left. */
static bool end_processes(const char *mark, int signo, uint64_t grace_ms)
{
        uint64_t deadline = now_ms() + grace_ms;
        struct pollfd fds[64];
        size_t n = 0;
        DIR *proc = opendir("/proc");
        struct dirent *e;

        if (!proc)
                return true;
        while ((e = readdir(proc)) && n < ARRAY_SIZE(fds)) {
                uint64_t pid;
                if (parse_u64(e->d_name, 2, INT32_MAX, &pid) < 0 || (pid_t)pid == getpid() || !belongs_to((pid_t)pid, mark))
                        continue;
                fds[n].fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
                fds[n].events = POLLIN;
                if (fds[n].fd < 0)
                        continue;
                syscall(SYS_pidfd_send_signal, fds[n].fd, signo, NULL, 0);
                n++;
        }
        closedir(proc);
        bool all = true;
        for (size_t i = 0; i < n; i++) {
                uint64_t now = now_ms();
                all &= poll(&fds[i], 1, now < deadline ? (int)(deadline - now) : 0) == 1;
                close(fds[i].fd);
        }
        return all;
}

/* The user-namespace folder named in `tmpdir`; only one that we can have made is touched. */
static void remove_foreign_folder(const char *folder)
{
        autofree char *note = xasprintf("%s/tmpdir", folder);
        autofree char *path = file_read(note, 4096, NULL, NULL);
        struct error err = ERROR_INIT;
        const char *base;
        struct stat st;
        pid_t pid;

        if (!path)
                return;
        path[strcspn(path, "\n")] = '\0';
        base = strrchr(path, '/');
        if (path[0] != '/' || !base || !str_has_prefix(base + 1, "initvm") || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) ||
            st.st_uid != geteuid())
                return;
        /* Inside the namespace its content can be removed once its root may list it; the folder itself is ours. */
        if (chmod(path, 0755) < 0)
                log_warning("cannot open '%s' for removing: %s", path, strerror(errno));
        char *argv[] = {(char *)"mmdebstrap",
                        (char *)"--unshare-helper",
                        (char *)"rm",
                        (char *)"-rf",
                        (char *)"--one-file-system",
                        (char *)"--",
                        path,
                        NULL};
        if (process_spawn(argv, NULL, &pid, &err) == 0)
                while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        if (tree_remove(path, &err) < 0)
                log_warning("%s", err.message);
}

/* All of a create in this folder, whoever started them. */
static void end_all_processes(const char *folder)
{
        autofree char *mark = xasprintf(RUN_FOLDER_VARIABLE "=%s", folder);

        if (!end_processes(mark, SIGTERM, TERM_GRACE_MS))
                end_processes(mark, SIGKILL, KILL_GRACE_MS);
        end_processes(mark, SIGKILL, KILL_GRACE_MS); /* what an ended one had started */
}

int create_keep_remains(const char *folder, const char *to, bool everything, struct error *err)
{
        static const char *const logs[] = {"console.log", "console.log.1", "installer.log", "provision.log"};

        if (tree_remove(to, err) < 0 || dir_make(to, 0700, err) < 0)
                return -1;
        if (everything) {
                end_all_processes(folder);
                remove_foreign_folder(folder); /* whose name nobody would know any more */
                return rename(folder, to) < 0 ? error_errno(err, errno, "cannot keep '%s'", folder) : 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(logs); i++) {
                autofree char *from = xasprintf("%s/%s", folder, logs[i]), *kept = xasprintf("%s/%s", to, logs[i]);

                if (rename(from, kept) < 0 && errno != ENOENT)
                        return error_errno(err, errno, "cannot keep '%s'", from);
        }
        return 0;
}

int create_remove_remains(const char *folder, struct error *err)
{
        struct stat st;

        if (lstat(folder, &st) < 0)
                return 0;
        end_all_processes(folder);
        remove_foreign_folder(folder);
        return tree_remove(folder, err);
}
