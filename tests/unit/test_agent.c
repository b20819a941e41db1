/* SPDX-License-Identifier: MIT */
/* The agent's protocol: sync, streams, credits, limits, its end. What commands see is in test_agent_exec.c. */
#include "agent_host.h"

#include "base/file.h"
#include "base/process.h"
#include "wire/varlink.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Room that the agent may take over what it had when idle: its queue and the decoder's, ASan's margins. */
#define GROWTH_MAX (16u << 20)

static bool has_please(void *userdata)
{
        return ((struct host *)userdata)->pleases > 0;
}

static bool has_ended(void *userdata)
{
        return ((struct host *)userdata)->ended;
}

static void assert_alive(struct host *h)
{
        struct run *r = host_exec(h, "true", NULL);

        host_wait(h, r);
        assert_int_equal(r->exited, 0);
}

static void test_start(void **state)
{
        struct host *h = host_start(NULL);
        (void)state;

        assert_true(host_until(h, HOST_DEADLINE_MS, has_please, h));
        assert_int_equal(h->decoder.dropped, FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX); /* the padding */
        host_sync(h, false);
        assert_alive(h);
        host_stop(h);
}

static void test_hello(void **state)
{
        struct host *h = host_start_synced();
        autofree char *boot_id = file_read("/proc/sys/kernel/random/boot_id", 64, NULL, NULL);
        struct utsname system;
        struct run *r;
        (void)state;

        uname(&system);
        boot_id[strcspn(boot_id, "\n")] = '\0';
        assert_string_equal(json_get_string(h->hello, "bootId", ""), boot_id);
        assert_string_equal(json_get_string(h->hello, "kernel", ""), system.release);
        assert_string_equal(json_get_string(h->hello, "hostname", ""), system.nodename);
        assert_true(json_get_string(h->hello, "agentVersion", "")[0]);
        assert_true(json_get_string(h->hello, "architecture", "")[0]);
        assert_non_null(json_get_string(h->hello, "machineId", NULL));
        assert_int_equal(json_get_u64(h->hello, "protocolMin", 0), 1);
        assert_int_equal(json_get_u64(h->hello, "protocolMax", 0), 1);
        r = host_open(h, "{\"method\":\"org.initvm.agent.GetInfo\"}");
        host_wait(h, r);
        assert_string_equal(json_line(r->parameters), json_line(h->hello));
        host_stop(h);
}

static void test_garbage_before_sync(void **state)
{
        static const char open[] = "{\"method\":\"org.initvm.agent.Shutdown\",\"parameters\":{\"mode\":\"poweroff\"}}";
        struct host *h = host_start(NULL);
        autobuf struct buf garbage = {0};
        (void)state;

        frame_write(&garbage, FRAME_OPEN, 1, 0, open, strlen(open)); /* before any sync: not for us */
        for (size_t i = 0; i < 200000; i++)
                buf_append(&garbage, &(uint8_t){(uint8_t)(i * i)}, 1);
        buf_append(&garbage, SYNC_MAGIC, 10);
        frame_write_sync(&garbage, SYNC_ANSWER, (const uint8_t *)"somebody else's!", false);
        frame_write(&garbage, FRAME_OPEN, 2, 0, open, strlen(open));
        host_write(h, buf_head(&garbage), buf_size(&garbage));
        host_sync(h, true);
        assert_int_equal(h->n_runs, 0);
        assert_alive(h);
        host_stop(h);
}

/* Cut frames of every kind of length, then a padded sync: the frame is never acted on, what ran is ended. */
static void test_sync_in_mid_frame(void **state)
{
        static const char open[] = "{\"method\":\"org.initvm.agent.Exec\",\"parameters\":{\"argv\":[\"touch\",\"%s\"]}}";
        char folder[] = "/tmp/initvm-test-XXXXXX";
        struct host *h = host_start_synced();
        (void)state;

        assert_non_null(mkdtemp(folder));
        autofree char *file = xasprintf("%s/file", folder), *call = xasprintf(open, file);
        autobuf struct buf frame = {0};
        frame_write(&frame, FRAME_OPEN, 5000, 0, call, strlen(call));
        for (size_t cut = 1; cut < buf_size(&frame); cut += 7) {
                struct run *r = host_exec(h, "sleep", "1000", NULL);
                pid_t pid;

                host_wait_started(h, r);
                pid = (pid_t)r->pid;
                host_write(h, buf_head(&frame), cut);
                host_for(h, 1);
                host_sync(h, true);
                assert_true(process_ends(pid, HOST_DEADLINE_MS));
        }
        assert_alive(h);
        assert_int_equal(access(file, F_OK), -1);
        rmdir(folder);
        host_stop(h);
}

