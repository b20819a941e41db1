/* SPDX-License-Identifier: MIT */
#include "io/loop.h"

#include "base/util.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Events taken from the kernel at once; more simply come in the next round. */
#define EVENTS_AT_ONCE 64

enum source_type { SOURCE_FD, SOURCE_TIMER, SOURCE_SIGNAL, SOURCE_CHILD, SOURCE_POSTS };

/*
 * Every source is an fd in the epoll set.  A freed one leaves the set at once, but its memory stays on the `dead` list until the
 * round is over: events of it that were already fetched then find `dead` set and are passed over.
 */
struct loop_source {
        struct loop *loop;
        enum source_type type;
        int fd;
        bool own_fd;
        bool dead;
        pid_t pid;
        union {
                loop_fd_fn fd_fn;
                loop_fn fn;
                loop_child_fn child_fn;
        };
        void *userdata;
        struct loop_source *next_dead;
};

struct post {
        loop_fn fn;
        void *userdata;
        struct post *next;
};

struct loop {
        int epoll_fd;
        bool quit;
        int status;
        struct loop_source *dead;
        struct loop_source *posts_source;
        pthread_mutex_t posts_lock;
        struct post *posts_first;
        struct post **posts_end;
};

static struct loop_source *source_new(struct loop *loop, enum source_type type, int fd, bool own_fd, uint32_t events,
                                      void *userdata)
{
        struct loop_source *s = xcalloc(1, sizeof(*s));
        struct epoll_event ev = {.events = events, .data.ptr = s};

        if (fd < 0)
                abort(); /* out of file descriptors: limits on clients and streams keep us far from it */
        s->loop = loop;
        s->type = type;
        s->fd = fd;
        s->own_fd = own_fd;
        s->userdata = userdata;
        if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
                abort(); /* EPERM: a regular file; EEXIST: added twice; both are errors of ours */
        return s;
}

