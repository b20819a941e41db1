/* SPDX-License-Identifier: MIT */
#include "cli/job_follow.h"

#include "base/file.h"
#include "base/process.h"
#include "cli/daemon.h"
#include "cli/job.h"
#include "cli/job_log.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/text.h"
#include "io/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

/* No more than this of the log waits for our reader. */
#define PENDING_MAX (64u * 1024)

/* A cancelled job has as long to end as the VM gives it, and a little more. */
#define CANCEL_DEADLINE_MS (60 * 1000)

/* How often a daemon may go away without having told anything. */
#define RECONNECTS_MAX 5u

/* From this age of the last output on a quiet job is told about; each time twice as old. */
#define SILENCE_TOLD_MS (60 * 1000)

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

struct following {
        const struct job_follow *f;
        struct loop *loop;
        struct client *client;
        struct loop_source *client_source, *inotify_source, *deadline;
        int inotify;
        struct job_log log;
        struct job_times times;
        struct job_stamps stamps;
        struct output output;
        uint64_t at;             /* of the log */
        struct json_object *job; /* as it is known last */
        char *stage;             /* told last */
        uint64_t silence_told;
        bool ended, cancelling;
        unsigned reconnects;
        int status;
        struct error *err;
        struct caught {
                struct following *following;
                int signo;
                struct loop_source *source;
        } caught[ARRAY_SIZE(signals)];
};

static void quit(struct following *w, int status)
{
        w->status = status;
        loop_quit(w->loop, 0);
}

/* ---- the log */

static void pump(struct following *w)
{
        char data[16384];
        ssize_t n = 0;

        if (w->f->json)
                return;
        if (w->log.fd < 0 && job_log_begin(&w->log, w->f->folder, w->at, w->err) < 0) {
                quit(w, -1);
                return;
        }
        while (w->log.growing && buf_size(&w->output.pending) < PENDING_MAX && (n = read(w->log.fd, data, sizeof(data))) > 0) {
                autobuf struct buf stamped = {0};

                w->at += (uint64_t)n;
                if (w->f->timestamps) {
                        job_stamps_add(&w->stamps, data, (size_t)n, &stamped);
                        output_write(&w->output, buf_head(&stamped), buf_size(&stamped));
                } else {
                        output_write(&w->output, data, (size_t)n);
                }
        }
        /* Of a log that is compressed already the rest is printed when the loop has ended. */
        if (w->ended && buf_size(&w->output.pending) == 0 && (!w->log.growing || n == 0))
                quit(w, 0);
}

static void on_written(void *userdata, size_t n)
{
        (void)n;
        pump(userdata);
}

static void on_failed(void *userdata, int errnum)
{
        struct following *w = userdata;

        if (errnum == EPIPE) {
                quit(w, STATUS_SIGPIPE);
                return;
        }
        error_errno(w->err, errnum, "cannot write to standard output");
        quit(w, -1);
}

static void on_inotify(void *userdata, uint32_t events)
{
        struct following *w = userdata;
        char data[4096];

        (void)events;
        while (read(w->inotify, data, sizeof(data)) > 0)
                ;
        if (w->f->timestamps && !w->ended) { /* new ones */
                job_times_done(&w->times);
                job_times_read(&w->times, w->f->folder, w->f->base, NULL);
        }
        pump(w);
}

/* ---- the job */

static void say(struct following *w, const char *text)
{
        autobuf struct buf b = {0};
        autofree char *safe = NULL;

        text_append_safe(&b, text, false);
        safe = buf_take_string(&b);
        fprintf(stderr, "initvm: job %llu: %s\n", (unsigned long long)w->f->id, safe);
}

/* What is done before the command begins; from then on its output tells. */
static void tell_stage(struct following *w, struct json_object *job)
{
        const char *state = json_get_string(job, "state", "");
        const char *stage = json_get_string(job, "stage", state);
        const char *message = json_get_string(job, "message", NULL);
        autofree char *text = NULL;

        if (streq(state, "queued") && message)
                text = xasprintf("queued again: %s", message);
        else if (streq(state, "queued") || streq(state, "preparing"))
                text = xstrdup(streq(stage, "preparing") ? "the VM is made ready, and the inputs are sent" : stage);
        if (!text || streq(text, w->stage) || (streq(text, "queued") && !w->stage))
                return;
        free(w->stage);
        w->stage = xstrdup(text);
        say(w, text);
}

