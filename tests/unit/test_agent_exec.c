/* SPDX-License-Identifier: MIT */
/* What commands see of the agent, and what the host sees of them. */
#include "agent_host.h"

#include "base/file.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* More than what is buffered on the way by far. */
#define MUCH (20u << 20)

static void test_statuses(void **state)
{
        static const struct {
                const char *command;
                int exited;
                int signaled;
        } cases[] = {
                {"true", 0, -1},           {"exit 3", 3, -1},
                {"exit 126", 126, -1},     {"exit 127", 127, -1},
                {"exit 255", 255, -1},     {"kill -KILL $$", -1, 9},
                {"kill -HUP $$", -1, 1},   {"kill -PIPE $$", -1, 13},
                {"kill -TERM $$", -1, 15}, {"ulimit -c 0; kill -SEGV $$", -1, 11},
        };
        struct host *h = host_start_synced();
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct run *r = host_exec(h, "sh", "-c", cases[i].command, NULL);

                host_wait(h, r);
                assert_int_equal(r->exited, cases[i].exited);
                assert_int_equal(r->signaled, cases[i].signaled);
        }
        host_stop(h);
}

static void assert_exec_error(struct host *h, const char *parameters, enum error_code code, const char *message)
{
        struct run *r = host_exec_json(h, parameters);

        host_wait(h, r);
        if (r->err.code != code || !strstr(r->err.message, message))
                fail_msg("%s: %d '%s'", parameters, r->err.code, r->err.message);
        assert_int_equal(r->pid, 0);
}

static void test_cannot_execute(void **state)
{
        char folder[] = "/tmp/initvm-test-XXXXXX";
        struct host *h = host_start_synced();
        static const struct {
                const char *name;
                const char *content;
                mode_t mode;
                enum error_code code;
                const char *message;
        } files[] = {
                {"plain", "not a program\n", 0755, ERR_NOT_EXECUTABLE, "neither a program"},
                {"empty", "", 0755, ERR_NOT_EXECUTABLE, "neither a program"},
                {"mode", "#!/bin/sh\n", 0644, ERR_NOT_EXECUTABLE, "Permission denied"},
                {"interpreter", "#!/nonexistent/sh\n", 0755, ERR_NOT_EXECUTABLE, "interpreter"},
        };
        (void)state;

        assert_non_null(mkdtemp(folder));
        assert_exec_error(h, "{\"argv\":[\"no-such-command\"]}", ERR_NO_COMMAND, "'no-such-command' was not found");
        assert_exec_error(h, "{\"argv\":[\"/nonexistent/x\"]}", ERR_NO_COMMAND, "'/nonexistent/x'");
        assert_exec_error(h, "{\"argv\":[\"/etc/passwd/x\"]}", ERR_NO_COMMAND, "'/etc/passwd/x'");
        assert_exec_error(h, "{\"argv\":[\"/usr\"]}", ERR_NOT_EXECUTABLE, "is a directory");
        assert_exec_error(h, "{\"argv\":[\"true\"],\"cwd\":\"/nonexistent\"}", ERR_INVALID, "'/nonexistent'");
        assert_exec_error(h, "{\"argv\":[\"true\"],\"cwd\":\"/etc/passwd\"}", ERR_INVALID, "'/etc/passwd'");
        assert_exec_error(h, "{\"argv\":[\"true\"],\"user\":\"nobody-here\"}", ERR_INVALID, "no user 'nobody-here'");
        assert_exec_error(h, "{\"argv\":[\"true\"],\"environment\":[\"PATH=\"]}", ERR_NO_COMMAND, "'true'");
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                autofree char *path = xasprintf("%s/%s", folder, files[i].name);
                autofree char *direct = xasprintf("{\"argv\":[\"%s\"]}", path);
                autofree char *searched =
                        xasprintf("{\"argv\":[\"%s\"],\"environment\":[\"PATH=/nonexistent:%s:/bin\"]}", files[i].name, folder);

                assert_return_code(file_write_atomic(path, files[i].mode, files[i].content, strlen(files[i].content), NULL), 0);
                chmod(path, files[i].mode);
                assert_exec_error(h, direct, files[i].code, files[i].message);
                assert_exec_error(h, searched, files[i].code, files[i].message);
        }
        tree_remove(folder, NULL);
        host_stop(h);
}

