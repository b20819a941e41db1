/* SPDX-License-Identifier: MIT */
/* The agent is replaced while it works: its commands and their streams go on, or nothing happens at all. */
#include "agent_host.h"
#include "scratch.h"

#include "base/file.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define PROGRAM_MAX ((size_t)64 << 20)
#define MUCH        (20u << 20)

#define NEW_VERSION "9.9.9"
_Static_assert(sizeof(INITVM_VERSION) == sizeof(NEW_VERSION), "the version is replaced in the program's bytes");

static uint8_t *program; /* the agent's; with another version it is a newer one */
static size_t program_size;

/* Both are as long. */
static void set_version(const char *version)
{
        static const char *now = INITVM_VERSION;
        size_t n = sizeof(INITVM_VERSION);

        for (uint8_t *at = program; (at = memmem(at, program_size - (size_t)(at - program), now, n)); at += n)
                memcpy(at, version, n);
        now = version;
}

static int group_setup(void **state)
{
        autofree char *path = host_agent_path();
        (void)state;

        program = (uint8_t *)file_read(path, PROGRAM_MAX, &program_size, NULL);
        return program ? 0 : -1;
}

static int group_teardown(void **state)
{
        (void)state;
        free(program);
        return 0;
}

/* An agent whose program is a copy in the test's folder, where it may be replaced. */
static struct host *start_copy(void **state)
{
        autofree char *copy = NULL;

        set_version(INITVM_VERSION);
        copy = scratch_file(state, "agent", program, program_size, 0755);
        set_version(NEW_VERSION);
        setenv("INITVM_AGENT", copy, 1);
        return host_start_synced();
}

static struct run *send_update(struct host *h, const void *content, size_t n, size_t announced)
{
        autofree char *call = xasprintf("{\"method\":\"org.initvm.agent.Update\",\"parameters\":{\"size\":%zu}}", announced);
        struct run *r = host_open(h, call);

        r->content = content;
        r->to_send = n;
        return r;
}

static bool is_new(void *userdata)
{
        struct host *h = userdata;

        return streq(json_get_string(h->hello, "agentVersion", ""), NEW_VERSION);
}

static void update(struct host *h)
{
        struct run *r = send_update(h, program, program_size, program_size);

        host_wait(h, r);
        if (r->err.code)
                fail_msg("%s", r->err.message);
        assert_true(host_until(h, HOST_DEADLINE_MS, is_new, h));
}

static void test_commands_go_on(void **state)
{
        struct host *h = start_copy(state);
        struct run *copying = host_exec(h, "cat", NULL), *waiting, *stuck, *talking, *failing;
        pid_t agent = h->pid;

        copying->echo = true;
        copying->to_send = MUCH;
        waiting = host_exec(h, "sh", "-c", "read word; echo got $word; exit 7", NULL);
        talking = host_exec(h, "sh", "-c", "echo before; read word; echo after >&2", NULL);
        stuck = host_exec(h, "head", "-c", "2000000", "/dev/zero", NULL); /* no credit, and a full pipe */
        stuck->no_grants = true;
        failing = host_exec(h, "sh", "-c", "kill -TERM $$", NULL);
        host_wait_output(h, talking, 7);
        host_wait(h, failing);
        update(h);

        assert_int_equal(h->pid, agent);
        host_wait(h, copying);
        assert_int_equal(copying->exited, 0);
        assert_int_equal(copying->received[CHANNEL_STDOUT], MUCH);
        waiting->content = talking->content = (const uint8_t *)"word\n";
        waiting->to_send = talking->to_send = 5;
        host_wait(h, waiting);
        assert_int_equal(waiting->exited, 7);
        assert_string_equal(run_text(waiting, CHANNEL_STDOUT), "got word\n");
        host_wait(h, talking);
        assert_string_equal(run_text(talking, CHANNEL_STDOUT), "before\n");
        assert_string_equal(run_text(talking, CHANNEL_STDERR), "after\n");
        assert_int_equal(stuck->received[CHANNEL_STDOUT], FRAME_WINDOW);
        frame_write_credit(&h->out, stuck->id, FRAME_WINDOW);
        stuck->no_grants = false;
        host_wait(h, stuck);
        assert_int_equal(stuck->received[CHANNEL_STDOUT], 2000000);
        host_stop(h);
}

static void test_terminal_goes_on(void **state)
{
        struct host *h = start_copy(state);
        struct run *r = host_exec_json(h, "{\"argv\":[\"sh\",\"-c\",\"tty; read a; stty size; exit 4\"],"
                                          "\"terminal\":{\"name\":\"vt100\",\"rows\":20,\"columns\":70}}");

        host_wait_output(h, r, 10);
        update(h);
        host_message(h, r, "{\"resize\":{\"rows\":33,\"columns\":99}}");
        r->content = (const uint8_t *)"x\n";
        r->to_send = 2;
        host_wait(h, r);
        assert_int_equal(r->exited, 4);
        assert_non_null(strstr(run_text(r, CHANNEL_STDOUT), "33 99"));
        host_stop(h);
}

