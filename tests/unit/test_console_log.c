/* SPDX-License-Identifier: MIT */
/*
 * The tests write numbered lines, so that a byte that is lost, doubled or moved shows.  They run where the file system can
 * collapse a range (ext4, xfs) and in /dev/shm, a tmpfs, which can only punch holes.
 */
#include "daemon/console_log.h"

#include "base/error.h"
#include "base/file.h"
#include "base/util.h"
#include "scratch.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LINE      "%015d\n"
#define LINE_SIZE 16
#define BLOCK_MAX (64u * 1024) /* larger than any file system's block: what a rotation may leave behind */

static int shm_setup(void **state)
{
        char *folder = xstrdup("/dev/shm/initvm-unit.XXXXXX");

        *state = folder;
        return mkdtemp(folder) ? 0 : -1;
}

static void append_lines(int fd, int first, int n)
{
        autobuf struct buf b = {0};

        for (int i = first; i < first + n; i++) {
                char line[LINE_SIZE + 1];
                snprintf(line, sizeof(line), LINE, i);
                buf_append(&b, line, LINE_SIZE);
        }
        assert_int_equal(fd_write_all(fd, buf_head(&b), buf_size(&b)), 0);
}

/* The data of the file without the hole at its beginning. */
static char *data_of(const char *path, size_t *ret_n)
{
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        off_t begin = lseek(fd, 0, SEEK_DATA), end = lseek(fd, 0, SEEK_END);
        char *data;

        if (begin < 0)
                begin = end;
        *ret_n = (size_t)(end - begin);
        data = xcalloc(*ret_n + 1, 1);
        assert_int_equal(pread(fd, data, *ret_n, begin), (ssize_t)*ret_n);
        return data;
}

/* <path>.1 and <path> together end with line `last` and have every line before it back to the beginning of <path>.1. */
static void assert_no_gap(const char *path, int last)
{
        autofree char *old = xasprintf("%s.1", path), *a = NULL, *b = NULL;
        size_t a_n, b_n, lines;

        a = data_of(old, &a_n);
        b = data_of(path, &b_n);
        a = xrealloc(a, a_n + b_n, 1);
        memcpy(a + a_n, b, b_n);
        assert_int_equal((a_n + b_n) % LINE_SIZE, 0); /* blocks are multiples of a line */
        lines = (a_n + b_n) / LINE_SIZE;
        for (size_t i = 0; i < lines; i++) {
                char line[LINE_SIZE + 1];
                snprintf(line, sizeof(line), LINE, last - (int)(lines - 1 - i));
                assert_memory_equal(a + i * LINE_SIZE, line, LINE_SIZE);
        }
        assert_true(b_n <= CONSOLE_LOG_MAX);
        assert_true(lines * LINE_SIZE >= CONSOLE_LOG_MAX); /* the tail is kept */
}

