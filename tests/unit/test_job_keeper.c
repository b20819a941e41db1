/* SPDX-License-Identifier: MIT */
/* A job's unit without systemd: its keeper runs to its end, or is told to end, and then the last step writes the result. */
#include "base/file.h"
#include "base/util.h"
#include "job/end.h"
#include "job/follow.h"
#include "job/job.h"
#include "job/keeper.h"
#include "job/new_job.h"
#include "scratch.h"
#include "tar_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TOKEN "0123456789abcdef0123456789abcdef"

static void need_root(void)
{
        if (geteuid() != 0)
                skip();
}

static void make(void **state, const char *spec, struct jobs *jobs, struct job *ret)
{
        autofree char *line = xasprintf("%s\n", spec);
        autoclose int fd = fd_of(line, strlen(line));
        struct error err = ERROR_INIT;

        need_root();
        assert_return_code(chmod(*state, 0755), errno); /* other users enter it */
        if (jobs_open(jobs, *state, *state, &err) < 0 || new_job(jobs, "1", TOKEN, fd, &err) < 0 ||
            job_find(jobs, "1", TOKEN, ret, &err) < 0)
                fail_msg("%s", err.message);
}

/* In a process of its own, whose pid it returns. */
static pid_t start(void **state, int (*main_function)(int, char **))
{
        static char name[] = "--job", id[] = "1";
        char *argv[] = {name, id, *state, *state, NULL};
        pid_t pid = fork();

        if (pid == 0)
                exit(main_function(4, argv));
        return pid;
}

