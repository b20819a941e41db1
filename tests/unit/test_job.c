/* SPDX-License-Identifier: MIT */
/* Jobs as folders: made of a stream, found again, in which state they are; their logs. */
#include "base/file.h"
#include "base/util.h"
#include "job/job.h"
#include "job/log.h"
#include "job/new_job.h"
#include "job/spec.h"
#include "scratch.h"
#include "tar_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TOKEN "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"

static void need_root(void)
{
        if (geteuid() != 0)
                skip();
}

static void open_jobs(void **state, struct jobs *jobs)
{
        autofree char *path = scratch_path(state, "state");
        struct error err = ERROR_INIT;

        if (jobs_open(jobs, path, path, &err) < 0)
                fail_msg("%s", err.message);
        free(jobs->cgroup);
        jobs->cgroup = scratch_path(state, "cgroup");
}

static int make(const struct jobs *jobs, const char *id, const char *token, const char *stream, size_t n, struct error *err)
{
        autoclose int fd = fd_of(stream, n);

        return new_job(jobs, id, token, fd, err);
}

static int make_plain(const struct jobs *jobs, const char *id, const char *token, struct error *err)
{
        static const char spec[] = "{\"script\": \"true\\n\"}\n";

        return make(jobs, id, token, spec, strlen(spec), err);
}

static void find(const struct jobs *jobs, const char *id, struct job *ret)
{
        struct error err = ERROR_INIT;

        if (job_find(jobs, id, NULL, ret, &err) < 0)
                fail_msg("%s", err.message);
}

static void test_names(void **state)
{
        struct jobs jobs = {.folder = *state, .cgroup = *state};
        struct error err = ERROR_INIT;

        for (const char *const *id = (const char *const[]){"", "x", "1x", "-1", "01", "1/2", "..", "1234567890123456789", NULL};
             *id; id++) {
                autojob struct job job = JOB_INIT;
                assert_int_equal(job_find(&jobs, *id, TOKEN, &job, &err), -1);
                assert_int_equal(err.code, ERR_INVALID);
        }
        for (const char *const *token = (const char *const[]){"", "1", TOKEN "0", "0123456789ABCDEF0123456789abcdef", NULL};
             *token; token++) {
                autojob struct job job = JOB_INIT;
                assert_int_equal(job_find(&jobs, "1", *token, &job, &err), -1);
        }
        for (const char *const *id = (const char *const[]){"0", "1", "999999999999999999", NULL}; *id; id++) {
                autojob struct job job = JOB_INIT;
                assert_int_equal(job_find(&jobs, *id, TOKEN, &job, &err), 0);
                assert_int_equal(job_state(&job), JOB_ABSENT);
        }
}

static void test_made(void **state)
{
        autojobs struct jobs jobs = {0};
        autobuf struct buf stream = {0};
        autojob struct job job = JOB_INIT;
        struct error err = ERROR_INIT;
        autofree char *names = NULL, *path = NULL, *script = NULL;
        autostrv char **ids = NULL;
        autospec struct spec spec = {0};

        need_root();
        open_jobs(state, &jobs);
        buf_printf(&stream, "{\"script\": \"exit 1\", \"inputs\": true}\n");
        tar_file(&stream, "input", "content");
        tar_end(&stream);
        if (make(&jobs, "7", TOKEN, (char *)buf_head(&stream), buf_size(&stream), &err) < 0)
                fail_msg("%s", err.message);
        find(&jobs, "7", &job);
        assert_true(job_is(&job, TOKEN) && !job_is(&job, OTHER));
        assert_int_equal(job_state(&job), JOB_CREATED);
        names = names_below(job.folder);
        assert_string_equal(names,
                            ".outcome.json.new .result.json.new .started.json.new log script spec.json times work/ work/input");
        path = job_path(&job, "script");
        script = file_read(path, 100, NULL, &err);
        assert_string_equal(script, "exit 1");
        assert_int_equal(spec_of(&job, &spec, &err), 0);
        ids = jobs_ids(&jobs);
        assert_string_equal(ids[0], "7");
        assert_null(ids[1]);
        assert_int_equal(job_remove(&job, &err), 0);
        assert_int_equal(job_state(&job), JOB_ABSENT);
        assert_int_equal(job_remove(&job, &err), 0);
}