static const char *output_of(struct host *h, const char *parameters)
{
        struct run *r = host_exec_json(h, parameters);

        host_wait(h, r);
        if (r->exited != 0)
                fail_msg("%s: %d %s %s", parameters, r->exited, r->err.message, run_text(r, CHANNEL_STDERR));
        return run_text(r, CHANNEL_STDOUT);
}

static void test_surroundings(void **state)
{
        struct host *h = host_start_synced();
        const char *all;
        (void)state;

        assert_string_equal(output_of(h, "{\"argv\":[\"pwd\"],\"cwd\":\"/usr/bin\"}"), "/usr/bin\n");
        if (geteuid() == 0)
                assert_string_equal(output_of(h, "{\"argv\":[\"pwd\"]}"), "/root\n");
        assert_string_equal(output_of(h, "{\"argv\":[\"printenv\",\"A\",\"B\"],\"environment\":[\"A=1\",\"B=x=y\",\"A=2\"]}"),
                            "2\nx=y\n");
        assert_string_equal(output_of(h, "{\"argv\":[\"printenv\",\"HOME\"],\"environment\":[\"HOME=/h\"]}"), "/h\n");
        all = output_of(h, "{\"argv\":[\"env\"]}");
        assert_non_null(strstr(all, "HOME="));
        assert_non_null(strstr(all, "USER="));
        assert_non_null(strstr(all, "LOGNAME="));
        assert_non_null(strstr(all, "SHELL=/"));
        assert_non_null(strstr(all, "PATH=/usr/local/"));
        assert_null(strstr(all, "CMOCKA")); /* nothing of the agent's own */
        /* A session and group of its own, default signals, no descriptors but the three. */
        assert_string_equal(
                output_of(h, "{\"argv\":[\"sh\",\"-c\",\"read -r _ _ _ _ g s _ </proc/$$/stat; [ $g = $$ ] && [ $s = $$ ]\"]}"),
                "");
        /* But for glibc's own two signals, which posix_spawn(3), and so make, leaves ignored, and which sigaction(2) refuses. */
        all = output_of(h, "{\"argv\":[\"grep\",\"-E\",\"^Sig(Blk|Ign)\",\"/proc/self/status\"]}");
        if (strcmp(all, "SigBlk:\t0000000000000000\nSigIgn:\t0000000180000000\n") != 0)
                assert_string_equal(all, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
        assert_string_equal(output_of(h, "{\"argv\":[\"sh\",\"-c\",\"ls /proc/$$/fd | sort -n | head -c 6; umask\"]}"),
                            "0\n1\n2\n0022\n");
        host_stop(h);
}

static void test_user(void **state)
{
        struct host *h;
        (void)state;

        if (geteuid() != 0) {
                print_message("# skipped: switching users needs root\n");
                skip();
        }
        h = host_start_synced();
        assert_string_equal(
                output_of(h,
                          "{\"argv\":[\"sh\",\"-c\",\"id -un; id -gn; id -Gn; echo $USER $LOGNAME; pwd\"],\"user\":\"nobody\"}"),
                "nobody\nnogroup\nnogroup\nnobody nobody\n/\n");
        assert_string_equal(output_of(h, "{\"argv\":[\"sh\",\"-c\",\"echo $PATH\"],\"user\":\"nobody\"}"),
                            "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games\n");
        assert_string_equal(output_of(h, "{\"argv\":[\"id\",\"-u\"],\"user\":\"root\"}"), "0\n");
        assert_exec_error(h, "{\"argv\":[\"true\"],\"user\":\"nobody\",\"cwd\":\"/root\"}", ERR_INVALID, "'/root'");
        host_stop(h);
}

static void test_outputs(void **state)
{
        struct host *h = host_start_synced();
        struct run *r = host_exec(h, "sh", "-c", "echo out; echo err >&2; exec >&-; echo more >&2; exit 5", NULL);
        (void)state;

        host_wait(h, r);
        assert_string_equal(run_text(r, CHANNEL_STDOUT), "out\n");
        assert_string_equal(run_text(r, CHANNEL_STDERR), "err\nmore\n");
        assert_int_equal(r->exited, 5);
        /* Bytes are bytes. */
        r = host_exec(h, "printf", "\\000\\377VI\\000", NULL);
        host_wait(h, r);
        assert_int_equal(r->received[CHANNEL_STDOUT], 5);
        assert_memory_equal(buf_head(&r->out[CHANNEL_STDOUT]), "\0\377VI\0", 5);
        /* The final reply waits for both: the command has ended, its child still writes. */
        r = host_exec(h, "sh", "-c", "exec 3<&0; (read x <&3; echo late) & exit 4", NULL);
        host_wait_started(h, r);
        host_for(h, 100);
        assert_false(r->done);
        frame_write(&h->out, FRAME_DATA, r->id, CHANNEL_STDIN, "\n", 1);
        host_wait(h, r);
        assert_string_equal(run_text(r, CHANNEL_STDOUT), "late\n");
        assert_int_equal(r->exited, 4);
        host_stop(h);
}

static void test_stdin(void **state)
{
        struct host *h = host_start_synced();
        struct run *r = host_exec(h, "cat", NULL);
        (void)state;

        /* Right behind the OPEN, before the command runs. */
        frame_write(&h->out, FRAME_DATA, r->id, CHANNEL_STDIN, "ab", 2);
        frame_write(&h->out, FRAME_DATA, r->id, CHANNEL_STDIN, "c", 1);
        frame_write(&h->out, FRAME_EOF, r->id, CHANNEL_STDIN, NULL, 0);
        host_wait(h, r);
        assert_string_equal(run_text(r, CHANNEL_STDOUT), "abc");
        /* Nobody reads it: it is taken all the same, and what was not read when the command ends is dropped. */
        r = host_exec(h, "sh", "-c", "exec </dev/null; trap 'exit 7' TERM; sleep 1000 & wait", NULL);
        r->to_send = 5u << 20;
        while (r->to_send > 0)
                host_for(h, 20);
        host_message(h, r, "{\"signal\":15}");
        host_wait(h, r);
        assert_int_equal(r->exited, 7);
        r = host_exec(h, "head", "-c", "1", NULL);
        r->to_send = MUCH;
        host_wait(h, r);
        assert_int_equal(r->exited, 0);
        assert_int_equal(r->received[CHANNEL_STDOUT], 1);
        host_stop(h);
}

static void test_much(void **state)
{
        struct host *h = host_start_synced();
        struct run *r;
        (void)state;

        /* To it. */
        r = host_exec(h, "wc", "-c", NULL);
        r->to_send = MUCH;
        host_wait(h, r);
        assert_int_equal(strtoul(run_text(r, CHANNEL_STDOUT), NULL, 10), MUCH);
        /* From it. */
        r = host_exec(h, "head", "-c", "20M", "/dev/zero", NULL);
        host_wait(h, r);
        assert_int_equal(r->received[CHANNEL_STDOUT], MUCH);
        /* Both at once, each byte compared. */
        r = host_exec(h, "cat", NULL);
        r->to_send = MUCH;
        r->echo = true;
        host_wait(h, r);
        assert_int_equal(r->received[CHANNEL_STDOUT], MUCH);
        assert_int_equal(r->exited, 0);
        host_stop(h);
}

static void test_twenty_at_once(void **state)
{
        struct host *h = host_start_synced();
        struct run *runs[20];
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
                autofree char *script = xasprintf("cat; exit %zu", i);

                runs[i] = host_exec(h, "sh", "-c", script, NULL);
                runs[i]->to_send = 1u << 20;
                runs[i]->echo = true;
        }
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
                host_wait(h, runs[i]);
                assert_int_equal(runs[i]->exited, i);
                assert_int_equal(runs[i]->received[CHANNEL_STDOUT], 1u << 20);
        }
        host_stop(h);
}