static void tell_silence(struct following *w, struct json_object *heartbeat)
{
        uint64_t silence = json_get_u64(heartbeat, "silence", 0);
        autofree char *age = NULL, *text = NULL;

        if (silence < SILENCE_TOLD_MS) {
                w->silence_told = 0;
                return;
        }
        if (silence < 2 * w->silence_told)
                return;
        w->silence_told = silence;
        age = text_duration(silence);
        text = xasprintf("no output for %s; so far %.1f s of CPU time, %s read, %s written", age,
                         (double)json_get_u64(heartbeat, "cpu", 0) / 1e6, format_size(json_get_u64(heartbeat, "read", 0)),
                         format_size(json_get_u64(heartbeat, "written", 0)));
        say(w, text);
}

static void take_event(struct following *w, struct json_object *event)
{
        struct json_object *job = json_get(event, "job");

        if (!job)
                return;
        w->reconnects = 0;
        json_object_put(w->job);
        w->job = json_object_get(job);
        if (w->f->json) {
                printf("%s\n", json_line(event));
                fflush(stdout);
        } else if (w->f->ours && streq(json_get_string(event, "event", ""), "heartbeat")) {
                tell_silence(w, json_get(job, "heartbeat"));
        } else if (w->f->ours) {
                tell_stage(w, job);
        }
        w->ended = job_ended(job);
        if (w->ended && w->f->json)
                quit(w, 0);
        else
                pump(w);
        if (w->ended)
                return;
        if (streq(json_get_string(event, "event", ""), "removed")) {
                error_set(w->err, ERR_NOT_FOUND, "job %llu was removed meanwhile", (unsigned long long)w->f->id);
                quit(w, -1);
        }
}

static void on_client(void *userdata, uint32_t events);

/* Connects, and asks for the job's events. */
static int begin_watch(struct following *w, struct error *err)
{
        struct json_object *parameters = json_new();

        json_add_u64(parameters, "id", w->f->id);
        if (daemon_connect(&w->client, err) < 0) {
                json_object_put(parameters);
                return -1;
        }
        if (client_send(w->client, "org.initvm.WatchJobs", parameters, VARLINK_MORE, err) < 0)
                return -1;
        w->client_source = loop_add_fd(w->loop, client_fd(w->client), EPOLLIN, on_client, w);
        return 0;
}

static void end_watch(struct following *w)
{
        loop_source_free(take_ptr(w->client_source));
        client_free(take_ptr(w->client));
}

static void watch_again(struct following *w)
{
        end_watch(w);
        if (w->ended)
                return;
        if (++w->reconnects > RECONNECTS_MAX) {
                error_set(w->err, ERR_DISCONNECTED, "the daemon ends again and again; 'initvm daemon log' may tell why");
                quit(w, -1);
        } else if (begin_watch(w, w->err) < 0) {
                quit(w, -1);
        }
}

static void on_client(void *userdata, uint32_t events)
{
        struct following *w = userdata;
        struct error err = ERROR_INIT;
        int filled = client_fill(w->client, &err), taken;

        (void)events;
        for (;;) {
                autojson struct json_object *message = NULL;
                struct json_object *parameters = NULL;
                bool continues = false;

                taken = client_take(w->client, &message, &err);
                if (taken <= 0)
                        break;
                if (varlink_read_reply(message, &parameters, &continues, &err) < 0) {
                        *w->err = err;
                        quit(w, -1);
                        return;
                }
                take_event(w, json_get(parameters, "event"));
                if (!continues) {
                        end_watch(w);
                        return;
                }
        }
        if (filled <= 0 || taken < 0)
                watch_again(w);
}

/* ---- signals */

static void tell_detached(struct following *w)
{
        unsigned long long id = w->f->id;

        fprintf(stderr,
                "\ninitvm: job %llu goes on; follow it: initvm job logs -f %llu\n"
                "initvm:            end it: initvm job cancel %llu\n",
                id, id, id);
}

static void on_deadline(void *userdata)
{
        struct following *w = userdata;

        fprintf(stderr, "initvm: job %llu has not ended within %d s; it does so as soon as it can\n",
                (unsigned long long)w->f->id, CANCEL_DEADLINE_MS / 1000);
        quit(w, STATUS_SIGNAL + SIGTERM);
}

/* Over a connection of its own, whose answer nobody waits for: the watch tells the end. */
static void cancel(struct following *w, int signo)
{
        struct json_object *parameters = json_new();
        struct error err = ERROR_INIT;
        struct client *c = NULL;

        json_add_u64(parameters, "id", w->f->id);
        fprintf(stderr, "initvm: cancelling job %llu\n", (unsigned long long)w->f->id);
        w->cancelling = true;
        w->status = STATUS_SIGNAL + signo;
        if (daemon_connect(&c, &err) < 0)
                json_object_put(parameters);
        else if (client_send(c, "org.initvm.CancelJob", parameters, VARLINK_ONEWAY, &err) == 0)
                client_end_sending(c);
        client_free(c);
        if (err.code != ERR_NONE) {
                fprintf(stderr, "initvm: it cannot be cancelled: %s\n", err.message);
                quit(w, STATUS_SIGNAL + signo);
                return;
        }
        loop_timer_arm(w->deadline, CANCEL_DEADLINE_MS);
}