static int wait_for(pid_t pid)
{
        int status = -1;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static struct json_object *end(void **state, const struct job *job, const char *service_result)
{
        struct json_object *result;
        struct error err = ERROR_INIT;

        setenv("SERVICE_RESULT", service_result, 1);
        setenv("EXIT_STATUS", "0", 1);
        assert_int_equal(wait_for(start(state, end_main)), 0);
        result = job_read(job, "result.json", &err);
        if (!result)
                fail_msg("%s", err.message);
        return result;
}

static void assert_result(struct json_object *o, const char *result, uint64_t status)
{
        if (!streq(json_get_string(o, "result", ""), result) || json_get_u64(o, "status", 999) != status)
                fail_msg("not %s %d: %s", result, (int)status, json_line(o));
}

static void assert_log(const struct job *job, const char *expected)
{
        autofree char *path = job_path(job, "log"), *text = file_read(path, 1u << 20, NULL, NULL);

        assert_string_equal(text, expected);
}

/* A fifo in the job's folder: what opens it waits for us, and what reads from it ends with us. Without systemd nobody else would
 * end what is left of a job. */
static int make_fifo(const struct job *job, const char *name, int flags)
{
        autofree char *path = job_path(job, name);

        assert_return_code(mkfifo(path, 0600), errno);
        return flags ? open(path, flags | O_CLOEXEC) : -1;
}

/* Returns when the command has opened it. */
static void wait_for_command(const struct job *job, const char *name)
{
        autofree char *path = job_path(job, name);

        close(open(path, O_RDONLY | O_CLOEXEC));
}

static void test_to_the_end(void **state)
{
        static const struct {
                const char *spec, *result;
                uint64_t status;
                const char *log;
        } cases[] = {
                {"{\"command\": [\"sh\", \"-c\", \"echo out; echo err >&2; exit 3\"]}", "exited", 3, "out\nerr\n"},
                {"{\"command\": [\"sh\", \"-c\", \"kill -9 $$\"]}", "signaled", 9, ""},
                {"{\"script\": \"echo a\\nfalse\\necho b\\n\"}", "exited", 1, "a\n"},
                {"{\"script\": \"#!/bin/cat\\nshown\\n\"}", "exited", 0, "#!/bin/cat\nshown\n"},
                {"{\"command\": [\"nosuchcommand\"]}", "no-command", 0, ""},
                {"{\"command\": [\"/etc/passwd\"]}", "not-executable", 0, ""},
                {"{\"command\": [\"true\"], \"user\": \"nosuchuser\"}", "chroot", 0, ""},
                {"{\"command\": [\"true\"], \"chroot\": \"nosuchchroot\"}", "chroot", 0, ""},
                {"{\"script\": \"id -un; cat input; echo $A\", \"user\": \"nobody\", \"environment\": {\"A\": \"b\"}}", "exited",
                 0, "nobody\nowned\nb\n"},
                {"{\"script\": \"cat /proc/net/dev | grep -c :\", \"network\": false}", "exited", 0, "1\n"},
                {"{\"script\": \"echo begun; (cat ../hold; echo never) & echo ended\"}", "exited", 0, "begun\nended\n"},
                {"{\"script\": \"dd if=/dev/zero of=/dev/full count=1 2>&1 | grep -o 'No space.*'; false\"}", "disk-full", 1,
                 "No space left on device\n"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autojobs struct jobs jobs = {0};
                autojob struct job job = JOB_INIT;
                autojson struct json_object *result = NULL;
                autofree char *input = NULL;
                autoclose int hold = -1;
                struct error err = ERROR_INIT;

                make(state, cases[i].spec, &jobs, &job);
                hold = make_fifo(&job, "hold", O_RDWR);
                input = xasprintf("%s/input", job.work);
                assert_int_equal(file_write_atomic(input, 0600, "owned\n", 6, &err), 0);
                assert_int_equal(wait_for(start(state, keeper_main)), 0);
                result = end(state, &job, "success");
                assert_result(result, cases[i].result, cases[i].status);
                assert_log(&job, cases[i].log);
                assert_int_equal(job_remove(&job, &err), 0);
        }
}

static void test_told_to_end(void **state)
{
        static const struct {
                const char *service_result, *result;
        } cases[] = {{"timeout", "timeout"}, {"watchdog", "silence"}, {"success", "machine"}};

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autojobs struct jobs jobs = {0};
                autojob struct job job = JOB_INIT;
                autojson struct json_object *result = NULL;
                autoclose int hold = -1;
                struct error err = ERROR_INIT;
                pid_t pid;

                make(state, "{\"script\": \"trap 'echo told; exit 5' TERM; : >../begun; cat ../hold & wait\"}", &jobs, &job);
                hold = make_fifo(&job, "hold", O_RDWR);
                make_fifo(&job, "begun", 0);
                pid = start(state, keeper_main);
                wait_for_command(&job, "begun");
                assert_int_equal(kill(pid, SIGTERM), 0);
                assert_int_equal(wait_for(pid), 0);
                result = end(state, &job, cases[i].service_result);
                assert_result(result, cases[i].result, 5);
                assert_log(&job, "told\n");
                assert_int_equal(job_remove(&job, &err), 0);
        }
}

static void test_keeper_killed(void **state)
{
        autojobs struct jobs jobs = {0};
        autojob struct job job = JOB_INIT;
        autojson struct json_object *result = NULL;
        autoclose int hold = -1;
        pid_t pid;

        make(state, "{\"script\": \": >../begun; cat ../hold\"}", &jobs, &job);
        hold = make_fifo(&job, "hold", O_RDWR);
        make_fifo(&job, "begun", 0);
        pid = start(state, keeper_main);
        wait_for_command(&job, "begun");
        assert_int_equal(kill(pid, SIGKILL), 0);
        wait_for(pid);
        result = end(state, &job, "signal");
        assert_result(result, "machine", 0);
}

static void test_cancelled_before(void **state)
{
        autojobs struct jobs jobs = {0};
        autojob struct job job = JOB_INIT;
        autojson struct json_object *result = NULL;
        autofree char *path = NULL;
        struct error err = ERROR_INIT;

        make(state, "{\"script\": \"echo never\"}", &jobs, &job);
        path = job_path(&job, "cancelled");
        assert_int_equal(file_write_atomic(path, 0600, "", 0, &err), 0);
        assert_int_equal(wait_for(start(state, keeper_main)), 0);
        result = end(state, &job, "success");
        assert_result(result, "cancelled", 0);
        assert_log(&job, "");
}

/* systemd's watchdog hears of output. */
static void test_watchdog(void **state)
{
        autofree char *path = scratch_path(state, "notify");
        autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        autojobs struct jobs jobs = {0};
        autojob struct job job = JOB_INIT;
        char message[32] = "";

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        assert_return_code(bind(fd, (struct sockaddr *)&address, sizeof(address)), errno);
        make(state, "{\"script\": \"echo one; echo two\"}", &jobs, &job);
        setenv("NOTIFY_SOCKET", path, 1);
        assert_int_equal(wait_for(start(state, keeper_main)), 0);
        unsetenv("NOTIFY_SOCKET");
        assert_int_equal(recv(fd, message, sizeof(message), MSG_DONTWAIT), strlen("WATCHDOG=1"));
        assert_string_equal(message, "WATCHDOG=1");
}

/* In a process of its own, with its standard output in the file `copy` and its reports in `reports`. */
static pid_t start_follower(void **state, const struct job *job, uint64_t offset, unsigned beat_ms)
{
        autofree char *copy = scratch_path(state, "copy"), *reports = scratch_path(state, "reports");
        struct error err = ERROR_INIT;
        pid_t pid = fork();

        if (pid == 0) {
                if (dup2(open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), STDOUT_FILENO) < 0 ||
                    dup2(open(reports, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), STDERR_FILENO) < 0)
                        _exit(99);
                _exit(follow(job, offset, beat_ms, &err) < 0 ? (int)err.code : 0);
        }
        return pid;
}