static uint64_t allocated(const char *path)
{
        struct stat st;

        return stat(path, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

static void test_below_cap(void **state)
{
        autofree char *path = scratch_path(state, "console.log"), *old = scratch_path(state, "console.log.1");
        autoclose int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        struct stat st;

        console_log_rotate(path); /* empty */
        append_lines(fd, 0, 1000);
        console_log_rotate(path);
        assert_int_equal(access(old, F_OK), -1);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, 1000 * LINE_SIZE);
        unlink(path);
        console_log_rotate(path); /* missing */
        assert_int_equal(access(path, F_OK), -1);
}

/* Several rotations in a row, with the writer's fd open all the time as QEMU has it. */
static void test_rotations(void **state)
{
        autofree char *path = scratch_path(state, "console.log"), *old = scratch_path(state, "console.log.1");
        autofree char *tmp = scratch_path(state, "console.log.1.new");
        autoclose int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        int lines = 0;
        struct stat st;

        for (int rotation = 0; rotation < 4; rotation++) {
                append_lines(fd, lines, CONSOLE_LOG_MAX / LINE_SIZE + 777);
                lines += CONSOLE_LOG_MAX / LINE_SIZE + 777;
                assert_int_equal(fsync(fd), 0); /* blocks are counted when they are allocated */
                console_log_rotate(path);
                assert_no_gap(path, lines - 1);
                assert_true(allocated(path) <= BLOCK_MAX * 2);
                assert_int_equal(stat(old, &st), 0);
                assert_int_equal(st.st_mode & 0777, 0600);
                assert_true(st.st_size <= (off_t)(CONSOLE_LOG_MAX + 2 * BLOCK_MAX));
                assert_int_equal(access(tmp, F_OK), -1);
                append_lines(fd, lines, 10); /* O_APPEND goes on at the new end */
                lines += 10;
                assert_no_gap(path, lines - 1);
        }
}

/* A size that is a whole number of blocks: a range up to the very end cannot be collapsed. */
static void test_whole_blocks(void **state)
{
        autofree char *path = scratch_path(state, "console.log");
        autoclose int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        int lines = (CONSOLE_LOG_MAX + BLOCK_MAX) / LINE_SIZE;

        append_lines(fd, 0, lines);
        assert_int_equal(fsync(fd), 0);
        console_log_rotate(path);
        assert_no_gap(path, lines - 1);
        assert_true(allocated(path) <= BLOCK_MAX * 2);
}

struct writer {
        int fd;
        int lines;
        int done; /* atomic */
};

static void *write_lines(void *userdata)
{
        struct writer *w = userdata;

        for (int i = 0; i < w->lines; i += 64)
                append_lines(w->fd, i, 64);
        __atomic_store_n(&w->done, 1, __ATOMIC_SEQ_CST);
        return NULL;
}

/* While another fd goes on appending, rotations lose no byte: each one's .1 begins where the one before ended. */
static void test_while_written(void **state)
{
        autofree char *path = scratch_path(state, "console.log"), *old = scratch_path(state, "console.log.1");
        struct writer w = {.fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), .lines = 1 << 20};
        pthread_t thread;
        int next = 0, rotations = 0;
        ino_t seen = 0;
        bool done;

        assert_int_equal(pthread_create(&thread, NULL, write_lines, &w), 0);
        do {
                struct stat st;

                done = __atomic_load_n(&w.done, __ATOMIC_SEQ_CST);
                console_log_rotate(path);
                if (stat(old, &st) == 0 && st.st_ino != seen) {
                        size_t n;
                        autofree char *data = data_of(old, &n);
                        autofree char *keep = xasprintf("%s.keep%d", old, rotations++);

                        assert_int_equal(link(old, keep), 0); /* its inode number is not used again */
                        seen = st.st_ino;
                        for (size_t i = 0; i < n / LINE_SIZE; i++)
                                assert_int_equal(strtol(data + i * LINE_SIZE, NULL, 10), next++);
                }
        } while (!done);
        pthread_join(thread, NULL);
        close(w.fd);
        assert_true(rotations >= 1);
        size_t n;
        autofree char *rest = data_of(path, &n);
        for (size_t i = 0; i < n / LINE_SIZE; i++)
                assert_int_equal(strtol(rest + i * LINE_SIZE, NULL, 10), next++);
        assert_int_equal(next, w.lines);
}

/* Without a place for .1 the log stays whole. */
static void test_cannot_keep(void **state)
{
        autofree char *path = scratch_path(state, "console.log"), *old = scratch_path(state, "console.log.1");
        autofree char *tmp = scratch_path(state, "console.log.1.new");
        autoclose int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        int lines = CONSOLE_LOG_MAX / LINE_SIZE + 5000;
        struct stat st;

        append_lines(fd, 0, lines);
        assert_int_equal(fsync(fd), 0);
        assert_int_equal(mkdir(old, 0700), 0);
        console_log_rotate(path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, (off_t)lines * LINE_SIZE);
        assert_true(allocated(path) > CONSOLE_LOG_MAX);
        assert_int_equal(access(tmp, F_OK), -1);
}

static void test_tail(void **state)
{
        autofree char *path = scratch_file(state, "console.log", "0123456789", 10, 0600);
        autofree char *missing = scratch_path(state, "missing");
        uint8_t tail[16] = "";

        assert_int_equal(console_log_tail(path, tail, 4), 4);
        assert_memory_equal(tail, "6789", 4);
        assert_int_equal(console_log_tail(path, tail, sizeof(tail)), 10);
        assert_memory_equal(tail, "0123456789", 10);
        assert_int_equal(console_log_tail(path, tail, 0), 0);
        assert_int_equal(console_log_tail(missing, tail, 4), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
#define SHM_TEST(f)                                                                                                              \
        {                                                                                                                        \
#f "_in_tmpfs", f, shm_setup, scratch_teardown, NULL                                                             \
        }
        const struct CMUnitTest tests[] = {
                TEST(test_below_cap),     SHM_TEST(test_below_cap),     TEST(test_rotations),
                SHM_TEST(test_rotations), TEST(test_whole_blocks),      SHM_TEST(test_whole_blocks),
                TEST(test_while_written), SHM_TEST(test_while_written), TEST(test_cannot_keep),
                TEST(test_tail),
        };

        return cmocka_run_group_tests_name("console_log", tests, NULL, NULL);
}