/* Twenty floods with credit: each gets its share while they run together. */
static void test_fair(void **state)
{
        struct host *h = host_start_synced();
        struct run *runs[20];
        uint64_t least = UINT64_MAX, most = 0;
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
                runs[i] = host_exec(h, "yes", NULL);
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
                host_wait_output(h, runs[i], 1u << 20);
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
                least = MIN(least, runs[i]->received[CHANNEL_STDOUT]);
                most = MAX(most, runs[i]->received[CHANNEL_STDOUT]);
        }
        assert_true(most < least * 20);
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
                host_close(h, runs[i]);
        host_stop(h);
}

static void test_signals(void **state)
{
        struct host *h = host_start_synced();
        struct run *r = host_exec(h, "sleep", "1000", NULL);
        (void)state;

        host_message(h, r, "{\"signal\":15}"); /* at once, before it runs */
        host_wait(h, r);
        assert_int_equal(r->signaled, 15);
        /* To the whole group: the child holds the outputs. */
        r = host_exec(h, "sh", "-c", "trap 'echo caught; exit 9' INT; sleep 1000 & echo ready; wait; wait", NULL);
        host_wait_output(h, r, 6);
        host_message(h, r, "{\"signal\":2}");
        host_for(h, 100);
        host_message(h, r, "{\"signal\":15}"); /* a background job of sh ignores SIGINT */
        host_wait(h, r);
        assert_int_equal(r->exited, 9);
        assert_string_equal(run_text(r, CHANNEL_STDOUT), "ready\ncaught\n");
        host_stop(h);
}

