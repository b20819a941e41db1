/* SPDX-License-Identifier: MIT */
/*
 * One job from its turn in the queue to its end, as a walk from step to step.  Each step but three is one command of the agent
 * (initvm-agent(8), --job; MAKE is `initvm chroot create`), and each may be done again: whoever takes a job up again begins with
 * the step that its state says.
 *
 *   preparing    READY  CHROOT (MAKE)  CREATE
 *   running      START  FOLLOW  STATUS  (GIVE_UP)
 *   collecting   ARTIFACTS  TIMES  SEAL  REMOVE
 *
 * When the connection to the agent is lost, the walk goes back to READY, which waits until it answers again or the VM has ended.
 * `running` is on the disk before START is called: what is still `preparing` has certainly not begun.
 */
#include "base/log.h"
#include "base/util.h"
#include "daemon/job_run_private.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* `--job follow` has a heartbeat every ten seconds. */
#define FOLLOW_IDLE_MS (2 * 60 * 1000)

/* How often a VM may go away, or not be had, before a job has begun, and how long it is waited then: nothing, because most often
 * it has just ended and is started again; then as long as what a killed daemon has left of its work on the disk takes to end. */
static const unsigned preparation_delay_ms[] = {0, 3000, 15000};
/* How often its agent may go away without anything having been heard of the job. */
#define RECONNECTS_MAX 20u
/* How often the time is noted at which output comes. */
#define TIMES_EVERY_MS 100u
/* Answers that are kept in memory: one line. */
#define ANSWER_MAX     (256u * 1024)

static char *id_text(const struct job_run *run)
{
        return xasprintf("%llu", (unsigned long long)run->job->record.id);
}

void job_run_free(struct job_run *run)
{
        if (!run)
                return;
        job_exec_cancel(run->exec);
        job_exec_cancel(run->cancel);
        chroot_child_cancel(run->making);
        if (run->pending)
                run->pending->run = NULL;
        loop_source_free(run->again);
        cleanup_close(&run->times_fd);
        json_object_put(run->artifacts);
        buf_done(&run->answer);
        free(run->chroot);
        free(run->suite);
        free(run->architecture);
        free(run->message);
        free(run);
}

/* ---- ends; nothing of the run may be touched afterwards */

void job_run_end(struct job_run *run, enum job_state state, uint64_t status, const char *message)
{
        autofree char *copy = message ? xstrdup(message) : NULL;
        autofree char *part = xasprintf("%s/" JOB_ARTIFACTS_PART, run->job->folder);

        unlink(part); /* those that did not come as a whole: they may be what has filled the disk */
        job_end(run->job, state, status, copy);
}

/* Initvm, the chroot or the VM has failed, not the command. */
void job_run_fail(struct job_run *run, const struct error *err)
{
        if (run->job->record.cancel)
                job_run_end(run, JOB_CANCELLED, JOB_STATUS_CANCELLED, "cancelled");
        else
                job_run_end(run, JOB_FAILED, JOB_STATUS_MACHINE, err->message);
}

void job_run_lost(struct job_run *run, const char *why)
{
        if (run->job->record.cancel)
                job_run_end(run, JOB_CANCELLED, JOB_STATUS_CANCELLED, "cancelled");
        else
                job_run_end(run, JOB_LOST, JOB_STATUS_MACHINE, why);
}

bool job_run_move(struct job_run *run, enum job_state to)
{
        struct error err = ERROR_INIT;

        if (job_move(run->job, to, &err) == 0)
                return true;
        job_run_fail(run, &err);
        return false;
}

/* ---- commands in the guest */

/* When what is written now has come: what `job logs --timestamps` goes by until the guest's own times are here. */
static void note_time(struct job_run *run, size_t n)
{
        uint64_t now = now_ms();

        if (run->times_fd >= 0 && now - run->time_noted >= TIMES_EVERY_MS) {
                dprintf(run->times_fd, "%llu %llu\n", (unsigned long long)run->log_size, (unsigned long long)job_time());
                run->time_noted = now;
        }
        run->log_size += n;
}

