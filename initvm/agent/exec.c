/* SPDX-License-Identifier: MIT */
/*
 * Bounds: output stays in the command's pipes until the host has given credit and the queue has room; for input see input.h.
 * Pipes are watched edge-triggered: an output is read until it says EAGAIN, whenever its turn comes.
 *
 * A terminal stands in for the pipes: its master is both the input and the first output, and there is no second one.  Its output
 * is at its end when the command is reaped and nothing more is there to be read, whoever else has it open.
 *
 * A command lives (struct exec) until it is reaped and has no stream; one that lost its stream lives until its group is gone
 * or killed.
 */
#include "agent/exec.h"

#include "agent/exec_private.h"
#include "agent/handover.h"
#include "agent/pty.h"
#include "base/log.h"
#include "base/spawn.h"
#include "wire/frame.h"
#include "wire/varlink.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

/* A pipe as large as a window takes what the host may send without a copy in between. Anybody may have up to 1 MiB: pipe(7). */
#define PIPE_SIZE ((int)FRAME_WINDOW)

static void close_fd(int *fd, struct loop_source **source)
{
        loop_source_free(take_ptr(*source));
        cleanup_close(fd);
        *fd = -1;
}

static void close_output(struct output *o)
{
        mux_delist(o->exec->agent->mux, &o->pump);
        close_fd(&o->fd, &o->source);
}

/* It is known, or of no interest any more, whether the command could be executed. */
static void close_status(struct exec *e)
{
        if (e->status_fd < 0)
                return;
        close_fd(&e->status_fd, &e->status_source);
        e->agent->n_starting--;
        handover_soon(e->agent);
}

static void close_all(struct exec *e)
{
        close_status(e);
        input_close(&e->input);
        for (size_t i = 0; i < ARRAY_SIZE(e->outputs); i++)
                close_output(&e->outputs[i]);
        cleanup_close(&e->slave);
        e->slave = -1;
}

static void exec_free(struct exec *e)
{
        struct agent *agent = e->agent;

        close_all(e);
        loop_source_free(e->child);
        loop_source_free(e->kill_timer);
        strv_free(e->argv);
        strv_free(e->environment);
        free(e->cwd);
        account_done(&e->account);
        LIST_REMOVE(e, link);
        free(e);
        agent_command_gone(agent);
}

static void free_when_done(struct exec *e)
{
        if (!e->stream && !e->child && !e->kill_timer)
                exec_free(e);
}

/* Ends with an error, which is the last thing the host hears; a child that could not execute ends by itself. */
static void exec_fail(struct exec *e, const struct error *err)
{
        close_all(e);
        stream_fail(take_ptr(e->stream), err);
        free_when_done(e);
}

/* The final reply when everything is in: the exit status and the end of both outputs. */
void exec_finish_when_done(struct exec *e)
{
        struct json_object *result;

        if (!e->stream || e->child || e->status_fd >= 0 || e->outputs[0].fd >= 0 || e->outputs[1].fd >= 0)
                return;
        result = json_new();
        if (WIFSIGNALED(e->wait_status))
                json_add_u64(result, "signaled", (uint64_t)WTERMSIG(e->wait_status));
        else
                json_add_u64(result, "exited", (uint64_t)WEXITSTATUS(e->wait_status));
        stream_reply(e->stream, varlink_reply_new(result, false));
        stream_close(take_ptr(e->stream));
        free_when_done(e);
}

/* ---- output */

/* What a read that returned n means. */
static bool is_end(struct output *o, ssize_t n)
{
        struct exec *e = o->exec;

        if (n == 0 || (n < 0 && errno != EAGAIN))
                return true;
        if (e->slave < 0 || e->child)
                return false;
        e->rest_read += n > 0 ? (size_t)n : 0;
        return n < 0 || e->rest_read >= PTY_LEFT_MAX;
}

/* Its turn: one frame. Everything beyond waits for the next turn, for credit or for an edge. */
static void on_output_turn(struct pump *pump)
{
        struct output *o = (struct output *)pump;
        struct exec *e = o->exec;
        uint8_t *place;
        size_t max;
        ssize_t n;

        place = stream_data_place(e->stream, &max);
        if (!place) {
                o->starved = true;
                return;
        }
        do
                n = read(o->fd, place, max);
        while (n < 0 && errno == EINTR);
        if (n > 0)
                stream_data_sent(e->stream, o->channel, (size_t)n);
        if (is_end(o, n)) {
                close_output(o);
                stream_eof(e->stream, o->channel);
                exec_finish_when_done(e);
        } else if (n > 0) {
                mux_enlist(e->agent->mux, &o->pump);
        }
}