/* The host goes away while our output is cut in mid-frame, and comes back: the rest of the old output is not seen. */
static void test_sync_while_output_waits(void **state)
{
        struct host *h = host_start_synced();
        (void)state;

        for (int round = 0; round < 5; round++) {
                struct run *r = host_exec(h, "yes", NULL);
                uint8_t some[1000];

                host_wait_started(h, r);
                recv(h->fd, some, sizeof(some), MSG_WAITALL); /* lost: now in mid-frame */
                host_sync(h, round % 2);
                assert_alive(h);
        }
        host_stop(h);
}

static void test_two_requests(void **state)
{
        struct host *h = host_start_synced();
        (void)state;

        frame_write_sync(&h->out, SYNC_REQUEST, (const uint8_t *)"an earlier nonce", true);
        frame_write_sync(&h->out, SYNC_PLEASE, (const uint8_t *)"an earlier nonce", false);
        host_sync(h, false);
        assert_int_equal(h->answers, 2);
        assert_alive(h);
        host_stop(h);
}

static void test_bad_calls(void **state)
{
        static const struct {
                const char *call;
                enum error_code code;
                const char *message; /* a part of it */
        } cases[] = {
                {"", ERR_PROTOCOL, "not a Varlink call"},
                {"{\"method\":\"org.initvm.agent.Exec\"", ERR_PROTOCOL, "not a Varlink call"},
                {"[]", ERR_PROTOCOL, "not a Varlink call"},
                {"{}", ERR_PROTOCOL, "'method' is missing"},
                {"{\"method\":\"org.initvm.agent.GetInfo\",\"flags\":1}", ERR_PROTOCOL, "'flags'"},
                {"{\"method\":\"org.initvm.agent.Fly\"}", ERR_UNSUPPORTED, "no method 'org.initvm.agent.Fly'"},
                {"{\"method\":\"Exec\"}", ERR_UNSUPPORTED, "no method 'Exec'"},
                {"{\"method\":\"org.initvm.agent.GetInfo\",\"oneway\":true}", ERR_INVALID, "oneway"},
                {"{\"method\":\"org.initvm.agent.GetInfo\",\"parameters\":{\"a\":1}}", ERR_INVALID, "'a'"},
                {"{\"method\":\"org.initvm.agent.Exec\"}", ERR_INVALID, "'argv' is missing"},
                {"{\"method\":\"org.initvm.agent.Exec\",\"parameters\":{\"argv\":[]}}", ERR_INVALID, "'argv'"},
                {"{\"method\":\"org.initvm.agent.Exec\",\"parameters\":{\"argv\":[\"\"]}}", ERR_INVALID, "'argv'"},
                {"{\"method\":\"org.initvm.agent.Exec\",\"parameters\":{\"argv\":\"ls\"}}", ERR_INVALID, "'argv' must be"},
                {"{\"method\":\"org.initvm.agent.Exec\",\"parameters\":{\"argv\":[\"ls\",1]}}", ERR_INVALID, "'argv' must be"},
                {"{\"method\":\"org.initvm.agent.Exec\",\"parameters\":{\"argv\":[\"ls\"],\"login\":true}}", ERR_INVALID,
                 "'argv' must be empty"},
                {"{\"method\":\"org.initvm.agent.Exec\",\"parameters\":{\"argv\":[],\"login\":1}}", ERR_INVALID,
                 "'login' must be"},
                {"{\"method\":\"org.initvm.agent.Exec\",\"parameters\":{\"argv\":[\"ls\"],\"terminal\":{\"rows\":1,\"columns\":1}"
                 "}}",
                 ERR_INVALID, "'terminal': 'name' is missing"},
                {"{\"method\":\"org.initvm.agent.Exec\",\"parameters\":{\"argv\":[\"ls\"],\"terminal\":{\"name\":\"\",\"rows\":1,"
                 "\"columns\":1}}}",
                 ERR_INVALID, "'terminal' must have a name"},
                {"{\"method\":\"org.initvm.agent.Exec\",\"parameters\":{\"argv\":[\"ls\"],\"terminal\":{\"name\":\"x\",\"rows\":"
                 "65536,\"columns\":1}}}",
                 ERR_INVALID, "'rows' and 'columns'"},
                {"{\"method\":\"org.initvm.agent.Exec\",\"parameters\":{\"argv\":[\"ls\"],\"shell\":true}}", ERR_INVALID,
                 "'shell'"},
                {"{\"method\":\"org.initvm.agent.Exec\",\"parameters\":{\"argv\":[\"ls\"],\"cwd\":\"tmp\"}}", ERR_INVALID,
                 "absolute"},
                {"{\"method\":\"org.initvm.agent.Exec\",\"parameters\":{\"argv\":[\"ls\"],\"environment\":[\"A\"]}}", ERR_INVALID,
                 "NAME=value"},
                {"{\"method\":\"org.initvm.agent.Exec\",\"parameters\":{\"argv\":[\"ls\"],\"environment\":[\"=A\"]}}",
                 ERR_INVALID, "NAME=value"},
                {"{\"method\":\"org.initvm.agent.Shutdown\"}", ERR_INVALID, "'mode' is missing"},
                {"{\"method\":\"org.initvm.agent.Shutdown\",\"parameters\":{\"mode\":\"halt\"}}", ERR_INVALID, "'halt'"},
        };
        struct host *h = host_start_synced();
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct run *r = host_open(h, cases[i].call);

                host_wait(h, r);
                if (r->err.code != cases[i].code || !strstr(r->err.message, cases[i].message))
                        fail_msg("%s: %d %s", cases[i].call, r->err.code, r->err.message);
        }
        host_stop(h);
}

