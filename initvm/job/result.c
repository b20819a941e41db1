/* SPDX-License-Identifier: MIT */
#include "job/result.h"

#include "base/process.h"
#include "base/util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

struct judgement {
        const char *result;
        int status;
        char *message; /* owned */
};

/* ---- outcome.json */

struct json_object *outcome_json(const struct outcome *outcome)
{
        struct json_object *o = json_new();

        if (outcome->code != ERR_NONE) {
                json_add_string(o, "error", error_wire_name(outcome->code));
                json_add_string(o, "message", outcome->message);
        } else {
                json_add_u64(o, "waitStatus", (uint64_t)outcome->wait_status);
        }
        json_add_bool(o, "stopped", outcome->stopped);
        json_add_bool(o, "logCut", outcome->log_cut);
        json_add_u64(o, "disk", outcome->disk);
        json_add_u64(o, "wall", outcome->wall_ms);
        json_add_u64(o, "running", outcome->emulation.running);
        json_add_u64(o, "emulated", outcome->emulation.emulated);
        return o;
}

void outcome_read(struct json_object *o, struct outcome *ret)
{
        const char *error = o ? json_get_string(o, "error", NULL) : NULL;

        *ret = (struct outcome){.known = o != NULL};
        if (!o)
                return;
        if (error) {
                ret->code = error_from_wire_name(error);
                snprintf(ret->message, sizeof(ret->message), "%s", json_get_string(o, "message", ""));
        }
        ret->wait_status = (int)json_get_u64(o, "waitStatus", 0);
        ret->stopped = json_get_bool(o, "stopped", false);
        ret->log_cut = json_get_bool(o, "logCut", false);
        ret->disk = json_get_u64(o, "disk", 0);
        ret->wall_ms = json_get_u64(o, "wall", 0);
        ret->emulation.running = json_get_u64(o, "running", 0);
        ret->emulation.emulated = json_get_u64(o, "emulated", 0);
}

bool result_says_no_space(const char *text, size_t n)
{
        const char *const words[] = {strerror(ENOSPC), strerror(EDQUOT)};

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (memmem(text, n, words[i], strlen(words[i])))
                        return true;
        return false;
}

/* ---- the judgement */

/* For limits, which people give in seconds. Static, for one use in a message. */
static const char *duration(uint64_t ms)
{
        static char text[32];

        if (ms % 1000)
                snprintf(text, sizeof(text), "%" PRIu64 ".%03" PRIu64 " s", ms / 1000, ms % 1000);
        else
                snprintf(text, sizeof(text), "%" PRIu64 " s", ms / 1000);
        return text;
}

static struct judgement out_of_memory(const struct spec *spec)
{
        if (spec->memory)
                return (struct judgement){"oom", 0,
                                          xasprintf("the job ran out of memory: its limit is %s; raise it with --memory",
                                                    format_size(spec->memory))};
        return (struct judgement){
                "oom", 0,
                xstrdup("the VM ran out of memory, and the job was ended; give the VM more memory, or run fewer "
                        "jobs at the same time")};
}

/* The command was never executed. */
static struct judgement not_run(const struct ending *e)
{
        const char *result = "chroot"; /* or what stands for one: the user, the network, the workspace */

        if (e->outcome.code == ERR_NO_COMMAND)
                result = "no-command";
        else if (e->outcome.code == ERR_NOT_EXECUTABLE)
                result = "not-executable";
        return (struct judgement){result, 0, xstrdup(e->outcome.message)};
}

static struct judgement out_of_space(const struct ending *e, const struct spec *spec)
{
        const char *how = process_status_text(e->outcome.wait_status);
        char *message;

        if (spec->disk)
                message = xasprintf(
                        "the command failed (%s), and its log says that the disk is full: the job's limit is %s, raise it with "
                        "--disk; or it is the VM's disk that is full, which 'initvm disk resize' makes larger",
                        how, format_size(spec->disk));
        else
                message = xasprintf(
                        "the command failed (%s), and its log says that the VM's disk is full; remove what is not needed "
                        "there, or make the disk larger with 'initvm disk resize SIZE'",
                        how);
        return (struct judgement){"disk-full", process_exit_status(e->outcome.wait_status), message};
}