/* The command has ended, and its terminal does not tell: it is read until there is nothing more. */
static void read_rest(struct exec *e)
{
        if (e->stream && e->slave >= 0 && !e->child && e->status_fd < 0 && !e->outputs[0].starved)
                mux_enlist(e->agent->mux, &e->outputs[0].pump);
}

static void on_output(void *userdata, uint32_t events)
{
        struct output *o = userdata;

        (void)events;
        if (!o->starved)
                mux_enlist(o->exec->agent->mux, &o->pump);
}

static void on_credit(void *userdata)
{
        struct exec *e = userdata;

        for (size_t i = 0; i < ARRAY_SIZE(e->outputs); i++)
                if (e->outputs[i].starved) {
                        e->outputs[i].starved = false;
                        mux_enlist(e->agent->mux, &e->outputs[i].pump);
                }
}

static void on_data(void *userdata, const uint8_t *data, size_t n)
{
        struct exec *e = userdata;

        input_data(&e->input, data, n);
}

static void on_eof(void *userdata)
{
        struct exec *e = userdata;

        input_end(&e->input);
}

/* ---- signals and the end */

/* Before it has executed anything the child may not lead its group yet. */
static void signal_group(struct exec *e, int signo)
{
        if (kill(-e->pid, signo) < 0 && e->child)
                kill(e->pid, signo);
}

static void on_message(void *userdata, struct json_object *message)
{
        struct exec *e = userdata;
        struct error err = ERROR_INIT;
        struct request_message m;

        if (request_read_message(message, &m, &err) < 0)
                log_warning("a message for '%s' that is not understood: %s", e->argv[0], err.message);
        else if (m.signo)
                signal_group(e, m.signo);
        else if (e->slave >= 0)
                pty_resize(e->outputs[0].fd, m.size);
}

static bool group_is_gone(const struct exec *e)
{
        return !e->child && kill(-e->pid, 0) < 0 && errno == ESRCH;
}

static void on_kill_timer(void *userdata)
{
        struct exec *e = userdata;

        loop_source_free(take_ptr(e->kill_timer));
        log_info("'%s' (pid %d) did not end on SIGHUP: killed", e->argv[0], e->pid);
        signal_group(e, SIGKILL);
        free_when_done(e);
}

void exec_kill_later(struct exec *e)
{
        e->kill_timer = loop_add_timer(e->agent->loop, on_kill_timer, e);
        loop_timer_arm(e->kill_timer, EXEC_KILL_AFTER_MS);
}

/* The stream is gone, by the host or in a sync. SIGCONT, because a stopped process does not hear the SIGHUP. A terminal
 * is hung up by closing it: the session's leader is told, and the foreground group when that one has ended. */
static void on_closed(void *userdata)
{
        struct exec *e = userdata;

        e->stream = NULL;
        if (!group_is_gone(e)) {
                signal_group(e, SIGHUP);
                signal_group(e, SIGCONT);
                exec_kill_later(e);
        }
        close_all(e);
        free_when_done(e);
}

static void on_child(void *userdata, int wait_status)
{
        struct exec *e = userdata;

        loop_source_free(take_ptr(e->child));
        e->wait_status = wait_status;
        if (e->stream) {
                read_rest(e);
                exec_finish_when_done(e);
                return;
        }
        if (e->kill_timer && group_is_gone(e))
                loop_source_free(take_ptr(e->kill_timer));
        free_when_done(e);
}

void exec_watch_child(struct exec *e)
{
        e->child = loop_add_child(e->agent->loop, e->pid, on_child, e);
}

void exec_watch_outputs(struct exec *e)
{
        for (size_t i = 0; i < ARRAY_SIZE(e->outputs); i++) {
                struct output *o = &e->outputs[i];

                if (o->fd >= 0)
                        o->source = loop_add_fd(e->agent->loop, o->fd, EPOLLIN | EPOLLET, on_output, o);
        }
        read_rest(e);
}

/* ---- start */

static struct spawn_plan plan_of(const struct exec *e)
{
        return (struct spawn_plan){.argv = e->argv,
                                   .program = e->login ? e->account.shell : NULL,
                                   .environment = e->environment,
                                   .account = &e->account,
                                   .cwd = e->cwd,
                                   .nofile = e->agent->nofile,
                                   .where = "the VM",
                                   .terminal = e->slave >= 0};
}

static void on_status(void *userdata, uint32_t events)
{
        struct exec *e = userdata;
        struct spawn_failure failure;
        struct error err = ERROR_INIT;
        struct json_object *reply;
        ssize_t n;

        (void)events;
        n = read(e->status_fd, &failure, sizeof(failure));
        if (n < 0)
                return; /* interrupted: it is still there */
        if (n == (ssize_t)sizeof(failure)) {
                const struct spawn_plan plan = plan_of(e);

                spawn_failure_error(&failure, &plan, &err);
                exec_fail(e, &err);
                return;
        }
        close_status(e);
        reply = json_new();
        json_add_u64(reply, "pid", (uint64_t)e->pid);
        stream_reply(e->stream, varlink_reply_new(reply, true));
        if (e->outputs[1].fd < 0)
                stream_eof(e->stream, e->outputs[1].channel); /* a terminal has only one */
        exec_watch_outputs(e);
}