/* A message that had to be cut is still one that can be read. */
static void test_long_name_in_error(void **state)
{
        struct host *h = host_start_synced();
        (void)state;

        for (size_t shift = 0; shift < 4; shift++) {
                autobuf struct buf name = {0};
                struct run *r;

                for (size_t i = 0; i < shift; i++)
                        buf_append(&name, "x", 1);
                for (size_t i = 0; i < 5000; i++)
                        buf_append(&name, "\xf0\x9f\x98\x80", 4);
                buf_append(&name, "", 1);
                r = host_exec(h, (const char *)buf_head(&name), NULL);
                host_wait(h, r);
                assert_int_equal(r->err.code, ERR_NO_COMMAND);
                assert_true(strlen(r->err.message) > ERROR_MESSAGE_MAX - 8);
        }
        host_stop(h);
}

static void test_protocol_breaches(void **state)
{
        struct host *h = host_start_synced();
        uint8_t *block = calloc(1, FRAME_PAYLOAD_MAX);
        struct run *r;
        (void)state;

        /* More than the window. */
        r = host_exec(h, "sleep", "1000", NULL);
        r->credit = 0;
        for (size_t sent = 0; sent < 4 * FRAME_WINDOW; sent += FRAME_PAYLOAD_MAX) /* the pipe takes one */
                frame_write(&h->out, FRAME_DATA, r->id, CHANNEL_STDIN, block, FRAME_PAYLOAD_MAX);
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_PROTOCOL);

        /* Data for a channel that is the other way. */
        r = host_exec(h, "sleep", "1000", NULL);
        frame_write(&h->out, FRAME_DATA, r->id, CHANNEL_STDERR, "x", 1);
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_PROTOCOL);

        /* Credit for what was not spent, and credit that is none. */
        r = host_exec(h, "sleep", "1000", NULL);
        frame_write_credit(&h->out, r->id, 1);
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_PROTOCOL);
        r = host_exec(h, "sleep", "1000", NULL);
        frame_write(&h->out, FRAME_CREDIT, r->id, 0, "x", 1);
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_PROTOCOL);

        /* A message that is no JSON; one that is not understood is passed over. */
        r = host_exec(h, "sleep", "1000", NULL);
        host_message(h, r, "{\"window\":[80,25]}");
        host_message(h, r, "{\"signal\":0}");
        host_message(h, r, "{\"signal\":65}");
        host_wait_started(h, r);
        assert_false(r->done);
        host_message(h, r, "{");
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_PROTOCOL);

        /* Frames of streams that are not there, or not to be opened. */
        for (int type = FRAME_MESSAGE; type <= FRAME_CLOSE; type++) {
                frame_write(&h->out, type, 0, 0, "{}", 2);
                frame_write(&h->out, type, 99999, 0, "{}", 2);
        }
        frame_write(&h->out, FRAME_OPEN, 0, 0, "{}", 2);
        r = host_exec(h, "cat", NULL);
        host_wait_started(h, r);
        frame_write(&h->out, FRAME_OPEN, r->id, 0, "{}", 2);
        frame_write(&h->out, FRAME_EOF, r->id, CHANNEL_STDIN, NULL, 0);
        frame_write(&h->out, FRAME_EOF, r->id, CHANNEL_STDIN, NULL, 0);
        frame_write(&h->out, FRAME_DATA, r->id, CHANNEL_STDIN, "late", 4);
        host_wait(h, r);
        assert_int_equal(r->exited, 0);
        assert_int_equal(r->received[CHANNEL_STDOUT], 0);
        free(block);
        host_stop(h);
}