static void test_ended_meanwhile(void **state)
{
        struct host *h = start_copy(state);
        struct run *lost = host_exec(h, "sleep", "1000", NULL), *later;
        pid_t pid;

        host_wait_started(h, lost);
        pid = (pid_t)lost->pid;
        later = host_exec(h, "sh", "-c", "exec >/dev/null 2>&1 </dev/null; kill -STOP $$", NULL);
        host_wait_started(h, later);
        update(h);
        kill((pid_t)later->pid, SIGKILL);
        host_wait(h, later);
        assert_int_equal(later->signaled, SIGKILL);
        host_close(h, lost); /* is hung up by the successor as by any */
        later = host_exec(h, "true", NULL);
        host_wait(h, later);
        assert_true(process_ends(pid, HOST_DEADLINE_MS));
        host_stop(h);
}

static void test_twice(void **state)
{
        struct host *h = start_copy(state);
        struct run *r = host_exec(h, "cat", NULL);

        host_wait_started(h, r);
        update(h);
        json_object_put(h->hello);
        h->hello = json_new();
        update(h);
        r->echo = true;
        r->to_send = 100000;
        host_wait(h, r);
        assert_int_equal(r->received[CHANNEL_STDOUT], 100000);
        host_sync(h, true); /* and a sync is as ever */
        r = host_exec(h, "true", NULL);
        host_wait(h, r);
        assert_int_equal(r->exited, 0);
        host_stop(h);
}

static void test_connection_is_ended(void **state)
{
        autofree char *path = scratch_path(state, "socket");
        autofree char *call =
                xasprintf("{\"method\":\"org.initvm.agent.Connect\",\"more\":true,\"parameters\":{\"address\":\"%s\"}}", path);
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct host *h = start_copy(state);
        struct run *r;

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        assert_return_code(bind(fd, (struct sockaddr *)&address, sizeof(address)), errno);
        assert_return_code(listen(fd, 1), errno);
        r = host_open(h, call);
        host_wait_started(h, r);
        update(h);
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_DISCONNECTED);
        assert_non_null(strstr(r->err.message, "try again"));
        host_stop(h);
}

/* The program is as it was, nothing lies beside it, and the agent works. */
static void assert_unchanged(void **state, struct host *h)
{
        autofree char *path = scratch_path(state, "agent"), *beside = scratch_path(state, "agent.new");
        struct stat st;
        struct run *r = host_exec(h, "true", NULL);

        host_wait(h, r);
        assert_int_equal(r->exited, 0);
        assert_return_code(stat(path, &st), errno);
        assert_int_equal(st.st_size, program_size);
        assert_int_equal(stat(beside, &st), -1);
        assert_false(is_new(h));
}

static void assert_refused(void **state, const void *content, size_t n, size_t announced, const char *message)
{
        struct host *h = start_copy(state);
        struct run *r = send_update(h, content, n, announced);

        host_wait(h, r);
        if (!strstr(r->err.message, message))
                fail_msg("'%s' instead of '%s'", r->err.message, message);
        assert_unchanged(state, h);
        host_stop(h);
}

static void test_refused(void **state)
{
        static const char no_program[] = "this is no program", refuses[] = "#!/bin/sh\nexit 3\n";

        assert_refused(state, no_program, sizeof(no_program), sizeof(no_program), "does not run");
        assert_refused(state, refuses, strlen(refuses), strlen(refuses), "exit status 3");
        assert_refused(state, program, 1000, 2000, "1000 bytes short");
        assert_refused(state, program, 3000, 2000, "more bytes");
        assert_refused(state, "x", 0, 0, "'size'");
        assert_refused(state, "x", 0, PROGRAM_MAX + 1, "'size'");
}

/* An update of which the beginning has arrived. */
static struct run *begin_update(struct host *h)
{
        struct run *r = send_update(h, NULL, 0, program_size), *other;

        frame_write(&h->out, FRAME_DATA, r->id, CHANNEL_STDIN, program, 1000);
        other = host_exec(h, "true", NULL);
        host_wait(h, other);
        assert_false(r->closed);
        return r;
}

static void test_given_up(void **state)
{
        struct host *h = start_copy(state);

        host_close(h, begin_update(h));
        assert_unchanged(state, h);
        begin_update(h);
        host_sync(h, true);
        assert_unchanged(state, h);
        update(h); /* and nothing is in the way of the next one */
        host_stop(h);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_commands_go_on, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_terminal_goes_on, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_ended_meanwhile, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_twice, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_connection_is_ended, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_refused, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_given_up, scratch_setup, scratch_teardown),
        };

        return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
