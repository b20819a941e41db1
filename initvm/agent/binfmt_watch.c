/* SPDX-License-Identifier: MIT */
#include "agent/binfmt_watch.h"

#include "agent/binfmt.h"
#include "agent/port.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Where provision/guest_services.c puts it. */
#define INSTALLED "/usr/lib/initvm/initvm-agent"

struct binfmt_watch {
        struct agent *agent;
        int fd; /* inotify(7) */
        struct loop_source *source, *child;
};

/* What changed in the folder may be the lock: the file's own name counts. */
static bool is_state_written(int fd)
{
        _Alignas(struct inotify_event) char data[4096];
        bool written = false;
        ssize_t n;

        while ((n = read(fd, data, sizeof(data))) > 0)
                for (ssize_t at = 0; at < n;) {
                        const struct inotify_event *e = (const struct inotify_event *)(data + at);

                        written |= e->len > 0 && streq(e->name, strrchr(BINFMT_STATE, '/') + 1);
                        at += (ssize_t)(sizeof(*e) + e->len);
                }
        return written;
}

static void on_change(void *userdata, uint32_t events)
{
        struct binfmt_watch *w = userdata;

        (void)events;
        /* A successor will say it by itself; a Hello from us meanwhile would look as if the update had failed. */
        if (is_state_written(w->fd) && !w->agent->updating && !w->agent->new_program)
                mux_say_hello(w->agent->mux);
}

static void on_child(void *userdata, int wait_status)
{
        struct binfmt_watch *w = userdata;

        loop_source_free(take_ptr(w->child));
        if (wait_status != 0)
                log_warning("what the VM can execute is not known: %s", process_status_text(wait_status));
}

static void start_child(struct binfmt_watch *w)
{
        char *const argv[] = {(char *)"/proc/self/exe", (char *)"--binfmt", NULL};
        const struct process_fd fds[] = {{.from = STDERR_FILENO, .to = STDERR_FILENO}};
        const struct process_options options = {.fds = fds, .n_fds = ARRAY_SIZE(fds), .new_session = true};
        struct error err = ERROR_INIT;
        pid_t pid;

        if (process_spawn(argv, &options, &pid, &err) < 0)
                log_warning("%s", err.message);
        else
                w->child = loop_add_child(w->agent->loop, pid, on_child, w);
}

/* In a guest, whoever carries its port. */
static bool is_installed(void)
{
        char path[sizeof(INSTALLED)] = "";
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path));

        return n == (ssize_t)strlen(INSTALLED) && memcmp(path, INSTALLED, (size_t)n) == 0;
}

void binfmt_watch_start(struct agent *agent)
{
        bool ours = geteuid() == 0 && (agent->port->device || is_installed());
        struct binfmt_watch *w;
        int fd;

        if (ours && dir_make(BINFMT_STATE_FOLDER, 0755, NULL) < 0)
                return;
        fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (fd < 0 || inotify_add_watch(fd, BINFMT_STATE_FOLDER, IN_MOVED_TO) < 0) {
                cleanup_close(&fd);
                return;
        }
        w = xcalloc(1, sizeof(*w));
        w->agent = agent;
        w->fd = fd;
        w->source = loop_add_fd(agent->loop, fd, EPOLLIN, on_change, w);
        agent->binfmt = w;
        if (ours && access(BINFMT_STATE, F_OK) < 0)
                start_child(w);
}

void binfmt_watch_free(struct binfmt_watch *w)
{
        if (!w)
                return;
        loop_source_free(w->source);
        loop_source_free(w->child);
        close(w->fd);
        free(w);
}