static void test_close_ends_command(void **state)
{
        static const char stubborn[] = "trap '' HUP; sleep 1000 & echo $!; wait";
        struct host *h = host_start_synced();
        struct run *r = host_exec(h, "sleep", "1000", NULL), *stopped;
        uint64_t start;
        pid_t pids[2];
        (void)state;

        host_wait_started(h, r);
        host_close(h, r);
        host_for(h, 10);
        assert_true(process_ends((pid_t)r->pid, 2000));
        /* At once. */
        r = host_exec(h, "sleep", "1000", NULL);
        host_close(h, r);
        /* One that is stopped, one that ignores it with its child. */
        stopped = host_exec(h, "sh", "-c", "echo; kill -STOP $$", NULL);
        host_wait_output(h, stopped, 1);
        host_close(h, stopped);
        r = host_exec(h, "sh", "-c", stubborn, NULL);
        host_wait_output(h, r, 2);
        pids[0] = (pid_t)r->pid;
        pids[1] = (pid_t)strtoul(run_text(r, CHANNEL_STDOUT), NULL, 10);
        start = now_ms();
        host_close(h, r);
        host_for(h, 500);
        assert_true(process_ends((pid_t)stopped->pid, 2000));
        assert_false(process_ends(pids[0], 0));
        assert_true(process_ends(pids[0], 15000));
        assert_true(process_ends(pids[1], 1000));
        assert_true(now_ms() - start > 4000);
        host_stop(h);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_statuses),
                cmocka_unit_test(test_cannot_execute),
                cmocka_unit_test(test_surroundings),
                cmocka_unit_test(test_user),
                cmocka_unit_test(test_outputs),
                cmocka_unit_test(test_stdin),
                cmocka_unit_test(test_much),
                cmocka_unit_test(test_twenty_at_once),
                cmocka_unit_test(test_fair),
                cmocka_unit_test(test_signals),
                cmocka_unit_test(test_close_ends_command),
        };

        return cmocka_run_group_tests_name("agent_exec", tests, NULL, NULL);
}
