/* SPDX-License-Identifier: MIT */
#include "io/loop.h"

#include "base/process.h"
#include "base/util.h"
#include "scratch.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A loop that never quits fails the test instead of hanging it. */
#define WATCHDOG_MS 20000

struct fixture {
        struct loop *loop;
        struct loop_source *watchdog;
        size_t fds;
        bool barked;
};

static void bark(void *userdata)
{
        struct fixture *f = userdata;

        f->barked = true;
        loop_quit(f->loop, -99);
}

static int setup(void **state)
{
        struct fixture *f = xcalloc(1, sizeof(*f));

        f->fds = scratch_open_fds();
        f->loop = loop_new();
        f->watchdog = loop_add_timer(f->loop, bark, f);
        loop_timer_arm(f->watchdog, WATCHDOG_MS);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        bool fine = !f->barked;

        loop_source_free(f->watchdog);
        loop_free(f->loop);
        fine &= scratch_open_fds() == f->fds;
        free(f);
        return fine ? 0 : -1;
}

/* Two pipes become readable in the same round; whichever is called first frees the other. */
struct pair {
        struct loop *loop;
        struct loop_source *sources[2];
        int pipes[2][2];
        int calls;
};

static void free_both(struct pair *p)
{
        p->calls++;
        for (int i = 0; i < 2; i++)
                loop_source_free(p->sources[i]); /* its own one as well, from its callback */
}

static void on_pair(void *userdata, uint32_t events)
{
        struct pair *p = userdata;

        assert_true(events & EPOLLIN);
        free_both(p);
        /* Memory that is used again must not be taken for the freed one. */
        for (int i = 0; i < 2; i++) {
                assert_int_equal(close(p->pipes[i][0]), 0);
                p->sources[i] = NULL;
        }
}

static void test_freed_in_same_round(void **state)
{
        struct fixture *f = *state;
        struct pair p = {.loop = f->loop};

        for (int i = 0; i < 2; i++) {
                assert_int_equal(pipe2(p.pipes[i], O_CLOEXEC), 0);
                p.sources[i] = loop_add_fd(f->loop, p.pipes[i][0], EPOLLIN, on_pair, &p);
                assert_int_equal(write(p.pipes[i][1], "x", 1), 1);
        }
        for (int i = 0; i < 3; i++)
                loop_dispatch(f->loop);
        assert_int_equal(p.calls, 1);
        close(p.pipes[0][1]);
        close(p.pipes[1][1]);
}

static void on_pair_timer(void *userdata)
{
        free_both(userdata);
}

static void test_freed_timer_in_same_round(void **state)
{
        struct fixture *f = *state;
        struct pair p = {.loop = f->loop};
        uint64_t start = now_ms();

        for (int i = 0; i < 2; i++) {
                p.sources[i] = loop_add_timer(f->loop, on_pair_timer, &p);
                loop_timer_arm(p.sources[i], 0);
        }
        while (now_ms() < start + 5) /* both have expired before the round */
                ;
        for (int i = 0; i < 3; i++)
                loop_dispatch(f->loop);
        assert_int_equal(p.calls, 1);
        loop_source_free(NULL);
}

static void count(void *userdata)
{
        ++*(int *)userdata;
}

struct disarm {
        struct loop_source *other;
        int calls;
};

static void disarm_other(void *userdata)
{
        struct disarm *d = userdata;

        d->calls++;
        loop_timer_disarm(d->other);
}

/* Disarmed and armed again in the round in which they had expired: as if they had not. */
static void test_disarmed_in_same_round(void **state)
{
        struct fixture *f = *state;
        struct disarm a = {0}, b = {0};
        struct loop_source *first = loop_add_timer(f->loop, disarm_other, &a);
        struct loop_source *second = loop_add_timer(f->loop, disarm_other, &b);
        uint64_t start = now_ms();

        a.other = second;
        b.other = first;
        loop_timer_arm(first, 0);
        loop_timer_arm(second, 0);
        while (now_ms() < start + 5)
                ;
        for (int i = 0; i < 3; i++)
                loop_dispatch(f->loop);
        assert_int_equal(a.calls + b.calls, 1);
        loop_source_free(first);
        loop_source_free(second);
}

struct ticks {
        struct loop *loop;
        struct loop_source *timer;
        uint64_t armed_at, fired_at;
        int calls;
};

static void on_tick(void *userdata)
{
        struct ticks *t = userdata;

        t->calls++;
        t->fired_at = now_ms();
        loop_quit(t->loop, 40 + t->calls);
}

