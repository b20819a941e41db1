/* SPDX-License-Identifier: MIT */
/* For tests of build jobs: a queue with one VM (job_vm.h), whose daemon may end and begin again. Whatever does not come in time
 * fails the test. */
#pragma once

#include "job_vm.h"

#include "daemon/jobs.h"

struct jobs_test {
        char *folder;
        struct loop *loop;
        struct job_vm vm;
        struct jobs *jobs;
        bool late;
};

int jobs_setup(void **state);
int jobs_teardown(void **state);

void jobs_daemon_begin(struct jobs_test *t);
void jobs_daemon_stop(struct jobs_test *t); /* nothing is told to the guest */

int jobs_try_submit(struct jobs_test *t, const char *spec, const char *folder, uint64_t *ret, struct error *err);
uint64_t jobs_submit_text(struct jobs_test *t, const char *spec); /* must be accepted */

const struct job_record *jobs_until(struct jobs_test *t, uint64_t id, enum job_state state);
void jobs_until_event(struct jobs_test *t, uint64_t id, const char *event);
void jobs_run_for(struct jobs_test *t, uint64_t ms);

char *job_file(struct jobs_test *t, uint64_t id, const char *name); /* the path of a file in its folder, owned */
bool job_has_file(struct jobs_test *t, uint64_t id, const char *name);
void assert_job_log(struct jobs_test *t, uint64_t id, const char *text); /* also when it is not compressed yet */

/* A file of the guest that changes what it does (tests/lib/job_guest.py); NULL removes it. */
void guest_knob(struct jobs_test *t, const char *name, const char *text);
unsigned guest_calls(struct jobs_test *t, const char *begins); /* how often it was called so */
bool guest_has(struct jobs_test *t, uint64_t id);              /* a workspace of that job */