static void on_output(void *userdata, const uint8_t *data, size_t n)
{
        struct job_run *run = userdata;

        run->reconnects = 0; /* it is well */
        if (run->step == STEP_FOLLOW)
                note_time(run, n);
        if (run->step != STEP_FOLLOW && run->step != STEP_ARTIFACTS && run->step != STEP_TIMES &&
            buf_size(&run->answer) + n <= ANSWER_MAX)
                buf_append(&run->answer, data, n);
}

void job_run_progress(void *userdata, struct json_object *event)
{
        struct job_run *run = userdata;
        const char *text = json_get_string(event, "text", NULL);

        if (!text)
                return;
        free(run->job->stage);
        run->job->stage = xstrdup(text);
        job_tell(run->job, "stage");
}

static void on_report(void *userdata, struct json_object *o)
{
        struct job_run *run = userdata;
        struct json_object *heartbeat = json_get(o, "heartbeat"), *artifact = json_get(o, "artifact");

        if (heartbeat && run->step == STEP_FOLLOW) {
                json_object_put(run->job->heartbeat);
                run->job->heartbeat = json_object_get(heartbeat);
                run->reconnects = 0;
                job_tell(run->job, "heartbeat");
        }
        if (artifact && run->artifacts)
                json_object_array_add(run->artifacts, json_object_get(artifact));
}

const struct job_exec_events job_run_events = {
        .output = on_output, .progress = job_run_progress, .report = on_report, .done = job_run_done};

struct channel *job_run_channel(struct job_run *run)
{
        struct job_machine machine;

        if (run->jobs->machines.find(run->jobs->machines.userdata, run->job->record.vm, &machine, NULL) < 0)
                return NULL;
        return machine.channel;
}

/* `options->argv` is made of "--job", the command, the number and the token, with an optional last word. The fds are taken. */
void job_run_command(struct job_run *run, const char *command, const char *last, struct job_exec_options *options)
{
        autofree char *id = id_text(run);
        char *argv[] = {(char *)"--job", (char *)command, id, run->job->record.token, (char *)last, NULL};
        struct error err = ERROR_INIT;

        options->argv = argv;
        if (options->idle_ms == 0)
                options->idle_ms = HELPER_IDLE_MS;
        buf_consume(&run->answer, buf_size(&run->answer));
        run->exec = job_exec_start(run->jobs->loop, job_run_channel(run), options, &job_run_events, run, &err);
        if (!run->exec)
                job_run_done(run, &err);
}

void job_run_simple(struct job_run *run, const char *command, const char *last)
{
        struct job_exec_options options = {.input_fd = -1, .output_fd = -1};

        job_run_command(run, command, last, &options);
}

/* A file in the job's folder; -1 with *err. */
int job_run_open(struct job_run *run, const char *name, int flags, struct error *err)
{
        autofree char *path = job_store_path(&run->jobs->store, run->job->record.id, name);
        int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);

        return fd >= 0 ? fd : error_errno(err, errno, "cannot open '%s'", path);
}

/* A command of the guest has failed, or what it needs here. */
static void on_step_failed(struct job_run *run, const struct error *err)
{
        if (run->step == STEP_START || run->step == STEP_FOLLOW) {
                run->error = *err;
                job_run_go(run, STEP_GIVE_UP);
        } else if (run->step == STEP_STATUS) {
                job_run_lost(run, err->message);
        } else {
                job_run_fail(run, err);
        }
}

/* ---- READY */

/* The VM has ended. What the command came to may be known by then, and need nothing more of the VM. */
static void machine_gone(struct job_run *run, const struct error *err)
{
        autofree char *why = NULL;

        if (run->job->record.state != JOB_COLLECTING) {
                job_run_lost(run, err->message);
                return;
        }
        if (job_collect_known(run)) {
                job_collect_end(run);
                return;
        }
        job_collect_judge(run);
        if (run->outcome != JOB_SUCCEEDED || !job_collect_wanted(run)) {
                job_collect_end(run);
                return;
        }
        why = xasprintf("the command succeeded, but its artifacts are lost: %s", err->message);
        job_run_lost(run, why);
}

