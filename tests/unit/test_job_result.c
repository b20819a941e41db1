/* SPDX-License-Identifier: MIT */
/* What has become of a job, judged by what systemd, its keeper and its control group say. */
#include "base/file.h"
#include "base/process.h"
#include "base/util.h"
#include "job/result.h"
#include "scratch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define UNIT(result, status) .service_result = (result), .exit_status = (status)
#define RAN(status)          .known = true, .wait_status = (status)

static const struct {
        const char *what;
        struct ending e;
        bool chroot;
        const char *result;
        int status;
        const char *message;
} cases[] = {
        {"success", {UNIT("success", "0"), .outcome = {RAN(0)}}, false, "exited", 0, "succeeded"},
        {"a status", {UNIT("success", "0"), .outcome = {RAN(W_EXITCODE(3, 0))}}, false, "exited", 3, "exit status 3"},
        {"a signal", {UNIT("success", "0"), .outcome = {RAN(W_EXITCODE(0, 9))}}, false, "signaled", 9, "signal 9"},
        {"full",
         {UNIT("success", "0"), .outcome = {RAN(W_EXITCODE(2, 0))}, .no_space = true},
         false,
         "disk-full",
         2,
         "disk is full"},
        {"the job's limit",
         {UNIT("success", "0"), .outcome = {RAN(W_EXITCODE(2, 0))}, .no_space = true},
         false,
         "disk-full",
         2,
         "the job's limit is 1 KiB, raise it with --disk"},
        {"full, by a signal",
         {UNIT("success", "0"), .outcome = {RAN(W_EXITCODE(0, 6))}, .no_space = true},
         false,
         "disk-full",
         134,
         "disk is full"},
        {"full, it says, and succeeds",
         {UNIT("success", "0"), .outcome = {RAN(0)}, .no_space = true},
         false,
         "exited",
         0,
         "succeeded"},
        {"no command",
         {UNIT("success", "0"), .outcome = {.known = true, .code = ERR_NO_COMMAND, .message = "x"}},
         false,
         "no-command",
         0,
         "x"},
        {"no program",
         {UNIT("success", "0"), .outcome = {.known = true, .code = ERR_NOT_EXECUTABLE, .message = "x"}},
         true,
         "not-executable",
         0,
         "x"},
        {"no chroot",
         {UNIT("success", "0"), .outcome = {.known = true, .code = ERR_NOT_FOUND, .message = "x"}},
         true,
         "chroot",
         0,
         "x"},
        {"timeout",
         {UNIT("timeout", "TERM"), .outcome = {RAN(W_EXITCODE(0, 15)), .stopped = true}},
         false,
         "timeout",
         0,
         "within 1.500 s"},
        {"timeout, killed", {UNIT("timeout", "KILL"), .outcome = {0}}, false, "timeout", 0, "--timeout"},
        {"timeout, own status",
         {UNIT("timeout", "0"), .outcome = {RAN(W_EXITCODE(5, 0)), .stopped = true}},
         false,
         "timeout",
         5,
         "--timeout"},
        {"ended before", {UNIT("timeout", "0"), .outcome = {RAN(W_EXITCODE(4, 0))}}, false, "exited", 4, ""},
        {"silence",
         {UNIT("watchdog", "0"), .outcome = {RAN(W_EXITCODE(0, 15)), .stopped = true}},
         false,
         "silence",
         0,
         "nothing for 2 s"},
        {"silence, killed", {UNIT("watchdog", "KILL"), .outcome = {0}}, false, "silence", 0, "--silence-timeout"},
        {"memory",
         {UNIT("oom-kill", "0"), .outcome = {RAN(W_EXITCODE(0, 9)), .stopped = true}, .stats.oom_kills = 1},
         false,
         "oom",
         0,
         "4 KiB"},
        {"memory, not yet heard of",
         {UNIT("success", "0"), .outcome = {RAN(W_EXITCODE(1, 0))}, .stats.oom_kills = 1},
         false,
         "oom",
         0,
         "--memory"},
        {"memory, and went on", {UNIT("success", "0"), .outcome = {RAN(0)}, .stats.oom_kills = 1}, false, "exited", 0, ""},
        {"cancelled",
         {UNIT("success", "0"), .outcome = {RAN(W_EXITCODE(0, 15)), .stopped = true}, .cancelled = true},
         false,
         "cancelled",
         0,
         ""},
        {"cancelled, killed", {UNIT("timeout", "KILL"), .outcome = {0}, .cancelled = true}, false, "cancelled", 0, "cancelled"},
        {"cancelled too late", {UNIT("success", "0"), .outcome = {RAN(0)}, .cancelled = true}, false, "exited", 0, "succeeded"},
        {"cancelled early", {UNIT("success", "0"), .outcome = {0}, .cancelled = true}, false, "cancelled", 0, "cancelled"},
        {"shutdown",
         {UNIT("success", "0"), .outcome = {RAN(W_EXITCODE(0, 15)), .stopped = true}},
         false,
         "machine",
         0,
         "submit it again"},
        {"keeper killed", {UNIT("signal", "KILL"), .outcome = {0}}, false, "machine", 0, "KILL"},
        {"unknown", {UNIT("success", "0"), .outcome = {0}}, false, "machine", 0, "looked after"},
};

static void test_judgement(void **state)
{
        const struct spec plain = {.timeout_ms = 1500, .silence_ms = 2000, .memory = 4096, .disk = 1024};
        const struct spec in_chroot = {.chroot = "box"};
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autojson struct json_object *o = result_new(&cases[i].e, cases[i].chroot ? &in_chroot : &plain);

                if (!streq(json_get_string(o, "result", ""), cases[i].result) ||
                    json_get_u64(o, "status", 999) != (uint64_t)cases[i].status ||
                    !strstr(json_get_string(o, "message", ""), cases[i].message))
                        fail_msg("%s: %s", cases[i].what, json_line(o));
        }
}

