/* SPDX-License-Identifier: MIT */
#include "agent_host.h"

#include "base/file.h"
#include "base/process.h"
#include "wire/varlink.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Above it no more stdin is queued: the rest waits for the socket. */
#define OUT_ROOM (256u * 1024)

char *host_agent_path(void)
{
        const char *path = getenv("INITVM_AGENT"), *bin = getenv("INITVM_BIN");

        if (path)
                return xstrdup(path);
        return xasprintf("%s/initvm-agent", bin ? bin : "build/bin");
}

struct host *host_attach(int owned_fd)
{
        struct host *h = xcalloc(1, sizeof(*h));

        fd_set_nonblock(owned_fd, true);
        h->fd = owned_fd;
        h->next_id = 1;
        frame_decoder_init(&h->decoder, true);
        return h;
}

struct host *host_start(char *const *environment)
{
        struct host *h;
        autofree char *path = host_agent_path();
        char *const argv[] = {path, (char *)"--port", (char *)"fd:3", NULL};
        int pair[2];
        struct error err = ERROR_INIT;

        assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), errno);
        const struct process_fd fds[] = {{.from = pair[1], .to = 3}, {.from = STDERR_FILENO, .to = STDERR_FILENO}};
        const struct process_options options = {
                .fds = fds, .n_fds = ARRAY_SIZE(fds), .environment = environment, .death_signal = SIGKILL};
        h = host_attach(pair[0]);
        if (process_spawn(argv, &options, &h->pid, &err) < 0)
                fail_msg("%s (build it, or set INITVM_AGENT)", err.message);
        close(pair[1]);
        return h;
}

struct host *host_start_synced(void)
{
        struct host *h = host_start(NULL);

        host_sync(h, true);
        return h;
}

static void run_free(struct run *r)
{
        for (size_t i = 0; i < ARRAY_SIZE(r->out); i++)
                buf_done(&r->out[i]);
        json_object_put(r->parameters);
        free(r->address);
        free(r);
}

static void forget_runs(struct host *h)
{
        for (size_t i = 0; i < h->n_runs; i++)
                run_free(h->runs[i]);
        h->n_runs = 0;
}

void host_detach(struct host *h)
{
        if (h->fd >= 0)
                close(h->fd);
        forget_runs(h);
        json_object_put(h->hello);
        frame_decoder_done(&h->decoder);
        buf_done(&h->out);
        free(h);
}

int host_wait_exit(struct host *h)
{
        int status;

        assert_true(process_ends(h->pid, HOST_DEADLINE_MS));
        assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
        host_detach(h);
        return status;
}

void host_stop(struct host *h)
{
        close(h->fd);
        h->fd = -1;
        assert_int_equal(host_wait_exit(h), 0);
}

/* ---- what comes */

static uint8_t pattern(uint64_t at)
{
        return (uint8_t)((at * 2654435761u) >> 13);
}

static struct run *find_run(struct host *h, uint32_t id)
{
        for (size_t i = 0; i < h->n_runs; i++)
                if (h->runs[i]->id == id)
                        return h->runs[i];
        return NULL;
}

static void take_data(struct host *h, struct run *r, const struct frame *f)
{
        assert_in_range(f->channel, CHANNEL_STDOUT, CHANNEL_STDERR);
        assert_false(r->eof[f->channel]);
        assert_false(r->done);
        assert_true(r->started);
        assert_true(f->size > 0);
        if (r->echo)
                for (size_t i = 0; i < f->size; i++)
                        assert_int_equal(f->payload[i], pattern(r->received[CHANNEL_STDOUT] + i));
        else
                buf_append(&r->out[f->channel], f->payload, f->size);
        r->received[f->channel] += f->size;
        if (!r->no_grants)
                frame_write_credit(&h->out, r->id, (uint32_t)f->size);
        else
                assert_true(r->received[1] + r->received[2] <= FRAME_WINDOW);
}

static void take_continued(struct run *r, struct json_object *parameters)
{
        r->started = true;
        r->pid = json_get_u64(parameters, "pid", r->pid);
        assert_true(r->pid != 1);
        if (json_get(parameters, "address"))
                r->address = xstrdup(json_get_string(parameters, "address", ""));
        if (json_get(parameters, "connection")) {
                assert_true(r->n_connections < RUN_CONNECTIONS_MAX);
                r->connections[r->n_connections++] = json_get_u64(parameters, "connection", 0);
        }
}

static void take_message(struct run *r, const struct frame *f)
{
        autojson struct json_object *m = json_parse((const char *)f->payload, f->size, NULL);
        struct json_object *parameters = NULL;
        bool continues = false;

        assert_non_null(m);
        assert_false(r->done);
        if (varlink_read_reply(m, &parameters, &continues, &r->err) == 0 && continues) {
                take_continued(r, parameters);
                return;
        }
        r->done = true;
        r->parameters = json_object_get(parameters);
        r->exited = (int)json_get_u64(parameters, "exited", UINT64_MAX);
        r->signaled = (int)json_get_u64(parameters, "signaled", UINT64_MAX);
        if (r->exited >= 0 || r->signaled >= 0)
                assert_true(r->eof[CHANNEL_STDOUT] && r->eof[CHANNEL_STDERR]);
}