static void test_timer(void **state)
{
        struct fixture *f = *state;
        struct ticks t = {.loop = f->loop};

        t.timer = loop_add_timer(f->loop, on_tick, &t);
        loop_dispatch(f->loop);
        assert_int_equal(t.calls, 0); /* made disarmed */
        t.armed_at = now_ms();
        loop_timer_arm(t.timer, WATCHDOG_MS * 2);
        loop_timer_arm(t.timer, 30); /* replaces */
        assert_int_equal(loop_run(f->loop), 41);
        assert_true(t.fired_at >= t.armed_at + 29);
        for (int i = 0; i < 3; i++)
                loop_dispatch(f->loop);
        assert_int_equal(t.calls, 1); /* one-shot */
        loop_timer_arm(t.timer, 0);   /* at once, not never */
        assert_int_equal(loop_run(f->loop), 42);
        loop_source_free(t.timer);
}

static void on_signal(void *userdata)
{
        struct ticks *t = userdata;

        t->calls++;
        loop_quit(t->loop, 7);
}

static void test_signal(void **state)
{
        struct fixture *f = *state;
        struct ticks t = {.loop = f->loop};
        sigset_t mask, saved;

        sigemptyset(&mask);
        sigaddset(&mask, SIGUSR1);
        sigprocmask(SIG_BLOCK, &mask, &saved);
        t.timer = loop_add_signal(f->loop, SIGUSR1, on_signal, &t);
        kill(getpid(), SIGUSR1);
        assert_int_equal(loop_run(f->loop), 7);
        assert_int_equal(t.calls, 1);
        loop_source_free(t.timer);
        sigprocmask(SIG_SETMASK, &saved, NULL);
}

struct child {
        struct loop *loop;
        int calls, status;
};

static void on_child(void *userdata, int wait_status)
{
        struct child *c = userdata;

        c->calls++;
        c->status = wait_status;
        loop_quit(c->loop, 0);
}

static pid_t spawn_shell(const char *script)
{
        char *const argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)script, NULL};
        pid_t pid = -1;

        assert_int_equal(process_spawn(argv, NULL, &pid, NULL), 0);
        return pid;
}

static void test_child(void **state)
{
        struct fixture *f = *state;
        struct child c = {.loop = f->loop};
        siginfo_t info;
        int status;
        /* One that ended before it was watched, and one that nobody watches. */
        pid_t other = spawn_shell("exit 5"), pid = spawn_shell("exit 3");

        assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
        assert_int_equal(waitid(P_PID, (id_t)other, &info, WEXITED | WNOWAIT), 0);
        struct loop_source *s = loop_add_child(f->loop, pid, on_child, &c);
        assert_int_equal(loop_run(f->loop), 0);
        assert_int_equal(WEXITSTATUS(c.status), 3);
        for (int i = 0; i < 3; i++)
                loop_dispatch(f->loop);
        assert_int_equal(c.calls, 1);
        assert_int_equal(waitpid(pid, &status, WNOHANG), -1); /* reaped */
        assert_int_equal(waitpid(other, &status, 0), other);  /* left alone */
        loop_source_free(s);

        pid = spawn_shell("exec sleep 60");
        s = loop_add_child(f->loop, pid, on_child, &c);
        loop_dispatch(f->loop);
        assert_int_equal(c.calls, 1);
        kill(pid, SIGKILL);
        assert_int_equal(loop_run(f->loop), 0);
        assert_int_equal(c.calls, 2);
        assert_true(WIFSIGNALED(c.status) && WTERMSIG(c.status) == SIGKILL);
        loop_source_free(s);
}