/* Of one that has not begun: back to READY, soon; the VM does not know of its own end yet. */
static void prepare_again(struct job_run *run, const struct error *err)
{
        uint64_t n = run->job->record.preparations++;

        if (n >= ARRAY_SIZE(preparation_delay_ms)) {
                job_run_fail(run, err);
                return;
        }
        run->step = STEP_READY;
        loop_timer_arm(run->again, preparation_delay_ms[n]);
}

/* Where a job of this state goes on once its VM answers. */
static void on_machine_ready(struct job_run *run, const struct error *why_not)
{
        struct job_record *r = &run->job->record;
        struct job_machine machine;

        if (why_not && why_not->code == ERR_STATE &&
            r->state == JOB_PREPARING) { /* it has ended just then: it is started again */
                prepare_again(run, why_not);
                return;
        }
        if (why_not && r->state == JOB_PREPARING) {
                job_run_fail(run, why_not);
                return;
        }
        if (why_not) {
                machine_gone(run, why_not);
                return;
        }
        if (run->jobs->machines.find(run->jobs->machines.userdata, r->vm, &machine, NULL) == 0 && machine.acceleration) {
                free(r->acceleration);
                r->acceleration = xstrdup(machine.acceleration);
        }
        job_chores_ready(run->jobs, r->vm);
        if (r->state == JOB_PREPARING)
                job_run_go(run, STEP_CHROOT);
        else if (r->state == JOB_RUNNING)
                job_run_go(run, STEP_STATUS);
        else
                job_run_go(run, job_collect_known(run) ? STEP_REMOVE : STEP_ARTIFACTS);
}

static void on_ready(void *userdata, const struct error *why_not)
{
        autofree struct pending *p = userdata;

        if (!p->run)
                return;
        p->run->pending = NULL;
        on_machine_ready(p->run, why_not);
}

struct pending *job_run_pending(struct job_run *run)
{
        struct pending *p = xcalloc(1, sizeof(*p));

        p->run = run;
        run->pending = p;
        return p;
}

static void wait_ready(struct job_run *run)
{
        struct jobs *j = run->jobs;
        bool start = run->job->record.state == JOB_PREPARING;

        if (start && run->job->record.cancel)
                job_run_end(run, JOB_CANCELLED, JOB_STATUS_CANCELLED, "cancelled before it began");
        else
                j->machines.ready(j->machines.userdata, run->job->record.vm, start, on_ready, job_run_pending(run));
}

/* The agent has gone in the middle of something. */
static void reconnect(struct job_run *run, const struct error *err)
{
        struct job_record *r = &run->job->record;

        log_info("job %llu: the connection was lost: %s", (unsigned long long)r->id, err->message);
        job_chores_lost(run->jobs, r->vm);
        run->error = (struct error)ERROR_INIT;
        if (r->state == JOB_PREPARING) {
                prepare_again(run, err);
                return;
        }
        if (++run->reconnects > RECONNECTS_MAX) {
                job_run_lost(run, err->message);
                return;
        }
        job_exec_cancel(take_ptr(run->cancel));
        run->followed = false;
        run->step = STEP_READY;
        loop_timer_arm(run->again, 0); /* the VM does not know of the loss yet: it is told after its streams */
}

/* ---- FOLLOW, STATUS */

static void ask_to_cancel(struct job_run *run);

static void follow(struct job_run *run)
{
        struct job_exec_options options = {.input_fd = -1, .idle_ms = FOLLOW_IDLE_MS};
        struct error err = ERROR_INIT;
        autofree char *offset = NULL;
        struct stat st;

        options.output_fd = job_run_open(run, "log", O_WRONLY | O_APPEND | O_CREAT, &err);
        if (options.output_fd < 0 || fstat(options.output_fd, &st) < 0) {
                cleanup_close(&options.output_fd);
                on_step_failed(run, &err);
                return;
        }
        run->log_size = (uint64_t)st.st_size - MIN(run->job->record.log_base, (uint64_t)st.st_size);
        offset = xasprintf("%llu", (unsigned long long)run->log_size);
        cleanup_close(&run->times_fd);
        run->times_fd = job_run_open(run, "log.times", O_WRONLY | O_CREAT | (run->log_size > 0 ? O_APPEND : O_TRUNC), NULL);
        if (run->job->record.cancel)
                ask_to_cancel(run);
        job_run_command(run, "follow", offset, &options);
}

