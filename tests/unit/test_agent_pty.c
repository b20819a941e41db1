/* SPDX-License-Identifier: MIT */
/* Commands on a terminal, as the agent makes it: what they see of it, job control, floods, and every way it ends. */
#include "agent_host.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TERMINAL "\"terminal\":{\"name\":\"vt220\",\"rows\":33,\"columns\":99}"

/* "sh -c script" on a terminal. */
static struct run *start(struct host *h, const char *script)
{
        autojson struct json_object *text = json_object_new_string(script);
        autofree char *parameters = xasprintf("{\"argv\":[\"sh\",\"-c\",%s]," TERMINAL "}", json_line(text));

        return host_exec_json(h, parameters);
}

static void type(struct host *h, struct run *r, const char *keys)
{
        frame_write(&h->out, FRAME_DATA, r->id, CHANNEL_STDIN, keys, strlen(keys));
}

static void type_eof(struct host *h, struct run *r)
{
        frame_write(&h->out, FRAME_EOF, r->id, CHANNEL_STDIN, NULL, 0);
}

struct text_wait {
        struct run *run;
        const char *text;
};

static bool has_text(void *userdata)
{
        struct text_wait *w = userdata;

        return strstr(run_text(w->run, CHANNEL_STDOUT), w->text) != NULL;
}

static void wait_text(struct host *h, struct run *r, const char *text)
{
        struct text_wait w = {r, text};

        if (!host_until(h, HOST_DEADLINE_MS, has_text, &w))
                fail_msg("no '%s' in '%s'", text, run_text(r, CHANNEL_STDOUT));
}

/* The N of the "pid=N" that it wrote last. */
static pid_t pid_in(struct run *r)
{
        const char *at = NULL, *next = run_text(r, CHANNEL_STDOUT);

        while ((next = strstr(next, "pid=")))
                at = next += strlen("pid=");
        assert_non_null(at);
        return (pid_t)strtol(at, NULL, 10);
}

static void assert_output(struct host *h, const char *script, const char *output)
{
        struct run *r = start(h, script);

        host_wait(h, r);
        assert_string_equal(run_text(r, CHANNEL_STDOUT), output);
        assert_int_equal(r->exited, 0);
        assert_int_equal(r->received[CHANNEL_STDERR], 0);
}

static void test_surroundings(void **state)
{
        struct host *h = host_start_synced();
        autofree char *owner = xasprintf("%u\r\n", geteuid());
        struct run *r;
        (void)state;

        assert_output(h, "stty size", "33 99\r\n");
        assert_output(h, "echo $TERM", "vt220\r\n");
        assert_output(h, "case $(tty) in /dev/pts/*) [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo yes >/dev/tty ;; esac", "yes\r\n");
        assert_output(h, "stat -c %u $(tty)", owner);
        /* One output, in the order of what was written. */
        assert_output(h, "echo a; echo b >&2; echo c", "a\r\nb\r\nc\r\n");
        /* It leads its session, and its group is in the foreground. */
        assert_output(h, "read -r _ _ _ _ g s _ f _ </proc/$$/stat; [ $g = $$ ] && [ $s = $$ ] && [ $f = $$ ] && echo yes",
                      "yes\r\n");
        r = host_exec_json(h, "{\"argv\":[\"printenv\",\"TERM\"],\"environment\":[\"TERM=mine\"]," TERMINAL "}");
        host_wait(h, r);
        assert_string_equal(run_text(r, CHANNEL_STDOUT), "mine\r\n");
        if (geteuid() == 0) {
                r = host_exec_json(
                        h, "{\"argv\":[\"sh\",\"-c\",\"stat -c %U $(tty); echo ok >$(tty)\"],\"user\":\"nobody\"," TERMINAL "}");
                host_wait(h, r);
                assert_string_equal(run_text(r, CHANNEL_STDOUT), "nobody\r\nok\r\n");
        }
        host_stop(h);
}