/* It ended by itself. */
static struct judgement by_itself(const struct ending *e, const struct spec *spec)
{
        int status = e->outcome.wait_status;
        bool exited = WIFEXITED(status);
        struct judgement j = {exited ? "exited" : "signaled", exited ? WEXITSTATUS(status) : WTERMSIG(status), NULL};

        if (status == 0)
                j.message = xstrdup("the command succeeded");
        else if (e->no_space)
                j = out_of_space(e, spec);
        else
                j.message = xasprintf("the command failed: %s", process_status_text(status));
        return j;
}

static struct judgement keeper_ended(const struct ending *e)
{
        if (e->outcome.known)
                return (struct judgement){"machine", 0,
                                          xstrdup("the job was ended in the VM, by a shutdown or by 'systemctl stop'; submit it "
                                                  "again")};
        return (struct judgement){
                "machine", 0,
                xasprintf("what looked after the job in the VM has ended: result '%s', status '%s' of its unit; "
                          "'initvm exec -- journalctl' may tell why",
                          e->service_result, e->exit_status)};
}

static struct judgement judge(const struct ending *e, const struct spec *spec)
{
        const struct outcome *o = &e->outcome;
        bool ended_itself = o->known && !o->stopped;

        if (ended_itself && o->code != ERR_NONE)
                return not_run(e);
        if (ended_itself && o->wait_status == 0)
                return by_itself(e, spec);
        /* A command whose process was killed for memory may fail before systemd hears of that. */
        if (streq(e->service_result, "oom-kill") || e->stats.oom_kills > 0)
                return out_of_memory(spec);
        if (ended_itself)
                return by_itself(e, spec);
        if (streq(e->service_result, "watchdog"))
                return (struct judgement){
                        "silence", 0,
                        xasprintf("the job wrote nothing for %s, and was ended; raise that with --silence-timeout",
                                  duration(spec->silence_ms))};
        /* One that is cancelled and does not end in time has this result as well. */
        if (e->cancelled)
                return (struct judgement){"cancelled", 0, xstrdup("the job was cancelled")};
        if (streq(e->service_result, "timeout"))
                return (struct judgement){"timeout", 0,
                                          xasprintf("the job did not end within %s, and was ended; raise that with --timeout",
                                                    duration(spec->timeout_ms))};
        return keeper_ended(e);
}

/* What it made of being told to end is its status all the same. */
static int status_of(const struct ending *e, const struct judgement *j)
{
        const struct outcome *o = &e->outcome;

        if (o->known && o->stopped && o->code == ERR_NONE && WIFEXITED(o->wait_status))
                return WEXITSTATUS(o->wait_status);
        return j->status;
}

struct json_object *result_new(const struct ending *e, const struct spec *spec)
{
        struct judgement j = judge(e, spec);
        struct json_object *o = json_new(), *stats = json_new();

        json_add_string(o, "result", j.result);
        json_add_u64(o, "status", (uint64_t)status_of(e, &j));
        json_add_string(o, "message", j.message);
        json_add_u64(stats, "wall", e->outcome.wall_ms);
        json_add_u64(stats, "cpu", e->stats.cpu_us);
        json_add_u64(stats, "memoryPeak", e->stats.memory_peak);
        json_add_u64(stats, "read", e->stats.read);
        json_add_u64(stats, "written", e->stats.written);
        if (e->outcome.disk)
                json_add_u64(stats, "disk", e->outcome.disk);
        if (e->outcome.emulation.running)
                json_add_u64(stats, "emulated", e->outcome.emulation.emulated * 100 / e->outcome.emulation.running);
        json_add(o, "stats", stats);
        json_add_bool(o, "logCut", e->outcome.log_cut);
        free(j.message);
        return o;
}
