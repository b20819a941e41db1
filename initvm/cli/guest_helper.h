/* SPDX-License-Identifier: MIT */
/*
 * The agent's own program as a helper in the VM, by org.initvm.Exec (initvm-agent(8)): what it says comes as reports on standard
 * error (archive/report.h), its result on standard output.
 */
#pragma once

#include "archive/report.h"
#include "cli/session.h"

/* The running agent's own program, also when a newer one has taken its place on the disk. */
#define AGENT_PROGRAM "/proc/self/exe"

struct guest_helper {
        struct session session;
        const char *vm;
        struct report_reader reports;
        uint64_t left;                /* bytes of input that are still to be sent */
        bool ready;                   /* it has told its path */
        struct loop_source *deadline; /* of an end that is waited for */
};

/* Starts it as `user` (NULL: root) with these arguments; its standard output goes to `output`, an fd of the caller's. The struct
 * must stay where it is. */
int guest_helper_start(struct guest_helper *h, const char *vm, const char *user, char *const *arguments, int output,
                       struct error *err);
void guest_helper_done(struct guest_helper *h); /* whatever it does, it hears that its input has ended */

/* Sends `size` bytes of the fd, then waits until it has told its path (h->reports.path). Returns 0, 128+N after signal N, or -1
 * with its error. */
int guest_helper_feed(struct guest_helper *h, int fd, uint64_t size, struct error *err);

/* Ends its input and waits, a bounded time, until it has ended. Its errors are nobody's any more. */
void guest_helper_end(struct guest_helper *h);

/* One that needs no input, from start to end. Its standard output, which must be a JSON object, goes to *ret (owned). Returns as
 * guest_helper_feed(); it may take no longer than two and a half minutes. */
int guest_helper_call(const char *vm, char *const *arguments, struct json_object **ret, struct error *err);