static void take_peer_message(struct host *h, const struct frame *f)
{
        struct json_object *m = json_parse((const char *)f->payload, f->size, NULL);
        struct varlink_call call;

        assert_non_null(m);
        assert_return_code(varlink_read_call(m, &call, NULL), 0);
        assert_string_equal(call.method, "org.initvm.agent.Hello");
        assert_true(call.oneway);
        json_object_put(h->hello);
        h->hello = json_object_get(call.parameters);
        json_object_put(m);
}

static void take_sync(struct host *h, const struct frame *f)
{
        if (f->stream == SYNC_PLEASE)
                h->pleases++;
        if (f->stream == SYNC_ANSWER && memcmp(f->payload, h->nonce, SYNC_NONCE_SIZE) == 0) {
                h->answers++;
                h->synced = true;
        }
}

static void take_frame(struct host *h, const struct frame *f)
{
        struct run *r;

        if (f->type == FRAME_SYNC) {
                take_sync(h, f);
                return;
        }
        if (!h->synced)
                return;
        if (f->stream == 0) {
                assert_int_equal(f->type, FRAME_MESSAGE);
                take_peer_message(h, f);
                return;
        }
        r = find_run(h, f->stream);
        if (!r)
                return;
        assert_false(r->closed);
        switch (f->type) {
        case FRAME_DATA:
                take_data(h, r, f);
                break;
        case FRAME_EOF:
                r->eof[f->channel] = true;
                break;
        case FRAME_MESSAGE:
                take_message(r, f);
                break;
        case FRAME_CREDIT:
                r->credit += frame_credit(f);
                assert_in_range(r->credit, 1, FRAME_WINDOW);
                break;
        case FRAME_CLOSE:
                r->closed = true;
                break;
        default:
                fail_msg("unexpected frame of type %d", f->type);
        }
}

static void read_in(struct host *h)
{
        for (int i = 0; i < 16 && !h->ended; i++) {
                struct frame f;
                ssize_t n = read(h->fd, buf_reserve(&h->decoder.in, 64 * 1024), 64 * 1024);

                if (n < 0 && errno == EAGAIN)
                        return;
                if (n <= 0) {
                        h->ended = true;
                        return;
                }
                buf_commit(&h->decoder.in, (size_t)n);
                while (frame_decoder_next(&h->decoder, &f) == 1)
                        take_frame(h, &f);
        }
}

/* ---- what goes */

static void queue_stdin(struct host *h)
{
        static uint8_t chunk[FRAME_PAYLOAD_MAX];

        for (size_t k = 0; k < h->n_runs; k++) {
                struct run *r = h->runs[k];

                while (r->to_send > 0 && r->credit > 0 && !r->closed && buf_size(&h->out) < OUT_ROOM) {
                        size_t n = MIN(MIN(r->to_send, r->credit), FRAME_PAYLOAD_MAX);
                        for (size_t i = 0; i < n; i++)
                                chunk[i] = r->content ? r->content[r->sent + i] : pattern(r->sent + i);
                        frame_write(&h->out, FRAME_DATA, r->id, CHANNEL_STDIN, chunk, n);
                        r->credit -= (uint32_t)n;
                        r->sent += n;
                        r->to_send -= n;
                }
                if (r->sent > 0 && r->to_send == 0 && !r->eof_sent) {
                        frame_write(&h->out, FRAME_EOF, r->id, CHANNEL_STDIN, NULL, 0);
                        r->eof_sent = true;
                }
        }
}

static void write_out(struct host *h)
{
        while (buf_size(&h->out) > 0) {
                ssize_t n = send(h->fd, buf_head(&h->out), buf_size(&h->out), MSG_NOSIGNAL);

                if (n <= 0)
                        return;
                buf_consume(&h->out, (size_t)n);
        }
}

bool host_until(struct host *h, int ms, bool (*done)(void *userdata), void *userdata)
{
        uint64_t end = now_ms() + (uint64_t)ms;

        for (;;) {
                struct pollfd p = {.fd = h->fd, .events = POLLIN};
                uint64_t now = now_ms();

                queue_stdin(h);
                write_out(h);
                if (done && done(userdata))
                        return true;
                if (now >= end || h->ended)
                        return false;
                if (buf_size(&h->out) > 0)
                        p.events |= POLLOUT;
                if (poll(&p, 1, (int)(end - now)) > 0)
                        read_in(h);
        }
}

void host_for(struct host *h, int ms)
{
        host_until(h, ms, NULL, NULL);
}