/* A child whose source is freed is not reaped by the loop. */
static void test_child_unwatched(void **state)
{
        struct fixture *f = *state;
        struct child c = {.loop = f->loop};
        siginfo_t info;
        pid_t pid = spawn_shell("exit 4");
        struct loop_source *s = loop_add_child(f->loop, pid, on_child, &c);

        assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
        loop_source_free(s);
        loop_dispatch(f->loop);
        assert_int_equal(c.calls, 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

#define THREADS 4
#define POSTS   2000

struct post {
        struct poster *poster;
        int number;
};

struct poster {
        struct loop *loop;
        pthread_t thread, main;
        struct post posts[POSTS];
        int expected;
        int *left;
};

static void on_post(void *userdata)
{
        struct post *p = userdata;

        assert_true(pthread_equal(pthread_self(), p->poster->main));
        assert_int_equal(p->number, p->poster->expected++); /* each thread's in its order */
        if (--*p->poster->left == 0)
                loop_quit(p->poster->loop, 0);
}

static void *post_all(void *userdata)
{
        struct poster *p = userdata;

        for (int i = 0; i < POSTS; i++) {
                p->posts[i] = (struct post){p, i};
                loop_post(p->loop, on_post, &p->posts[i]);
        }
        return NULL;
}

static void test_posts_from_threads(void **state)
{
        struct fixture *f = *state;
        struct poster *posters = xcalloc(THREADS, sizeof(*posters));
        int left = THREADS * POSTS;

        for (int i = 0; i < THREADS; i++) {
                posters[i].loop = f->loop;
                posters[i].main = pthread_self();
                posters[i].left = &left;
                assert_int_equal(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
        }
        assert_int_equal(loop_run(f->loop), 0);
        for (int i = 0; i < THREADS; i++) {
                pthread_join(posters[i].thread, NULL);
                assert_int_equal(posters[i].expected, POSTS);
        }
        assert_int_equal(left, 0);
        free(posters);
}

static void post_again(void *userdata)
{
        struct ticks *t = userdata;

        if (++t->calls < 3)
                loop_post(t->loop, post_again, t);
}

/* A post from a post is for the next round, so that other sources get their turn; those that are left are dropped. */
static void test_post_from_post(void **state)
{
        struct fixture *f = *state;
        struct ticks t = {.loop = f->loop};
        struct loop *other = loop_new();
        int calls = 0;

        loop_post(f->loop, post_again, &t);
        for (int i = 1; i <= 3; i++) {
                loop_dispatch(f->loop);
                assert_int_equal(t.calls, i);
        }
        loop_post(other, count, &calls);
        loop_post(other, count, &calls);
        loop_free(other);
        loop_free(NULL);
        assert_int_equal(calls, 0);
}

static void on_events(void *userdata, uint32_t events)
{
        *(uint32_t *)userdata = events;
}

static void test_fd_events(void **state)
{
        struct fixture *f = *state;
        int fds[2];
        uint32_t seen = 0;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        struct loop_source *s = loop_add_fd(f->loop, fds[0], 0, on_events, &seen);
        assert_int_equal(write(fds[1], "x", 1), 1);
        loop_dispatch(f->loop);
        assert_int_equal(seen, 0);
        loop_fd_set_events(s, EPOLLIN);
        loop_dispatch(f->loop);
        assert_int_equal(seen, EPOLLIN);
        loop_fd_set_events(s, 0);
        close(fds[1]);
        seen = 0;
        loop_dispatch(f->loop);
        assert_int_equal(seen, EPOLLHUP); /* always told */
        loop_source_free(s);
        assert_true(fcntl(fds[0], F_GETFD) >= 0); /* the fd stays the caller's */
        close(fds[0]);
}

/* As within another loop: its fd says when there is something to do. */
static void test_nested(void **state)
{
        struct fixture *f = *state;
        struct loop *inner = loop_new();
        struct epoll_event ev;
        int calls = 0;
        (void)f;

        assert_int_equal(fcntl(loop_epoll_fd(inner), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        int outer = epoll_create1(EPOLL_CLOEXEC);
        ev = (struct epoll_event){.events = EPOLLIN};
        assert_int_equal(epoll_ctl(outer, EPOLL_CTL_ADD, loop_epoll_fd(inner), &ev), 0);
        assert_int_equal(epoll_wait(outer, &ev, 1, 0), 0);
        loop_post(inner, count, &calls);
        assert_int_equal(epoll_wait(outer, &ev, 1, 1000), 1);
        loop_dispatch(inner);
        assert_int_equal(calls, 1);
        assert_int_equal(epoll_wait(outer, &ev, 1, 0), 0);
        close(outer);
        loop_free(inner);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_freed_in_same_round, setup, teardown),
                cmocka_unit_test_setup_teardown(test_freed_timer_in_same_round, setup, teardown),
                cmocka_unit_test_setup_teardown(test_disarmed_in_same_round, setup, teardown),
                cmocka_unit_test_setup_teardown(test_timer, setup, teardown),
                cmocka_unit_test_setup_teardown(test_signal, setup, teardown),
                cmocka_unit_test_setup_teardown(test_child, setup, teardown),
                cmocka_unit_test_setup_teardown(test_child_unwatched, setup, teardown),
                cmocka_unit_test_setup_teardown(test_posts_from_threads, setup, teardown),
                cmocka_unit_test_setup_teardown(test_post_from_post, setup, teardown),
                cmocka_unit_test_setup_teardown(test_fd_events, setup, teardown),
                cmocka_unit_test_setup_teardown(test_nested, setup, teardown),
        };

        return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