/* 256 at once, the next one is refused; one sync ends them all, and then there is room again. */
static void test_stream_limit(void **state)
{
        struct host *h = host_start_synced();
        struct run *r = NULL, *first = NULL;
        pid_t pids[2];
        (void)state;

        for (int i = 0; i < 256; i++) {
                r = host_exec(h, "sleep", "1000", NULL);
                first = first ? first : r;
        }
        host_wait_started(h, r);
        pids[0] = (pid_t)first->pid;
        pids[1] = (pid_t)r->pid;
        r = host_exec(h, "true", NULL);
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_STATE);
        host_sync(h, false);
        for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
                assert_true(process_ends(pids[i], HOST_DEADLINE_MS));
        do {
                r = host_exec(h, "true", NULL);
                host_wait(h, r);
        } while (r->err.code == ERR_STATE && h->n_runs < RUNS_MAX); /* the last of them may still be about to be reaped */
        assert_int_equal(r->exited, 0);
        host_stop(h);
}

/* Floods on both outputs without credit: a window each comes, memory stays, nothing spins, others are served. */
static void test_flood_without_credit(void **state)
{
        struct host *h = host_start_synced();
        struct run *floods[8];
        uint64_t rss, ticks;
        (void)state;

        assert_alive(h);
        rss = process_rss(h->pid);
        for (size_t i = 0; i < ARRAY_SIZE(floods); i++) {
                floods[i] = host_exec(h, "sh", "-c", "echo; echo >&2; yes >&2 & exec yes", NULL);
                floods[i]->no_grants = true;
        }
        for (size_t i = 0; i < ARRAY_SIZE(floods); i++)
                host_wait_output(h, floods[i], FRAME_WINDOW);
        ticks = process_ticks(h->pid);
        host_for(h, 500);
        assert_true(process_ticks(h->pid) - ticks <= (uint64_t)sysconf(_SC_CLK_TCK) / 10);
        assert_alive(h);
        for (size_t i = 0; i < ARRAY_SIZE(floods); i++) {
                assert_int_equal(floods[i]->received[1] + floods[i]->received[2], FRAME_WINDOW);
                assert_true(floods[i]->received[1] > 0 && floods[i]->received[2] > 0);
        }
        assert_true(process_rss(h->pid) < rss + GROWTH_MAX);
        for (size_t i = 0; i < ARRAY_SIZE(floods); i++)
                assert_true(process_rss((pid_t)floods[i]->pid) > 0); /* they wait, they were not killed */
        /* A credit, and it goes on. */
        frame_write_credit(&h->out, floods[3]->id, 1000);
        floods[3]->no_grants = false;
        host_wait_output(h, floods[3], FRAME_WINDOW + 1000);
        host_stop(h);
}

