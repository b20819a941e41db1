/* SPDX-License-Identifier: MIT */
/* The daemon's channel over initvm-ssh, a real sshd and the real agent: ready, lost with the server and back with it, refused. */
#include "agent_host.h"
#include "scratch.h"
#include "ssh_server.h"

#include "base/file.h"
#include "daemon/channel.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_MS 30000
#define ALIAS       "initvm-test"

enum happening { NOTHING, HELLO, LOST, ENDED, LATE };

struct test {
        struct loop *loop;
        struct ssh_server *server;
        char *known_hosts, *log;
        struct channel *channel;
        enum happening happened;
        struct error why;
};

static void happen(struct test *t, enum happening what)
{
        t->happened = what;
        loop_quit(t->loop, 0);
}

static void on_hello(void *userdata, struct json_object *parameters)
{
        (void)parameters;
        happen(userdata, HELLO);
}

static void on_lost(void *userdata, const char *why)
{
        struct test *t = userdata;

        snprintf(t->why.message, sizeof(t->why.message), "%s", why);
        if (t->happened != ENDED)
                happen(t, LOST);
}

static void on_ended(void *userdata, const struct error *why)
{
        struct test *t = userdata;

        t->why = *why;
        happen(t, ENDED);
}

static void on_late(void *userdata)
{
        happen(userdata, LATE);
}

static enum happening next(struct test *t)
{
        struct loop_source *timer = loop_add_timer(t->loop, on_late, t);

        t->happened = NOTHING;
        loop_timer_arm(timer, DEADLINE_MS);
        loop_run(t->loop);
        loop_source_free(timer);
        return t->happened;
}

static void start(struct test *t)
{
        static const struct channel_events events = {.hello = on_hello, .lost = on_lost, .ended = on_ended};
        const char *bin = getenv("INITVM_BIN");
        autofree char *program = xasprintf("%s/initvm-ssh", bin ? bin : "build/bin"), *path = realpath(program, NULL);
        autofree char *agent = host_agent_path(), *agent_path = realpath(agent, NULL);
        struct error err = ERROR_INIT;
        const struct carrier_ssh_options options = {
                .program = path,
                .agent_binary = agent_path,
                .agent_path = "/nowhere/initvm-agent",
                .port = t->server->port,
                .user = t->server->user,
                .identity_file = t->server->key,
                .known_hosts = t->known_hosts,
                .host_key_alias = ALIAS,
                .log = t->log,
        };
        struct carrier *carrier = carrier_ssh_new(t->loop, &options, &err);

        if (!carrier)
                fail_msg("%s (build it, or set INITVM_BIN)", err.message);
        t->channel = channel_new(t->loop, carrier, &events, t);
}

static int setup(void **state)
{
        struct test *t = xcalloc(1, sizeof(*t));
        autofree char *line = NULL;

        if (scratch_setup(state) < 0)
                return -1;
        t->loop = loop_new();
        t->server = ssh_server_new(*state);
        t->log = scratch_path(state, "ssh.log");
        line = xasprintf("%s %s\n", ALIAS, t->server->host_key);
        t->known_hosts = scratch_file(state, "known_hosts", line, strlen(line), 0600);
        free(*state);
        *state = t;
        return 0;
}

static bool has_no_children(void)
{
        siginfo_t info;

        return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0;
}

static int teardown(void **state)
{
        struct test *t = *state;
        struct loop_source *timer = loop_add_timer(t->loop, on_late, t);

        channel_free(t->channel);
        ssh_server_kill(t->server);
        for (int i = 0; i < 100 && !has_no_children(); i++) { /* the reaper says nothing */
                loop_timer_arm(timer, 20);
                loop_run(t->loop);
        }
        assert_true(has_no_children());
        loop_source_free(timer);
        loop_free(t->loop);
        tree_remove(t->server->folder, NULL);
        ssh_server_free(t->server);
        free(t->known_hosts);
        free(t->log);
        free(t);
        return 0;
}

static void test_comes_back(void **state)
{
        struct test *t = *state;

        start(t);
        assert_int_equal(next(t), HELLO);
        assert_true(channel_ready(t->channel));
        ssh_server_kill(t->server);
        assert_int_equal(next(t), LOST);
        assert_false(channel_ready(t->channel));
        assert_non_null(strstr(t->why.message, "lost"));
        ssh_server_start(t->server);
        while (t->happened != HELLO) /* refused a few times before, each of which is told */
                assert_in_range(next(t), HELLO, LOST);
        assert_true(channel_ready(t->channel));
}

static void test_other_host_key(void **state)
{
        struct test *t = *state;
        autofree char *key = ssh_make_key(t->server->folder, "other"), *public_key = ssh_public_key(key);
        autofree char *line = xasprintf("%s %s\n", ALIAS, public_key);

        assert_int_equal(file_write_atomic(t->known_hosts, 0600, line, strlen(line), NULL), 0);
        start(t);
        while (next(t) == LOST)
                ;
        assert_int_equal(t->happened, ENDED);
        assert_int_equal(t->why.code, ERR_DENIED);
        assert_non_null(strstr(t->why.message, "HOST KEY"));
}

/* Given up in the middle of the handshake, and before anything was read. */
static void test_given_up_early(void **state)
{
        struct test *t = *state;

        start(t);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {TEST(test_comes_back), TEST(test_other_host_key), TEST(test_given_up_early)};

        return cmocka_run_group_tests_name("carrier_ssh", tests, NULL, NULL);
}
