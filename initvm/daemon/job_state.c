/* SPDX-License-Identifier: MIT */
#include "daemon/job_state.h"

#include <string.h>

#define BIT(s) (1u << (s))
#define FINAL  (BIT(JOB_SUCCEEDED) | BIT(JOB_FAILED) | BIT(JOB_CANCELLED) | BIT(JOB_TIMED_OUT) | BIT(JOB_LOST))

/* Back to JOB_QUEUED goes what had not begun when its VM went away, and what was lost and may be run again. */
static const struct {
        const char *name;
        unsigned next;
} states[_JOB_STATE_MAX] = {
        [JOB_QUEUED] = {"queued", BIT(JOB_PREPARING) | BIT(JOB_CANCELLED) | BIT(JOB_FAILED)},
        [JOB_PREPARING] = {"preparing", BIT(JOB_QUEUED) | BIT(JOB_RUNNING) | BIT(JOB_CANCELLED) | BIT(JOB_FAILED)},
        [JOB_RUNNING] = {"running", BIT(JOB_QUEUED) | BIT(JOB_COLLECTING) | FINAL},
        [JOB_COLLECTING] = {"collecting", BIT(JOB_QUEUED) | FINAL},
        [JOB_SUCCEEDED] = {"succeeded", 0},
        [JOB_FAILED] = {"failed", 0},
        [JOB_CANCELLED] = {"cancelled", 0},
        [JOB_TIMED_OUT] = {"timed-out", 0},
        [JOB_LOST] = {"lost", 0},
};

/* With `own` the command's "status" is added. */
static const struct {
        const char *result;
        enum job_state state;
        bool own;
        unsigned status;
} results[] = {
        {"exited", JOB_FAILED, true, 0},
        {"signaled", JOB_FAILED, true, 128},
        {"timeout", JOB_TIMED_OUT, false, JOB_STATUS_TIMED_OUT},
        {"silence", JOB_TIMED_OUT, false, JOB_STATUS_TIMED_OUT},
        {"oom", JOB_FAILED, false, 137},
        {"disk-full", JOB_FAILED, true, 0},
        {"cancelled", JOB_CANCELLED, false, JOB_STATUS_CANCELLED},
        {"no-command", JOB_FAILED, false, 127},
        {"not-executable", JOB_FAILED, false, 126},
        {"chroot", JOB_FAILED, false, JOB_STATUS_MACHINE},
        {"machine", JOB_LOST, false, JOB_STATUS_MACHINE},
};

const char *job_state_text(enum job_state s)
{
        return states[s].name;
}

int job_state_from_name(const char *name, enum job_state *ret)
{
        for (int s = 0; s < _JOB_STATE_MAX; s++)
                if (streq(states[s].name, name)) {
                        *ret = (enum job_state)s;
                        return 0;
                }
        return -1;
}

bool job_state_final(enum job_state s)
{
        return states[s].next == 0;
}

bool job_state_may_follow(enum job_state from, enum job_state to)
{
        return (states[from].next & BIT(to)) != 0;
}

void job_state_of_result(struct json_object *result, enum job_state *ret_state, unsigned *ret_status)
{
        const char *name = json_get_string(result, "result", "");
        uint64_t status = json_get_u64(result, "status", UINT64_MAX);

        *ret_state = JOB_FAILED;
        *ret_status = JOB_STATUS_MACHINE;
        for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
                if (!streq(results[i].result, name))
                        continue;
                *ret_state = results[i].state;
                *ret_status = results[i].status;
                if (!results[i].own)
                        return;
                if (status > 255) { /* it does not say: nothing is taken for granted */
                        *ret_status = JOB_STATUS_MACHINE;
                        return;
                }
                *ret_status = (unsigned)(results[i].status + status) & 0xff;
                if (streq(name, "exited") && status == 0)
                        *ret_state = JOB_SUCCEEDED;
                else if (*ret_status == 0)
                        *ret_status = 1; /* a failure never looks like a success */
                return;
        }
}
