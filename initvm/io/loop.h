/* SPDX-License-Identifier: MIT */
/*
 * The event loop: epoll with fds, timers, signals, children and posts from other threads.  Single-threaded; only
 * loop_post() may be called from elsewhere.  A source may be freed at any time, also from its own callback or from that of
 * another source that became ready in the same round: a freed source is never called again.
 */
#pragma once

#include "base/error.h"

#include <stdint.h>
#include <sys/types.h>

struct loop;
struct loop_source;

struct loop *loop_new(void);       /* aborts when epoll cannot be had */
void loop_free(struct loop *loop); /* NULL is fine; all sources must be gone */
int loop_run(struct loop *loop);   /* until loop_quit(); returns its status */
void loop_quit(struct loop *loop, int status);

/* For a loop inside another one: its epoll fd is readable when loop_dispatch() has something to do; one round, no waiting. */
int loop_epoll_fd(struct loop *loop);
void loop_dispatch(struct loop *loop);

/* events: EPOLLIN, EPOLLOUT, EPOLLET... as in epoll_ctl(2); EPOLLERR and EPOLLHUP come always. The fd stays the caller's. */
typedef void (*loop_fd_fn)(void *userdata, uint32_t events);
struct loop_source *loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *userdata);
void loop_fd_set_events(struct loop_source *source, uint32_t events);

typedef void (*loop_fn)(void *userdata);
/* A one-shot timer, made disarmed. Arming again replaces the deadline. */
struct loop_source *loop_add_timer(struct loop *loop, loop_fn fn, void *userdata);
void loop_timer_arm(struct loop_source *source, uint64_t after_ms);
void loop_timer_disarm(struct loop_source *source);

/* The signal must be blocked in every thread (block it before the first thread starts). */
struct loop_source *loop_add_signal(struct loop *loop, int signo, loop_fn fn, void *userdata);

/* Calls fn once with the status as of waitpid(2) when the child ends, and reaps it. By pidfd: no other child is touched. */
typedef void (*loop_child_fn)(void *userdata, int wait_status);
struct loop_source *loop_add_child(struct loop *loop, pid_t pid, loop_child_fn fn, void *userdata);

/* Runs fn once in the loop's thread, soon. From any thread. Posts still queued when the loop is freed are dropped. */
void loop_post(struct loop *loop, loop_fn fn, void *userdata);

void loop_source_free(struct loop_source *source); /* NULL is fine */