static void run_posts(struct loop *loop)
{
        struct post *p;
        uint64_t ignored;

        if (read(loop->posts_source->fd, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
                abort();
        pthread_mutex_lock(&loop->posts_lock);
        p = loop->posts_first;
        loop->posts_first = NULL;
        loop->posts_end = &loop->posts_first;
        pthread_mutex_unlock(&loop->posts_lock);
        while (p) {
                struct post *next = p->next;
                p->fn(p->userdata);
                free(p);
                p = next;
        }
}

struct loop *loop_new(void)
{
        struct loop *loop = xcalloc(1, sizeof(*loop));

        loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (loop->epoll_fd < 0)
                abort();
        pthread_mutex_init(&loop->posts_lock, NULL);
        loop->posts_end = &loop->posts_first;
        loop->posts_source = source_new(loop, SOURCE_POSTS, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), true, EPOLLIN, NULL);
        return loop;
}

static void bury_dead(struct loop *loop)
{
        while (loop->dead) {
                struct loop_source *s = loop->dead;
                loop->dead = s->next_dead;
                free(s);
        }
}

void loop_free(struct loop *loop)
{
        if (!loop)
                return;
        loop_source_free(loop->posts_source);
        bury_dead(loop);
        while (loop->posts_first) {
                struct post *p = loop->posts_first;
                loop->posts_first = p->next;
                free(p);
        }
        pthread_mutex_destroy(&loop->posts_lock);
        close(loop->epoll_fd);
        free(loop);
}

static void dispatch(struct loop_source *s, uint32_t events)
{
        uint64_t expirations;
        struct signalfd_siginfo info;
        int status;

        switch (s->type) {
        case SOURCE_FD:
                s->fd_fn(s->userdata, events);
                break;
        case SOURCE_TIMER:
                if (read(s->fd, &expirations, sizeof(expirations)) == (ssize_t)sizeof(expirations))
                        s->fn(s->userdata);
                break;
        case SOURCE_SIGNAL:
                if (read(s->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
                        s->fn(s->userdata);
                break;
        case SOURCE_CHILD:
                /* Unwatched before the callback: a pidfd stays readable for ever. */
                if (waitpid(s->pid, &status, WNOHANG) != s->pid)
                        break;
                epoll_ctl(s->loop->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
                s->child_fn(s->userdata, status);
                break;
        case SOURCE_POSTS:
                run_posts(s->loop);
                break;
        }
}

static void run_round(struct loop *loop, int timeout)
{
        struct epoll_event events[EVENTS_AT_ONCE];
        int n = epoll_wait(loop->epoll_fd, events, EVENTS_AT_ONCE, timeout);

        if (n < 0 && errno != EINTR)
                abort();
        for (int i = 0; i < n && !loop->quit; i++) {
                struct loop_source *s = events[i].data.ptr;
                if (!s->dead)
                        dispatch(s, events[i].events);
        }
        bury_dead(loop);
}

int loop_run(struct loop *loop)
{
        loop->quit = false;
        while (!loop->quit)
                run_round(loop, -1);
        return loop->status;
}

int loop_epoll_fd(struct loop *loop)
{
        return loop->epoll_fd;
}

void loop_dispatch(struct loop *loop)
{
        run_round(loop, 0);
}

void loop_quit(struct loop *loop, int status)
{
        loop->quit = true;
        loop->status = status;
}

struct loop_source *loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *userdata)
{
        struct loop_source *s = source_new(loop, SOURCE_FD, fd, false, events, userdata);

        s->fd_fn = fn;
        return s;
}

void loop_fd_set_events(struct loop_source *source, uint32_t events)
{
        struct epoll_event ev = {.events = events, .data.ptr = source};

        if (epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &ev) < 0)
                abort();
}

struct loop_source *loop_add_timer(struct loop *loop, loop_fn fn, void *userdata)
{
        int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
        struct loop_source *s = source_new(loop, SOURCE_TIMER, fd, true, EPOLLIN, userdata);

        s->fn = fn;
        return s;
}

void loop_timer_arm(struct loop_source *source, uint64_t after_ms)
{
        struct itimerspec spec = {
                .it_value = {.tv_sec = (time_t)(after_ms / 1000), .tv_nsec = (long)(after_ms % 1000) * 1000000}};

        if (after_ms == 0)
                spec.it_value.tv_nsec = 1; /* zero would disarm it: timerfd_settime(2) */
        if (timerfd_settime(source->fd, 0, &spec, NULL) < 0)
                abort();
}

void loop_timer_disarm(struct loop_source *source)
{
        const struct itimerspec spec = {0};

        if (timerfd_settime(source->fd, 0, &spec, NULL) < 0)
                abort();
}

struct loop_source *loop_add_signal(struct loop *loop, int signo, loop_fn fn, void *userdata)
{
        sigset_t mask;
        struct loop_source *s;

        sigemptyset(&mask);
        sigaddset(&mask, signo);
        s = source_new(loop, SOURCE_SIGNAL, signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK), true, EPOLLIN, userdata);
        s->fn = fn;
        return s;
}

struct loop_source *loop_add_child(struct loop *loop, pid_t pid, loop_child_fn fn, void *userdata)
{
        int fd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself: pidfd_open(2) */
        struct loop_source *s = source_new(loop, SOURCE_CHILD, fd, true, EPOLLIN, userdata);

        s->pid = pid;
        s->child_fn = fn;
        return s;
}

void loop_post(struct loop *loop, loop_fn fn, void *userdata)
{
        struct post *p = xcalloc(1, sizeof(*p));
        const uint64_t one = 1;

        p->fn = fn;
        p->userdata = userdata;
        pthread_mutex_lock(&loop->posts_lock);
        *loop->posts_end = p;
        loop->posts_end = &p->next;
        if (write(loop->posts_source->fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
                abort();
        pthread_mutex_unlock(&loop->posts_lock);
}

void loop_source_free(struct loop_source *s)
{
        if (!s || s->dead)
                return;
        epoll_ctl(s->loop->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL); /* a child that has ended has left already */
        if (s->own_fd)
                close(s->fd);
        s->dead = true;
        s->next_dead = s->loop->dead;
        s->loop->dead = s;
}