/* The host reads nothing at all while commands flood and it asks for more: bounded, no spinning. */
static void test_host_does_not_read(void **state)
{
        static const char flood[] = "{\"method\":\"org.initvm.agent.Exec\",\"parameters\":{\"argv\":[\"yes\"]}}";
        static const char unknown[] = "{\"method\":\"no\"}";
        struct host *h = host_start_synced();
        uint64_t rss = process_rss(h->pid), ticks;
        autobuf struct buf calls = {0};
        (void)state;

        for (uint32_t id = 1; id <= 20; id++)
                frame_write(&calls, FRAME_OPEN, 10000 + id, 0, flood, strlen(flood));
        for (uint32_t id = 1; id <= 40000; id++)
                frame_write(&calls, FRAME_OPEN, 20000 + id, 0, unknown, strlen(unknown));
        for (;;) {
                struct timeval wait = {.tv_usec = 300000};
                ssize_t n;

                fd_set_nonblock(h->fd, false);
                setsockopt(h->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
                n = send(h->fd, buf_head(&calls), buf_size(&calls), MSG_NOSIGNAL);
                if (n <= 0)
                        break; /* the agent does not take any more */
                buf_consume(&calls, (size_t)n);
        }
        fd_set_nonblock(h->fd, true);
        assert_true(buf_size(&calls) > 0);
        ticks = process_ticks(h->pid);
        assert_false(process_ends(h->pid, 500));
        assert_true(process_ticks(h->pid) - ticks <= (uint64_t)sysconf(_SC_CLK_TCK) / 10);
        assert_true(process_rss(h->pid) < rss + GROWTH_MAX);
        host_sync(h, true);
        assert_alive(h);
        host_stop(h);
}

static void test_end_of_channel(void **state)
{
        struct host *h = host_start_synced();
        struct run *r = host_exec(h, "sleep", "1000", NULL);
        pid_t pid;
        (void)state;

        host_wait_started(h, r);
        pid = (pid_t)r->pid;
        host_stop(h);
        assert_true(process_ends(pid, HOST_DEADLINE_MS));
}

/* Told to end, the agent leaves what it started alone. */
static void test_sigterm(void **state)
{
        struct host *h = host_start_synced();
        struct run *r = host_exec(h, "sleep", "1000", NULL);
        pid_t pid;
        (void)state;

        host_wait_started(h, r);
        pid = (pid_t)r->pid;
        kill(h->pid, SIGTERM);
        assert_true(host_until(h, HOST_DEADLINE_MS, has_ended, h));
        assert_int_equal(host_wait_exit(h), 0);
        assert_false(process_ends(pid, 100));
        kill(pid, SIGKILL);
}

static void test_shutdown(void **state)
{
        static const char script[] = "#!/bin/sh\necho \"$@\" >${0%/*}/said\n[ $2 = poweroff ]\n";
        char folder[] = "/tmp/initvm-test-XXXXXX";
        struct host *h;
        struct run *r;
        (void)state;

        assert_non_null(mkdtemp(folder));
        autofree char *program = xasprintf("%s/systemctl", folder), *said = xasprintf("%s/said", folder);
        autofree char *path = xasprintf("PATH=%s:/usr/bin:/bin", folder);
        char *const environment[] = {path, NULL};
        assert_return_code(file_write_atomic(program, 0755, script, strlen(script), NULL), 0);
        h = host_start(environment);
        host_sync(h, true);
        r = host_open(h, "{\"method\":\"org.initvm.agent.Shutdown\",\"parameters\":{\"mode\":\"poweroff\"}}");
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_NONE);
        autofree char *text = file_read(said, 100, NULL, NULL);
        assert_string_equal(text, "--no-block poweroff\n");
        r = host_open(h, "{\"method\":\"org.initvm.agent.Shutdown\",\"parameters\":{\"mode\":\"reboot\"}}");
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_FAILED);
        assert_non_null(strstr(r->err.message, "exit status 1"));
        host_stop(h);
        tree_remove(folder, NULL);
}