/* Whoever follows from the begin has the log to the last byte when the result is there. */
static void test_followed(void **state)
{
        autofree char *copy = scratch_path(state, "copy"), *text = NULL;
        autojobs struct jobs jobs = {0};
        autojob struct job job = JOB_INIT;
        struct error err = ERROR_INIT;
        pid_t keeper, follower;

        make(state, "{\"script\": \"for i in 1 2 3 4 5; do echo $i; sleep 0.05; done\"}", &jobs, &job);
        follower = start_follower(state, &job, 2, FOLLOW_BEAT_MS);
        keeper = start(state, keeper_main);
        assert_int_equal(wait_for(keeper), 0);
        json_object_put(end(state, &job, "success"));
        assert_int_equal(wait_for(follower), 0);
        text = file_read(copy, 100, NULL, &err);
        assert_string_equal(text, "2\n3\n4\n5\n");
}

/* One whose keeper has ended without a result is found lost at the next heartbeat, and one that is removed ends at once. */
static void test_followed_to_nowhere(void **state)
{
        autofree char *reports = scratch_path(state, "reports"), *text = NULL;
        autojobs struct jobs jobs = {0};
        autojob struct job job = JOB_INIT;
        struct error err = ERROR_INIT;
        pid_t follower;

        make(state, "{\"script\": \"true\"}", &jobs, &job);
        assert_int_equal(job_write(&job, "started.json", json_new(), false, &err), 0);
        follower = start_follower(state, &job, 0, 10);
        assert_int_equal(WEXITSTATUS(wait_for(follower)), ERR_STATE);
        text = file_read(reports, 4096, NULL, &err);
        assert_true(str_has_prefix(text, "{\"heartbeat\":{\"silence\":"));
        follower = start_follower(state, &job, 0, FOLLOW_BEAT_MS);
        assert_int_equal(job_remove(&job, &err), 0);
        assert_int_equal(WEXITSTATUS(wait_for(follower)), ERR_NOT_FOUND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_to_the_end), TEST(test_told_to_end), TEST(test_keeper_killed),       TEST(test_cancelled_before),
                TEST(test_watchdog),   TEST(test_followed),    TEST(test_followed_to_nowhere),
        };

        umask(0);
        return cmocka_run_group_tests_name("job_keeper", tests, NULL, NULL);
}
