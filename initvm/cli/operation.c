/* SPDX-License-Identifier: MIT */
#include "cli/operation.h"

#include "base/process.h"
#include "cli/daemon.h"
#include "cli/progress.h"
#include "io/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TICK_MS 1000

static const int cancel_signals[] = {SIGINT, SIGTERM, SIGHUP};

struct running {
        const struct operation *op;
        struct client *client;
        struct loop *loop;
        struct progress progress;
        struct loop_source *input, *tick, *deadline;
        struct caught {
                struct running *running;
                int signo;
                struct loop_source *source;
        } signals[ARRAY_SIZE(cancel_signals)];
        int signo;      /* the one that cancelled, or 0 */
        bool abandoned; /* the daemon goes on without us */
        bool answered;
        struct json_object *vm;
        struct error *err;
};

static void finish(struct running *r, int status)
{
        progress_end(&r->progress, status == 0 ? NULL : r->abandoned ? "goes on" : r->signo ? "cancelled" : "failed", now_ms());
        progress_flush(&r->progress);
        loop_quit(r->loop, status);
}

/* One reply; true when it was the last. */
static bool handle(struct running *r, struct json_object *message)
{
        struct json_object *parameters = NULL, *event;
        bool continues = false;

        if (varlink_read_reply(message, &parameters, &continues, r->err) < 0) {
                r->answered = true;
                finish(r, -1);
                return true;
        }
        event = json_get(parameters, "progress");
        if (event) {
                progress_event(&r->progress, event, now_ms());
                progress_flush(&r->progress);
        }
        if (continues)
                return false;
        r->answered = true;
        r->vm = json_object_get(json_get(parameters, r->op->result ? r->op->result : "vm"));
        finish(r, 0);
        return true;
}

static void on_input(void *userdata, uint32_t events)
{
        struct running *r = userdata;
        int n = client_fill(r->client, r->err);

        (void)events;
        while (n >= 0) {
                autojson struct json_object *message = NULL;
                int taken = client_take(r->client, &message, r->err);

                if (taken < 0)
                        n = -1;
                if (taken <= 0)
                        break;
                if (handle(r, message))
                        return;
        }
        if (n == 0)
                error_set(r->err, ERR_DISCONNECTED, "the daemon ended before it was done; 'initvm daemon log' may say why");
        if (n <= 0)
                finish(r, -1);
}

static void on_tick(void *userdata)
{
        struct running *r = userdata;

        progress_tick(&r->progress, now_ms());
        progress_flush(&r->progress);
        loop_timer_arm(r->tick, TICK_MS);
}

static void on_signal(void *userdata)
{
        struct caught *c = userdata;
        struct running *r = c->running;

        if (r->signo || !r->op->cancelled) {
                r->signo = c->signo;
                r->abandoned = true;
                finish(r, -1);
                return;
        }
        r->signo = c->signo;
        progress_say(&r->progress, "cancelling", now_ms());
        progress_flush(&r->progress);
        client_end_sending(r->client);
        loop_timer_arm(r->deadline, CANCEL_DEADLINE_MS);
}

static void on_deadline(void *userdata)
{
        struct running *r = userdata;

        error_set(r->err, ERR_TIMEOUT, "the daemon did not confirm within %u s", CANCEL_DEADLINE_MS / 1000);
        finish(r, -1);
}

/* What became of it after a signal: only an answer, or a daemon that is still there, means that it cleaned up. */
static int tell_cancelled(struct running *r, int result)
{
        autoclient struct client *probe = NULL;
        struct error ignored = ERROR_INIT;

        if (r->abandoned && r->op->cancelled)
                fprintf(stderr, "initvm: not waiting for the daemon, which goes on cleaning up\n");
        else if (r->abandoned)
                fprintf(stderr, "initvm: not waiting any longer, the daemon goes on; 'initvm status' tells how far it is\n");
        else if (result == 0)
                fprintf(stderr, "initvm: it was finished before it could be cancelled\n");
        else if (r->answered && r->err->code != ERR_CANCELLED)
                fprintf(stderr, "initvm: cancelled, while it failed: %s\n", r->err->message);
        else if (r->answered || (r->err->code == ERR_DISCONNECTED && daemon_connect_running(&probe, &ignored) == 0))
                fprintf(stderr, "initvm: cancelled, %s\n", r->op->cancelled);
        else if (r->err->code == ERR_DISCONNECTED)
                fprintf(stderr, "initvm: cancelled; the daemon has ended, what is left is cleaned up when it is started again\n");
        else
                fprintf(stderr, "initvm: cancelled, but %s; see 'initvm daemon log'\n", r->err->message);
        return STATUS_SIGNAL + r->signo;
}

static void block_signals(sigset_t *ret_saved)
{
        sigset_t set;

        sigemptyset(&set);
        for (size_t i = 0; i < ARRAY_SIZE(cancel_signals); i++)
                sigaddset(&set, cancel_signals[i]);
        sigprocmask(SIG_BLOCK, &set, ret_saved);
}

static int run_loop(struct running *r)
{
        int result;

        r->loop = loop_new();
        r->input = loop_add_fd(r->loop, client_fd(r->client), EPOLLIN, on_input, r);
        r->tick = loop_add_timer(r->loop, on_tick, r);
        r->deadline = loop_add_timer(r->loop, on_deadline, r);
        for (size_t i = 0; i < ARRAY_SIZE(cancel_signals); i++) {
                r->signals[i] = (struct caught){.running = r, .signo = cancel_signals[i]};
                r->signals[i].source = loop_add_signal(r->loop, cancel_signals[i], on_signal, &r->signals[i]);
        }
        if (r->progress.mode == PROGRESS_LIVE)
                loop_timer_arm(r->tick, TICK_MS);
        result = loop_run(r->loop);
        loop_source_free(r->input);
        loop_source_free(r->tick);
        loop_source_free(r->deadline);
        for (size_t i = 0; i < ARRAY_SIZE(cancel_signals); i++)
                loop_source_free(r->signals[i].source);
        loop_free(r->loop);
        return result;
}

int operation_run(struct client *c, const struct operation *op, struct json_object **ret_vm, struct error *err)
{
        struct running r = {.op = op, .client = c, .err = err};
        sigset_t saved;
        int result;

        if (client_send(c, op->method, op->parameters, VARLINK_MORE, err) < 0)
                return -1;
        fflush(stdout); /* JSON events are written below stdio */
        block_signals(&saved);
        progress_init(&r.progress, op->json);
        result = run_loop(&r);
        progress_done(&r.progress);
        if (r.signo)
                result = tell_cancelled(&r, result);
        if (result == 0 && ret_vm)
                *ret_vm = take_ptr(r.vm);
        json_object_put(r.vm);
        sigprocmask(SIG_SETMASK, &saved, NULL);
        return result;
}