/* Nothing is made of what is not whole. */
static void test_broken(void **state)
{
        static const char *const streams[] = {"", "{\"script\": \"true\"}", "{}\n", "{\"script\": \"true\", \"inputs\": true}\n",
                                              "{\"script\": \"true\", \"inputs\": true}\nxxxx"};
        autojobs struct jobs jobs = {0};
        autofree char *names = NULL;

        need_root();
        open_jobs(state, &jobs);
        for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
                struct error err = ERROR_INIT;

                assert_int_equal(make(&jobs, "1", TOKEN, streams[i], strlen(streams[i]), &err), -1);
        }
        names = names_below(jobs.folder);
        assert_string_equal(names, "");
}

static void test_made_again(void **state)
{
        autojobs struct jobs jobs = {0};
        autojob struct job first = JOB_INIT, second = JOB_INIT, third = JOB_INIT;
        autofree char *mark = NULL;
        struct error err = ERROR_INIT;

        need_root();
        open_jobs(state, &jobs);
        assert_int_equal(make_plain(&jobs, "1", TOKEN, &err), 0);
        find(&jobs, "1", &first);
        mark = job_path(&first, "work/mark");
        assert_int_equal(file_write_atomic(mark, 0600, "", 0, &err), 0);
        assert_int_equal(make(&jobs, "1", TOKEN, "", 0, &err), 0); /* left alone, and nothing is read */
        assert_int_equal(access(mark, F_OK), 0);
        assert_int_equal(make_plain(&jobs, "1", OTHER, &err), 0);
        assert_int_equal(access(mark, F_OK), -1);
        find(&jobs, "1", &second);
        assert_true(job_is(&second, OTHER));
        /* One of another boot. */
        autofree char *spec = job_path(&second, "spec.json"), *inside = job_path(&second, "work/mark");
        assert_int_equal(file_write_atomic(spec, 0600, "{\"token\":\"" OTHER "\",\"boot\":\"x\"}", 55, &err), 0);
        assert_int_equal(file_write_atomic(inside, 0600, "", 0, &err), 0);
        find(&jobs, "1", &third);
        assert_true(job_is(&third, OTHER));
        assert_int_equal(job_state(&third), JOB_ABSENT);
        assert_int_equal(make_plain(&jobs, "1", OTHER, &err), 0);
        assert_int_equal(access(inside, F_OK), -1);
}

static struct json_object *one(void)
{
        struct json_object *o = json_new();

        json_add_u64(o, "one", 1);
        return o;
}

static void test_states(void **state)
{
        autojobs struct jobs jobs = {0};
        autojob struct job job = JOB_INIT;
        autojson struct json_object *result = NULL;
        struct error err = ERROR_INIT;

        need_root();
        open_jobs(state, &jobs);
        assert_int_equal(make_plain(&jobs, "1", TOKEN, &err), 0);
        find(&jobs, "1", &job);
        assert_int_equal(job_state(&job), JOB_CREATED);
        assert_int_equal(dir_make(job.cgroup, 0755, &err), 0);
        assert_int_equal(job_state(&job), JOB_RUNNING);
        assert_int_equal(job_write(&job, "started.json", json_new(), false, &err), 0);
        assert_int_equal(rmdir(job.cgroup), 0);
        assert_int_equal(job_state(&job), JOB_LOST);
        assert_int_equal(job_write(&job, "result.json", one(), true, &err), 0);
        assert_int_equal(job_state(&job), JOB_ENDED);
        assert_int_equal(job_write(&job, "result.json", json_new(), true, &err), 0); /* the first one stays */
        result = job_read(&job, "result.json", &err);
        assert_int_equal(json_get_u64(result, "one", 0), 1);
}

