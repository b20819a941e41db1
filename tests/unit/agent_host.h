/* SPDX-License-Identifier: MIT */
/*
 * The host's side for tests of the agent: runs the real program as an ordinary process on a socketpair, and speaks frames with
 * it. Everything waits for an event under a deadline; a deadline that passes fails the test.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "base/util.h"
#include "wire/frame.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HOST_DEADLINE_MS    30000
#define RUNS_MAX            300
#define RUN_CONNECTIONS_MAX 64

/* One stream as the host sees it. */
struct run {
        uint32_t id;
        bool no_grants;   /* never gives credit back */
        bool echo;        /* what comes on stdout must be the bytes of `pattern` in order */
        uint64_t to_send; /* bytes of `pattern`, or of `content`, still to be sent, then EOF */
        const uint8_t *content;
        uint64_t sent;
        bool eof_sent;
        uint32_t credit;
        struct buf out[3]; /* what came, when not echo */
        uint64_t received[3];
        bool eof[3];
        bool started;                              /* the first reply with "continues" */
        uint64_t pid;                              /* of a command */
        char *address;                             /* of a listener */
        uint64_t connections[RUN_CONNECTIONS_MAX]; /* that came to it */
        size_t n_connections;
        bool done; /* the final reply */
        struct error err;
        int exited;                     /* -1: not */
        int signaled;                   /* -1: not */
        struct json_object *parameters; /* of the final reply */
        bool closed;
};

struct host {
        int fd;
        pid_t pid;
        struct frame_decoder decoder;
        struct buf out;
        struct run *runs[RUNS_MAX];
        size_t n_runs;
        uint32_t next_id;
        bool ended; /* the agent closed its end */
        bool synced;
        uint8_t nonce[SYNC_NONCE_SIZE];
        unsigned answers, pleases; /* sync records seen; answers with the right nonce only */
        struct json_object *hello; /* the last one */
};

/* The agent's path: INITVM_AGENT, or INITVM_BIN/initvm-agent, or build/bin/initvm-agent. */
char *host_agent_path(void);

struct host *host_start(char *const *environment);
struct host *host_start_synced(void);   /* and through the first sync */
struct host *host_attach(int owned_fd); /* to an agent that somebody else runs */
void host_detach(struct host *h);
int host_wait_exit(struct host *h); /* until the agent ends; its wait status */
void host_stop(struct host *h);     /* closes the channel and waits for the agent's end: exit status 0 */

/* Sends what is queued and handles what comes, for ms or until done(userdata); false when the time passed first. */
bool host_until(struct host *h, int ms, bool (*done)(void *userdata), void *userdata);
void host_for(struct host *h, int ms);

void host_write(struct host *h, const void *data, size_t n); /* raw bytes */
void host_sync(struct host *h, bool pad);                    /* forgets all runs; returns when answered and greeted */

/* Opens a stream with the text of a call. The run belongs to the host. */
struct run *host_open(struct host *h, const char *call);
/* Exec of a NULL-terminated argument list. */
struct run *host_exec(struct host *h, ...) __attribute__((sentinel));
struct run *host_exec_json(struct host *h, const char *parameters);
void host_message(struct host *h, struct run *r, const char *json);
void host_close(struct host *h, struct run *r);
void host_wait(struct host *h, struct run *r);                       /* until it is closed by the agent */
void host_wait_started(struct host *h, struct run *r);               /* until it runs or stands */
void host_wait_connections(struct host *h, struct run *r, size_t n); /* until so many were told */
void host_wait_output(struct host *h, struct run *r, size_t n);
const char *run_text(struct run *r, enum frame_channel channel);

/* True when the process has ended within ms. */
bool process_ends(pid_t pid, int ms);
uint64_t process_rss(pid_t pid);   /* bytes */
uint64_t process_ticks(pid_t pid); /* CPU time in clock ticks */