void host_write(struct host *h, const void *data, size_t n)
{
        buf_append(&h->out, data, n);
}

static bool is_greeted(void *userdata)
{
        struct host *h = userdata;

        return h->synced && h->hello;
}

void host_sync(struct host *h, bool pad)
{
        random_bytes(h->nonce, sizeof(h->nonce));
        h->synced = false;
        json_object_put(h->hello);
        h->hello = NULL;
        forget_runs(h);
        frame_decoder_done(&h->decoder);
        frame_decoder_init(&h->decoder, true);
        frame_write_sync(&h->out, SYNC_REQUEST, h->nonce, pad);
        assert_true(host_until(h, HOST_DEADLINE_MS, is_greeted, h));
}

/* ---- streams */

struct run *host_open(struct host *h, const char *call)
{
        struct run *r = xcalloc(1, sizeof(*r));

        assert_true(h->n_runs < RUNS_MAX);
        r->id = h->next_id++;
        r->credit = FRAME_WINDOW;
        r->exited = r->signaled = -1;
        h->runs[h->n_runs++] = r;
        frame_write(&h->out, FRAME_OPEN, r->id, 0, call, strlen(call));
        return r;
}

struct run *host_exec_json(struct host *h, const char *parameters)
{
        autofree char *call = xasprintf("{\"method\":\"org.initvm.agent.Exec\",\"more\":true,\"parameters\":%s}", parameters);

        return host_open(h, call);
}

struct run *host_exec(struct host *h, ...)
{
        autojson struct json_object *parameters = json_new();
        struct json_object *argv = json_object_new_array();
        va_list ap;

        va_start(ap, h);
        for (const char *s; (s = va_arg(ap, const char *));)
                json_object_array_add(argv, json_object_new_string(s));
        va_end(ap);
        json_add(parameters, "argv", argv);
        return host_exec_json(h, json_line(parameters));
}

void host_message(struct host *h, struct run *r, const char *json)
{
        frame_write(&h->out, FRAME_MESSAGE, r->id, 0, json, strlen(json));
}

void host_close(struct host *h, struct run *r)
{
        frame_write(&h->out, FRAME_CLOSE, r->id, 0, NULL, 0);
        r->closed = true;
        r->id = 0; /* what is still on its way is passed over */
}

static bool is_closed(void *userdata)
{
        return ((struct run *)userdata)->closed;
}

void host_wait(struct host *h, struct run *r)
{
        if (!host_until(h, HOST_DEADLINE_MS, is_closed, r))
                fail_msg("stream %u was not closed in time", r->id);
        assert_true(r->done);
}

static bool is_started(void *userdata)
{
        struct run *r = userdata;

        return r->started || r->done;
}

void host_wait_started(struct host *h, struct run *r)
{
        assert_true(host_until(h, HOST_DEADLINE_MS, is_started, r));
        if (!r->started)
                fail_msg("it did not start: %s", r->err.message);
}

struct connections_wait {
        struct run *run;
        size_t n;
};

static bool has_connections(void *userdata)
{
        struct connections_wait *w = userdata;

        return w->run->n_connections >= w->n;
}

void host_wait_connections(struct host *h, struct run *r, size_t n)
{
        struct connections_wait w = {r, n};

        assert_true(host_until(h, HOST_DEADLINE_MS, has_connections, &w));
}

struct output_wait {
        struct run *run;
        size_t n;
};

static bool has_output(void *userdata)
{
        struct output_wait *w = userdata;

        return w->run->received[1] + w->run->received[2] >= w->n;
}

void host_wait_output(struct host *h, struct run *r, size_t n)
{
        struct output_wait w = {r, n};

        assert_true(host_until(h, HOST_DEADLINE_MS, has_output, &w));
}

const char *run_text(struct run *r, enum frame_channel channel)
{
        buf_append(&r->out[channel], "", 1);
        r->out[channel].end--;
        return (const char *)buf_head(&r->out[channel]);
}

/* ---- processes */

bool process_ends(pid_t pid, int ms)
{
        autoclose int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        struct pollfd p = {.fd = fd, .events = POLLIN};

        return fd < 0 || poll(&p, 1, ms) == 1;
}

uint64_t process_rss(pid_t pid)
{
        autofree char *path = xasprintf("/proc/%d/statm", pid), *text = file_read(path, 4096, NULL, NULL);
        unsigned long size, resident;

        assert_non_null(text);
        assert_int_equal(sscanf(text, "%lu %lu", &size, &resident), 2);
        return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t process_ticks(pid_t pid)
{
        autofree char *path = xasprintf("/proc/%d/stat", pid), *text = file_read(path, 4096, NULL, NULL);
        unsigned long user, system;
        const char *after;

        assert_non_null(text);
        after = strrchr(text, ')');
        assert_non_null(after);
        assert_int_equal(sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system), 2);
        return user + system;
}