/* Where the job itself has no limit. */
static void test_limits_of_the_machine(void **state)
{
        const struct ending memory = {.service_result = "oom-kill", .exit_status = ""};
        const struct ending disk = {UNIT("success", "0"), .outcome = {RAN(W_EXITCODE(2, 0))}, .no_space = true};
        const struct spec unlimited = {0};
        autojson struct json_object *one = result_new(&memory, &unlimited), *two = result_new(&disk, &unlimited);
        (void)state;

        assert_string_equal(json_get_string(one, "result", ""), "oom");
        assert_non_null(strstr(json_get_string(one, "message", ""), "the VM ran out of memory"));
        assert_string_equal(json_get_string(two, "result", ""), "disk-full");
        assert_non_null(strstr(json_get_string(two, "message", ""), "initvm disk resize"));
}

static void test_outcome(void **state)
{
        const struct outcome ran = {.known = true,
                                    .wait_status = W_EXITCODE(7, 0),
                                    .stopped = true,
                                    .log_cut = true,
                                    .wall_ms = 12,
                                    .emulation = {8, 3}};
        const struct outcome failed = {.known = true, .code = ERR_NO_COMMAND, .message = "no \"x\""};
        autojson struct json_object *one = outcome_json(&ran), *two = outcome_json(&failed);
        struct outcome back;
        (void)state;

        outcome_read(one, &back);
        assert_true(back.known && back.stopped && back.log_cut && back.wall_ms == 12 && back.emulation.running == 8 &&
                    back.emulation.emulated == 3 && back.code == ERR_NONE);
        assert_int_equal(WEXITSTATUS(back.wait_status), 7);
        outcome_read(two, &back);
        assert_int_equal(back.code, ERR_NO_COMMAND);
        assert_string_equal(back.message, "no \"x\"");
        outcome_read(NULL, &back);
        assert_false(back.known);
}

static void test_no_space(void **state)
{
        static const char full[] = "cp: error writing 'x': No space left on device\n", quota[] = "x\0y: Disk quota exceeded";
        (void)state;

        assert_true(result_says_no_space(full, sizeof(full)));
        assert_true(result_says_no_space(quota, sizeof(quota)));
        assert_false(result_says_no_space(full, 40));
        assert_false(result_says_no_space("", 0));
}

static void test_stats(void **state)
{
        static const char *const files[][2] = {
                {"cpu.stat", "usage_usec 1234\nuser_usec 1000\n"},
                {"memory.current", "5\n"},
                {"memory.peak", "4096\n"},
                {"memory.events", "low 0\noom 9\noom_kill 2\noom_group_kill 7\n"},
                {"io.stat", "254:0 rbytes=10 wbytes=200 rios=3 wios=4\n254:16 rbytes=1 wbytes=2 rios=3 wios=4\n"},
        };
        struct stats stats;

        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                free(scratch_file(state, files[i][0], files[i][1], strlen(files[i][1]), 0644));
        stats_read(*state, &stats);
        assert_true(stats.cpu_us == 1234 && stats.memory == 5 && stats.memory_peak == 4096);
        assert_true(stats.read == 11 && stats.written == 202 && stats.oom_kills == 2);
        stats_read("/nonexistent", &stats);
        assert_true(stats.cpu_us == 0 && stats.read == 0);
}

/* A process that always wants a CPU, by a program of this name. */
static pid_t run_busy(void **state, const char *name)
{
        static const struct process_options options = {.death_signal = SIGKILL};
        autofree char *program = scratch_path(state, name);
        struct error err = ERROR_INIT;
        char *copy[] = {(char *)"cp", (char *)"/usr/bin/yes", program, NULL}, *argv[] = {program, NULL};
        pid_t pid;

        free(scratch_output(copy));
        assert_return_code(process_spawn(argv, &options, &pid, &err), 0);
        return pid;
}

static void test_emulation(void **state)
{
        autofree char *below = scratch_path(state, "below"), *native = NULL, *emulated = NULL;
        pid_t a = run_busy(state, "yes (R) x"), b = run_busy(state, "qemu-arm-static");
        struct emulation e = {0};

        assert_return_code(mkdir(below, 0700), 0);
        native = xasprintf("%d\n%d\n", getpid(), a);
        emulated = xasprintf("%d\n", b);
        emulation_sample(&e, "/nonexistent");
        free(scratch_file(state, "cgroup.threads", native, strlen(native), 0644));
        for (int i = 0; i < 1000; i++)
                emulation_sample(&e, *state);
        assert_true(e.running > 0 && e.running <= 1000 && e.emulated == 0);
        free(scratch_file(state, "below/cgroup.threads", emulated, strlen(emulated), 0644));
        for (int i = 0; i < 1000; i++)
                emulation_sample(&e, *state);
        assert_true(e.emulated > 0 && e.emulated <= 1000);
        kill(a, SIGKILL);
        kill(b, SIGKILL);
        waitpid(a, NULL, 0);
        waitpid(b, NULL, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_judgement),
                cmocka_unit_test(test_limits_of_the_machine),
                cmocka_unit_test(test_outcome),
                cmocka_unit_test(test_no_space),
                cmocka_unit_test_setup_teardown(test_stats, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_emulation, scratch_setup, scratch_teardown),
        };

        return cmocka_run_group_tests_name("job_result", tests, NULL, NULL);
}