static void on_signal(void *userdata)
{
        struct caught *c = userdata;
        struct following *w = c->following;

        if (!w->f->ours || w->cancelling) {
                quit(w, STATUS_SIGNAL + c->signo);
        } else if (c->signo == SIGHUP || (c->signo == SIGINT && isatty(STDIN_FILENO))) {
                tell_detached(w);
                quit(w, STATUS_SIGNAL + c->signo);
        } else {
                cancel(w, c->signo);
        }
}

/* ---- all of it */

static int begin(struct following *w, struct error *err)
{
        w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (w->inotify < 0 || inotify_add_watch(w->inotify, w->f->folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
                return error_errno(err, errno, "cannot watch '%s'", w->f->folder);
        w->inotify_source = loop_add_fd(w->loop, w->inotify, EPOLLIN, on_inotify, w);
        if (w->f->timestamps && job_times_read(&w->times, w->f->folder, w->f->base, err) < 0)
                return -1;
        return begin_watch(w, err);
}

/* What the loop has left: of a log that was compressed before we had opened it, all. */
static int print_rest(struct following *w, struct error *err)
{
        struct job_follow rest = *w->f;

        rest.offset = w->at;
        return w->log.growing || w->f->json ? 0 : job_log_print(&rest, STDOUT_FILENO, err);
}

int job_follow(const struct job_follow *f, struct json_object **ret_job, struct error *err)
{
        struct following w = {.f = f, .inotify = -1, .log = JOB_LOG_INIT, .at = f->offset, .err = err, .loop = loop_new()};
        sigset_t set, saved;

        w.stamps = (struct job_stamps){.times = &w.times, .at = f->offset};
        w.deadline = loop_add_timer(w.loop, on_deadline, &w);
        sigemptyset(&set);
        for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
                sigaddset(&set, signals[i]);
        sigprocmask(SIG_BLOCK, &set, &saved);
        signal(SIGPIPE, SIG_IGN);
        for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
                w.caught[i] = (struct caught){.following = &w, .signo = signals[i]};
                w.caught[i].source = loop_add_signal(w.loop, signals[i], on_signal, &w.caught[i]);
        }
        fflush(stdout);
        output_init(&w.output, w.loop, STDOUT_FILENO);
        w.output.written = on_written;
        w.output.failed = on_failed;
        w.output.userdata = &w;
        w.status = begin(&w, err);
        if (w.status == 0)
                loop_run(w.loop);
        end_watch(&w);
        for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
                loop_source_free(w.caught[i].source);
        loop_source_free(w.deadline);
        loop_source_free(w.inotify_source);
        cleanup_close(&w.inotify);
        output_done(&w.output);
        loop_free(w.loop);
        sigprocmask(SIG_SETMASK, &saved, NULL);
        if (w.status == 0)
                w.status = print_rest(&w, err);
        cleanup_job_log(&w.log);
        job_times_done(&w.times);
        free(w.stage);
        if (w.status == 0)
                *ret_job = take_ptr(w.job);
        json_object_put(w.job);
        return w.status;
}

int job_log_print(const struct job_follow *f, int fd, struct error *err)
{
        autojoblog struct job_log log = JOB_LOG_INIT;
        struct job_times times = {0};
        struct job_stamps stamps = {.times = &times, .at = f->offset};
        char data[65536];
        ssize_t n = 0;
        int r = 0;

        if (job_log_begin(&log, f->folder, f->offset, err) < 0 ||
            (f->timestamps && job_times_read(&times, f->folder, f->base, err) < 0))
                return -1;
        while (r == 0 && log.fd >= 0 && (n = read(log.fd, data, sizeof(data))) > 0) {
                autobuf struct buf stamped = {0};

                if (f->timestamps)
                        job_stamps_add(&stamps, data, (size_t)n, &stamped);
                r = f->timestamps ? fd_write_all(fd, buf_head(&stamped), buf_size(&stamped)) : fd_write_all(fd, data, (size_t)n);
        }
        job_times_done(&times);
        if (r < 0)
                return errno == EPIPE ? STATUS_SIGPIPE : error_errno(err, errno, "cannot write the log");
        return n < 0 ? error_errno(err, errno, "cannot read the log") : job_log_end(&log, err);
}