/* The VM has no result: it was restarted. A panic that the host has seen says more than the guest can. */
static void restarted(struct job_run *run, const char *reason)
{
        struct job_machine machine;
        autofree char *why = NULL;

        if (run->jobs->machines.find(run->jobs->machines.userdata, run->job->record.vm, &machine, NULL) == 0 && machine.panic)
                why = xstrdup(machine.panic);
        job_run_lost(run, why ? why : reason);
}

/* What the guest says at the end of its log, or after an interruption. */
static void on_status(struct job_run *run)
{
        struct job_record *r = &run->job->record;
        struct error err = ERROR_INIT;
        autojson struct json_object *o = json_parse((const char *)buf_head(&run->answer), buf_size(&run->answer), &err);
        const char *state = o ? json_get_string(o, "state", "") : "";
        struct json_object *result = o ? json_get(o, "result") : NULL;

        if (streq(state, "created")) {
                job_run_go(run, STEP_START);
        } else if (streq(state, "running") || (streq(state, "ended") && !run->followed)) {
                if (run->followed && ++run->reconnects > RECONNECTS_MAX)
                        job_run_lost(run, "the VM follows the job's log to its end again and again, and says that it runs");
                else
                        job_run_go(run, STEP_FOLLOW);
        } else if (streq(state, "ended") && json_object_is_type(result, json_type_object)) {
                r->result = json_object_get(result);
                job_collect_judge(run);
                if (run->outcome == JOB_LOST) /* what kept it in the VM was killed */
                        job_run_lost(run, run->message);
                else if (job_run_move(run, JOB_COLLECTING))
                        job_run_go(run, STEP_ARTIFACTS);
        } else if (streq(state, "lost")) {
                restarted(run, json_get_string(o, "reason", "the VM was restarted while the job ran, and it left no result"));
        } else if (streq(state, "absent")) {
                restarted(run, "the VM does not know the job any more: its disk was reset");
        } else {
                job_run_lost(run, "the VM does not tell what became of the job");
        }
}

/* ---- the walk */

void job_run_go(struct job_run *run, enum step step)
{
        run->step = step;
        switch (step) {
        case STEP_READY:
                wait_ready(run);
                break;
        case STEP_CHROOT:
                job_prepare_chroot(run);
                break;
        case STEP_MAKE:
                job_prepare_make(run);
                break;
        case STEP_CREATE:
                job_prepare_create(run);
                break;
        case STEP_START:
                job_run_simple(run, "start", NULL);
                break;
        case STEP_FOLLOW:
                follow(run);
                break;
        case STEP_STATUS:
                job_run_simple(run, "status", NULL);
                break;
        case STEP_GIVE_UP: /* nothing is to go on in the guest that nobody follows */
                job_run_simple(run, "cancel", NULL);
                break;
        case STEP_ARTIFACTS:
                job_collect_artifacts(run);
                break;
        case STEP_TIMES:
                job_collect_times(run);
                break;
        case STEP_SEAL:
                job_collect_seal(run);
                break;
        case STEP_REMOVE:
                job_collect_remove(run);
                break;
        }
}

/* Of the steps that must succeed for the job to go on. */
static void on_step_done(struct job_run *run)
{
        switch (run->step) {
        case STEP_CREATE:
                if (job_run_move(run, JOB_RUNNING))
                        job_run_go(run, STEP_START);
                break;
        case STEP_START:
                job_run_go(run, STEP_FOLLOW);
                break;
        case STEP_FOLLOW:
                run->followed = true;
                job_run_go(run, STEP_STATUS);
                break;
        case STEP_STATUS:
                on_status(run);
                break;
        default:
                break;
        }
}