static void test_left_over(void **state)
{
        autojobs struct jobs jobs = {0};
        autofree char *mine = NULL, *left = NULL, *names = NULL;
        autoclose int fd = -1;

        need_root();
        open_jobs(state, &jobs);
        mine = xasprintf("%s/.new-a", jobs.folder);
        left = xasprintf("%s/.new-b", jobs.folder);
        assert_return_code(mkdir(mine, 0700) | mkdir(left, 0700), errno);
        fd = open(mine, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_return_code(flock(fd, LOCK_EX), errno);
        new_jobs_remove_left(&jobs);
        names = names_below(jobs.folder);
        assert_string_equal(names, ".new-a/");
}

/* ---- logs */

static void open_log(void **state, struct job_log *l, uint64_t limit)
{
        const struct job job = {.folder = *state};
        struct error err = ERROR_INIT;

        free(scratch_file(state, "log", "", 0, 0600));
        free(scratch_file(state, "times", "", 0, 0600));
        if (job_log_open(l, &job, limit, &err) < 0)
                fail_msg("%s", err.message);
}

static char *content(void **state, const char *name, size_t *ret_size)
{
        autofree char *path = scratch_path(state, name);
        struct error err = ERROR_INIT;
        char *text = file_read(path, 1u << 20, ret_size, &err);

        if (!text)
                fail_msg("%s", err.message);
        return text;
}

static void test_log(void **state)
{
        struct job_log l = JOB_LOG_INIT;
        autofree char *log = NULL, *times = NULL;
        size_t n = 0;

        open_log(state, &l, 10);
        assert_true(job_log_add(&l, "abc\0e", 5));
        assert_false(job_log_add(&l, "fghij", 5)); /* at once: no new time */
        job_log_close(&l);
        log = content(state, "log", &n);
        assert_int_equal(n, 10);
        assert_memory_equal(log, "abc\0efghij", 10);
        times = content(state, "times", NULL);
        assert_true(str_has_prefix(times, "0 1") && strchr(times, '\n') == times + strlen(times) - 1);
}

static void test_log_cut(void **state)
{
        struct job_log l = JOB_LOG_INIT;
        autofree char *log = NULL, *letters = xcalloc(1, LOG_TAIL + 5);
        size_t n = 0;

        for (size_t i = 0; i < LOG_TAIL + 5; i++)
                letters[i] = (char)('a' + i % 26);
        open_log(state, &l, 3);
        job_log_add(&l, letters, 2);
        job_log_add(&l, letters + 2, 4); /* "c" fits, "def" does not */
        assert_true(l.cut);
        job_log_close(&l);
        log = content(state, "log", &n);
        assert_string_equal(log,
                            "abc\ninitvm: the log is cut here, at its limit of 3 B; what comes next is its end, when the job has "
                            "ended\ninitvm: 0 bytes are left out here\ndef");
        free(take_ptr(log));
        open_log(state, &l, 0);
        job_log_add(&l, "xy", 2);
        job_log_add(&l, letters, LOG_TAIL + 5);
        job_log_close(&l);
        log = content(state, "log", &n);
        assert_non_null(strstr(log, "initvm: 7 bytes are left out here\nfghij"));
        assert_memory_equal(log + n - LOG_TAIL, letters + 5, LOG_TAIL);
}

/* What cannot be written is the command's affair; the output is taken all the same. */
static void test_log_on_full_disk(void **state)
{
        struct job_log l = JOB_LOG_INIT;
        autofree char *log = scratch_path(state, "log");

        open_log(state, &l, 100);
        close(l.fd);
        l.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
        job_log_add(&l, "abc", 3);
        job_log_add(&l, "abc", 3);
        assert_int_equal(l.errnum, ENOSPC);
        job_log_close(&l);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_names),     TEST(test_made), TEST(test_broken),  TEST(test_made_again),       TEST(test_states),
                TEST(test_left_over), TEST(test_log),  TEST(test_log_cut), TEST(test_log_on_full_disk),
        };

        umask(0);
        return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