static int open_pipe(int *ret_read, int *ret_write, struct error *err)
{
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_errno(err, errno, "cannot make a pipe");
        fcntl(fds[0], F_SETPIPE_SZ, PIPE_SIZE); /* refused to users with many pipes: then it is slower */
        *ret_read = fds[0];
        *ret_write = fds[1];
        return 0;
}

static int open_pipes(struct exec *e, int *ret_in, int *ret_out, int *ret_errors, struct error *err)
{
        int in;

        if (open_pipe(ret_in, &in, err) < 0)
                return -1;
        fcntl(in, F_SETFL, O_NONBLOCK);
        input_open(&e->input, e->agent->loop, e->stream, in, -1);
        if (open_pipe(&e->outputs[0].fd, ret_out, err) < 0 || open_pipe(&e->outputs[1].fd, ret_errors, err) < 0)
                return -1;
        fcntl(e->outputs[0].fd, F_SETFL, O_NONBLOCK);
        fcntl(e->outputs[1].fd, F_SETFL, O_NONBLOCK);
        return 0;
}

/* The master is there twice, because each of its directions is watched and closed like a pipe. */
static int open_terminal(struct exec *e, struct terminal_size size, struct error *err)
{
        int in;

        if (pty_open(e->account.uid, size, &e->outputs[0].fd, &e->slave, err) < 0)
                return -1;
        in = fcntl(e->outputs[0].fd, F_DUPFD_CLOEXEC, 0);
        if (in < 0)
                return error_errno(err, errno, "cannot open the terminal in the VM");
        input_open(&e->input, e->agent->loop, e->stream, in, e->slave);
        return 0;
}

static int start(struct exec *e, const struct request *request, struct error *err)
{
        autoclose int in = -1, out = -1, errors = -1; /* of pipes */
        struct spawn_plan plan;

        if (request->exec.terminal ? open_terminal(e, request->exec.size, err) < 0 : open_pipes(e, &in, &out, &errors, err) < 0)
                return -1;
        plan = plan_of(e);
        plan.fds[0] = plan.terminal ? e->slave : in;
        plan.fds[1] = plan.terminal ? e->slave : out;
        plan.fds[2] = plan.terminal ? e->slave : errors;
        if (spawn(&plan, &e->pid, &e->status_fd, err) < 0)
                return -1;
        exec_watch_child(e);
        e->agent->n_starting++;
        e->status_source = loop_add_fd(e->agent->loop, e->status_fd, EPOLLIN, on_status, e);
        return 0;
}

/* What the account, which is found, and the request make of it. */
static void prepare(struct exec *e, struct request *request)
{
        const char *shell = strrchr(e->account.shell, '/');

        e->argv = take_ptr(request->exec.argv);
        e->login = request->exec.login;
        if (e->login) /* the dash is how login(1) says so */
                strv_addf(&e->argv, "-%s", shell ? shell + 1 : e->account.shell);
        e->cwd = take_ptr(request->exec.cwd);
        e->environment = account_environment(&e->account, LOCALE_FILE, request->exec.environment);
        if (request->exec.terminal && !environment_get(e->environment, "TERM"))
                strv_addf(&e->environment, "TERM=%s", request->exec.terminal);
}

struct exec *exec_new(struct agent *agent, struct stream *stream)
{
        static const struct stream_ops ops = {
                .data = on_data, .eof = on_eof, .message = on_message, .credit = on_credit, .closed = on_closed};
        struct exec *e = xcalloc(1, sizeof(*e));

        agent->n_running++;
        LIST_INSERT_HEAD(&agent->commands, e, link);
        e->agent = agent;
        e->stream = stream;
        e->status_fd = e->slave = -1;
        e->input = (struct input)INPUT_INIT;
        for (size_t i = 0; i < ARRAY_SIZE(e->outputs); i++)
                e->outputs[i] =
                        (struct output){.pump.fn = on_output_turn, .exec = e, .channel = (uint8_t)(CHANNEL_STDOUT + i), .fd = -1};
        if (stream)
                stream_take(stream, &ops, e);
        return e;
}

void exec_start(struct agent *agent, struct stream *stream, struct request *request)
{
        struct exec *e = exec_new(agent, stream);
        struct error err = ERROR_INIT;

        if (account_find(request->exec.user, &e->account, &err) < 0) {
                exec_fail(e, &err);
                return;
        }
        prepare(e, request);
        if (start(e, request, &err) < 0)
                exec_fail(e, &err);
}