static void test_resize(void **state)
{
        struct host *h = host_start_synced();
        struct run *r = start(h, "trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 0.1; done");
        (void)state;

        wait_text(h, r, "ready");
        host_message(h, r, "{\"resize\":{\"rows\":50,\"columns\":65536}}"); /* not understood: passed over */
        host_message(h, r, "{\"resize\":{\"rows\":50,\"columns\":132}}");
        host_wait(h, r);
        assert_string_equal(run_text(r, CHANNEL_STDOUT), "ready\r\n50 132\r\n");
        assert_int_equal(r->exited, 3);
        /* A command without one takes no harm. */
        r = host_exec(h, "cat", NULL);
        host_message(h, r, "{\"resize\":{\"rows\":50,\"columns\":132}}");
        type_eof(h, r);
        host_wait(h, r);
        assert_int_equal(r->exited, 0);
        host_stop(h);
}

static void test_job_control(void **state)
{
        struct host *h = host_start_synced();
        struct run *r = start(h, "PS1='$ ' exec sh -i");
        (void)state;

        wait_text(h, r, "$ ");
        /* It tells when the keys are its own, and when they no longer are. It starts nothing: a child of vfork(2) that is stopped
         * before it executes holds its parent. */
        type(h, r,
             "sh -c 'trap \"echo cont=$((2+2))\" CONT; trap \"echo int=$((3+3)); exit 5\" INT; echo run=$((1+1)); while :; do "
             "read -r x; done'\r");
        wait_text(h, r, "run=2");
        type(h, r, "\x1a");
        wait_text(h, r, "Stopped");
        type(h, r, "fg\r");
        wait_text(h, r, "cont=4");
        type(h, r, "\x03");
        wait_text(h, r, "int=6");
        type(h, r, "echo status=$?\r");
        wait_text(h, r, "status=5");
        type(h, r, "echo sum=$((40+2)); exit 6\r");
        wait_text(h, r, "sum=42");
        host_wait(h, r);
        assert_null(strstr(run_text(r, CHANNEL_STDOUT), "job control"));
        assert_int_equal(r->exited, 6);
        host_stop(h);
}

static void test_ends(void **state)
{
        struct host *h = host_start_synced();
        struct run *r = start(h, "exit 200");
        (void)state;

        host_wait(h, r);
        assert_int_equal(r->exited, 200);
        r = start(h, "kill -KILL $$");
        host_wait(h, r);
        assert_int_equal(r->signaled, 9);
        r = start(h, "echo ready; exec sleep 1000");
        wait_text(h, r, "ready");
        host_message(h, r, "{\"signal\":15}");
        host_wait(h, r);
        assert_int_equal(r->signaled, 15);
        r = host_exec_json(h, "{\"argv\":[\"no-such-command\"]," TERMINAL "}");
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_NO_COMMAND);
        /* A terminal that is closed for a while is no end. */
        assert_output(h, "exec <&- >&- 2>&-; sleep 0.3; exec <>/dev/tty >&0 2>&0; echo again", "again\r\n");
        host_stop(h);
}

/* Nothing of what a command wrote right before its end is lost, as much as a terminal holds. */
static void test_last_words(void **state)
{
        struct host *h = host_start_synced();
        (void)state;

        for (int i = 0; i < 50; i++) {
                struct run *r = start(h, "head -c 11000 /dev/zero; printf end");

                host_wait(h, r);
                assert_int_equal(r->received[CHANNEL_STDOUT], 11003);
        }
        for (int i = 0; i < 3; i++) {
                struct run *r = start(h, "seq 1 100000");

                host_wait(h, r);
                assert_int_equal(r->received[CHANNEL_STDOUT], 588895 + 100000);
        }
        host_stop(h);
}