static int run_agent(const char *port)
{
        autofree char *path = host_agent_path();
        char *const argv[] = {path, (char *)"--port", (char *)port, NULL};
        int status;
        pid_t pid;

        assert_return_code(process_spawn(argv, NULL, &pid, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_ports(void **state)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char folder[] = "/tmp/initvm-test-XXXXXX";
        autofree char *path = host_agent_path();
        autoclose int listener = -1, fd = -1;
        pid_t pid;
        int status;
        (void)state;

        assert_int_equal(run_agent("/nonexistent/port"), 1);
        assert_int_equal(run_agent("/etc/passwd"), 2);
        assert_int_equal(run_agent("fd:x"), 2);
        assert_int_equal(run_agent("fd:77"), 1);

        assert_non_null(mkdtemp(folder));
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
        listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_return_code(bind(listener, (struct sockaddr *)&address, sizeof(address)), errno);
        assert_return_code(listen(listener, 1), errno);
        char *const argv[] = {path, (char *)"--port", address.sun_path, NULL};
        assert_return_code(process_spawn(argv, NULL, &pid, NULL), 0);
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_return_code(fd, errno);
        close(take_fd(&fd));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        tree_remove(folder, NULL);
}

/* As an SSH server runs it: two fds, whose end is the agent's. Commands see nothing of them. */
static void run_on_stdio(int in, int out, pid_t *ret_pid)
{
        autofree char *path = host_agent_path();
        char *const argv[] = {path, (char *)"--stdio", NULL};
        const struct process_fd fds[] = {{in, STDIN_FILENO}, {out, STDOUT_FILENO}, {STDERR_FILENO, STDERR_FILENO}};
        const struct process_options options = {.fds = fds, .n_fds = ARRAY_SIZE(fds), .death_signal = SIGKILL};

        assert_return_code(process_spawn(argv, &options, ret_pid, NULL), 0);
}

static void test_stdio(void **state)
{
        int input[2], output[2], status;
        struct host *h;
        struct run *r;
        pid_t pid;
        (void)state;

        assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, input), errno);
        run_on_stdio(input[1], input[1], &pid);
        close(input[1]);
        h = host_attach(input[0]);
        host_sync(h, true);
        assert_alive(h);
        r = host_exec(h, "readlink", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", NULL);
        host_wait(h, r);
        assert_null(strstr(run_text(r, CHANNEL_STDOUT), "socket:"));
        host_detach(h);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);

        /* Pipes: its greeting goes out on the one, the end comes in on the other. */
        assert_return_code(pipe2(input, O_CLOEXEC), errno);
        assert_return_code(pipe2(output, O_CLOEXEC), errno);
        run_on_stdio(input[0], output[1], &pid);
        close(input[0]);
        close(output[1]);
        h = host_attach(output[0]);
        assert_true(host_until(h, HOST_DEADLINE_MS, has_please, h));
        close(input[1]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        host_detach(h);

        /* A file would never say that there is more. */
        int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
        run_on_stdio(file, file, &pid);
        close(file);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WEXITSTATUS(status), 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_start),
                cmocka_unit_test(test_hello),
                cmocka_unit_test(test_garbage_before_sync),
                cmocka_unit_test(test_sync_in_mid_frame),
                cmocka_unit_test(test_sync_while_output_waits),
                cmocka_unit_test(test_two_requests),
                cmocka_unit_test(test_bad_calls),
                cmocka_unit_test(test_long_name_in_error),
                cmocka_unit_test(test_protocol_breaches),
                cmocka_unit_test(test_stream_limit),
                cmocka_unit_test(test_flood_without_credit),
                cmocka_unit_test(test_host_does_not_read),
                cmocka_unit_test(test_end_of_channel),
                cmocka_unit_test(test_sigterm),
                cmocka_unit_test(test_shutdown),
                cmocka_unit_test(test_ports),
                cmocka_unit_test(test_stdio),
        };

        return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}