void job_run_done(void *userdata, const struct error *err)
{
        struct job_run *run = userdata;
        struct jobs *j = run->jobs;
        enum step step = run->step;

        bool again = err && (err->code == ERR_DISCONNECTED || (err->code == ERR_TIMEOUT && step == STEP_FOLLOW));

        run->exec = NULL;
        if (again && step != STEP_TIMES && step != STEP_REMOVE) { /* these two can be done without */
                reconnect(run, err);
                if (step == STEP_MAKE)
                        job_prepare_wake(j);
                return;
        }
        switch (step) {
        case STEP_CHROOT:
                job_prepare_looked(run, err);
                break;
        case STEP_MAKE:
                job_prepare_made(run, err);
                break;
        case STEP_ARTIFACTS:
                job_collect_fetched(run, err);
                break;
        case STEP_TIMES:
                job_collect_timed(run, err);
                break;
        case STEP_REMOVE:
                job_collect_removed(run, err);
                break;
        case STEP_GIVE_UP:
                job_run_fail(run, &run->error);
                break;
        default:
                if (err)
                        on_step_failed(run, err);
                else
                        on_step_done(run);
        }
}

static void on_again(void *userdata)
{
        job_run_go(userdata, STEP_READY);
}

void job_run_begin(struct job *job)
{
        struct job_run *run = xcalloc(1, sizeof(*run));
        struct error err = ERROR_INIT;

        run->job = job;
        run->jobs = job->jobs;
        run->again = loop_add_timer(job->jobs->loop, on_again, run);
        run->times_fd = -1;
        job->run = run;
        if (job_spec_read(job->record.spec, &run->spec, &err) < 0) {
                job_run_fail(run, &err);
                return;
        }
        if (job->record.state != JOB_QUEUED || job_run_move(run, JOB_PREPARING))
                job_run_go(run, STEP_READY);
}

/* ---- cancelling */

static void on_cancelled(void *userdata, const struct error *err)
{
        struct job_run *run = userdata;

        run->cancel = NULL; /* the log ends now, and with it FOLLOW */
        if (err)
                log_warning("job %llu: cannot be cancelled: %s", (unsigned long long)run->job->record.id, err->message);
}

static void ask_to_cancel(struct job_run *run)
{
        static const struct job_exec_events events = {.done = on_cancelled};
        autofree char *id = id_text(run);
        char *argv[] = {(char *)"--job", (char *)"cancel", id, run->job->record.token, NULL};
        const struct job_exec_options options = {.argv = argv, .input_fd = -1, .output_fd = -1, .idle_ms = HELPER_IDLE_MS};
        struct error err = ERROR_INIT;

        if (run->cancel)
                return;
        run->cancel = job_exec_start(run->jobs->loop, job_run_channel(run), &options, &events, run, &err);
        if (!run->cancel)
                log_info("job %llu: is cancelled when the VM answers again: %s", (unsigned long long)run->job->record.id,
                         err.message);
}

void job_run_cancel(struct job_run *run)
{
        struct jobs *j = run->jobs;
        bool making = run->step == STEP_MAKE;

        if (run->job->record.state == JOB_RUNNING) {
                if (run->step == STEP_FOLLOW) /* before it, `follow` sees to it */
                        ask_to_cancel(run);
                return;
        }
        /* Nothing runs in the guest: what is under way is given up. */
        job_exec_cancel(take_ptr(run->exec));
        chroot_child_cancel(take_ptr(run->making));
        run->parked = false;
        run->outcome = JOB_CANCELLED;
        run->status = JOB_STATUS_CANCELLED;
        if (run->step == STEP_READY || run->step == STEP_SEAL) { /* whoever calls back finds nobody */
                if (run->pending)
                        run->pending->run = NULL;
                run->pending = NULL;
                loop_timer_disarm(run->again);
        }
        if (run->step == STEP_READY)
                job_run_end(run, JOB_CANCELLED, JOB_STATUS_CANCELLED, "cancelled");
        else
                job_run_go(run, STEP_REMOVE);
        if (making)
                job_prepare_wake(j);
}