/* Whoever else has the terminal open does not hold the session, not even when it goes on writing. */
static void test_background(void **state)
{
        static const char *const others[] = {"sleep 1000", "yes", "while :; do date; done"};
        struct host *h = host_start_synced();
        uint64_t begin = now_ms();
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                autofree char *script = xasprintf("trap '' HUP; setsid sh -c '%s' & echo pid=$!; exit 4", others[i]);
                struct run *r = start(h, script);
                pid_t pid;

                host_wait(h, r);
                assert_int_equal(r->exited, 4);
                pid = pid_in(r);
                kill(-pid, SIGKILL);
                kill(pid, SIGKILL);
        }
        assert_true(now_ms() - begin < HOST_DEADLINE_MS / 2);
        host_stop(h);
}

static bool is_window_used(void *userdata)
{
        return ((struct run *)userdata)->received[CHANNEL_STDOUT] == FRAME_WINDOW;
}

static void test_flood(void **state)
{
        struct host *h = host_start_synced();
        struct run *r = start(h, "exec yes"), *other;
        pid_t pid;
        (void)state;

        /* Keys pass while the output is blocked: nobody has read, and nobody will until it has ended. */
        r->no_grants = true;
        assert_true(host_until(h, HOST_DEADLINE_MS, is_window_used, r));
        pid = (pid_t)r->pid;
        assert_false(process_ends(pid, 0));
        other = start(h, "echo through");
        host_wait(h, other);
        type(h, r, "\x03");
        host_for(h, 50);
        assert_true(process_ends(pid, 2000));
        r->no_grants = false;
        frame_write_credit(&h->out, r->id, FRAME_WINDOW);
        host_wait(h, r);
        assert_int_equal(r->signaled, SIGINT);
        /* And while it flows. */
        r = start(h, "exec yes");
        host_wait_output(h, r, 1u << 20);
        type(h, r, "\x03");
        host_wait(h, r);
        assert_int_equal(r->signaled, SIGINT);
        host_stop(h);
}

/* A paste that is larger than all that is buffered on the way arrives whole. */
static void test_much_input(void **state)
{
        struct host *h = host_start_synced();
        struct run *r = start(h, "stty raw -echo; echo ready; head -c 1000000 | cksum");
        autofree char *text = xcalloc(1, 1000000 + 1);
        struct run *same;
        (void)state;

        wait_text(h, r, "ready");
        memset(text, 'x', 1000000);
        for (size_t at = 0; at < 1000000;) {
                size_t n = MIN(MIN((size_t)r->credit, 1000000 - at), 30000);

                frame_write(&h->out, FRAME_DATA, r->id, CHANNEL_STDIN, text + at, n);
                r->credit -= (uint32_t)n;
                at += n;
                host_for(h, n > 0 ? 0 : 5);
        }
        host_wait(h, r);
        same = host_exec(h, "sh", "-c", "yes x | head -n 1000000 | tr -d '\\n' | cksum", NULL);
        host_wait(h, same);
        assert_non_null(strstr(run_text(r, CHANNEL_STDOUT), "1000000"));
        assert_memory_equal(strstr(run_text(r, CHANNEL_STDOUT), "ready") + strlen("ready\n"), run_text(same, CHANNEL_STDOUT),
                            strlen(run_text(same, CHANNEL_STDOUT)));
        host_stop(h);
}

/* What is at its end stays at its end, for as many as read it. */
static void test_eof(void **state)
{
        static const struct {
                const char *script;
                const char *input;
                const char *output;
        } cases[] = {
                {"cat >/dev/null; echo end", "", "end"},
                {"cat >/dev/null; echo end", "line\n", "end"},
                {"wc -c", "begun", "5"},
                {"stty eof ^X; cat; echo end", "line\n", "end"},
                {"cat; cat; cat; echo end", "line\n", "end"},
                {"sh", "cat\n", ""},
                {"PS1= exec bash --norc -i", "sleep 0.5\n", "exit"}, /* which changes the mode of the terminal all the time */
        };
        struct host *h = host_start_synced();
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct run *r = start(h, cases[i].script);

                type(h, r, cases[i].input);
                type_eof(h, r);
                host_wait(h, r);
                if (r->exited != 0 || !strstr(run_text(r, CHANNEL_STDOUT), cases[i].output))
                        fail_msg("%s: %d, '%s'", cases[i].script, r->exited, run_text(r, CHANNEL_STDOUT));
        }
        host_stop(h);
}

/* A stream that is closed is a terminal that is. */
static void test_hangup(void **state)
{
        static const char stubborn[] = "trap '' HUP; echo ready; while :; do sleep 0.2; done";
        struct host *h = host_start_synced();
        struct run *r = start(h, "PS1='$ ' exec sh -i");
        pid_t job, shell;
        uint64_t begin;
        (void)state;

        wait_text(h, r, "$ ");
        type(h, r, "sh -c 'echo pid=$((0+$$)); exec sleep 1000'\r");
        wait_text(h, r, "\npid=");
        host_for(h, 100);
        job = pid_in(r);
        shell = (pid_t)r->pid;
        assert_int_equal(getpgid(job), job); /* not in the group that the agent signals */
        host_close(h, r);
        host_for(h, 50);
        assert_true(process_ends(shell, 2000));
        assert_true(process_ends(job, 2000));
        r = start(h, stubborn);
        wait_text(h, r, "ready");
        shell = (pid_t)r->pid;
        begin = now_ms();
        host_close(h, r);
        host_for(h, 50);
        assert_true(process_ends(shell, 15000));
        assert_true(now_ms() - begin > 4000);
        host_stop(h);
}

static void test_login(void **state)
{
        struct host *h = host_start_synced();
        struct run *r = host_exec_json(h, "{\"argv\":[],\"login\":true,\"cwd\":\"/usr\"}");
        (void)state;

        /* Without a terminal it reads its script from standard input. */
        type(h, r, "echo \"$0\"; pwd; exit 5\n");
        type_eof(h, r);
        host_wait(h, r);
        assert_int_equal(r->exited, 5);
        assert_int_equal(run_text(r, CHANNEL_STDOUT)[0], '-');
        assert_non_null(strstr(run_text(r, CHANNEL_STDOUT), "\n/usr\n"));
        r = host_exec_json(h, "{\"argv\":[],\"login\":true," TERMINAL "}");
        type(h, r, "echo shell=$0 size=$(stty size)\rexit 8\r");
        wait_text(h, r, "shell=-");
        wait_text(h, r, "size=33 99");
        host_wait(h, r);
        assert_int_equal(r->exited, 8);
        r = host_exec_json(h, "{\"argv\":[\"true\"],\"login\":true}");
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_INVALID);
        if (geteuid() == 0) {
                r = host_exec_json(h, "{\"argv\":[],\"login\":true,\"user\":\"nobody\"}"); /* whose shell is nologin(8) */
                host_wait(h, r);
                assert_int_equal(r->exited, 1);
                assert_non_null(strstr(run_text(r, CHANNEL_STDOUT), "not available"));
        }
        host_stop(h);
}

static void test_hundred(void **state)
{
        struct host *h = host_start_synced();
        struct run *runs[100];
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
                runs[i] = start(h, "read -r word; echo got=$word; exit 7");
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
                host_wait_started(h, runs[i]);
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
                autofree char *word = xasprintf("w%zu\r", i);

                type(h, runs[i], word);
        }
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
                autofree char *got = xasprintf("got=w%zu\r\n", i);

                host_wait(h, runs[i]);
                assert_int_equal(runs[i]->exited, 7);
                assert_non_null(strstr(run_text(runs[i], CHANNEL_STDOUT), got));
        }
        host_stop(h);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_surroundings), cmocka_unit_test(test_resize),     cmocka_unit_test(test_job_control),
                cmocka_unit_test(test_ends),         cmocka_unit_test(test_last_words), cmocka_unit_test(test_background),
                cmocka_unit_test(test_flood),        cmocka_unit_test(test_much_input), cmocka_unit_test(test_eof),
                cmocka_unit_test(test_hangup),       cmocka_unit_test(test_login),      cmocka_unit_test(test_hundred),
        };

        return cmocka_run_group_tests_name("agent_pty", tests, NULL, NULL);
}
