/* SPDX-License-Identifier: MIT */
#include "base/file.h"

#include "base/boot_files.h"

#include "base/util.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool exists(const char *path)
{
        return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_read(void **state)
{
        autofree char *text = xcalloc(100000, 1), *path = NULL, *empty = scratch_file(state, "empty", "", 0, 0600);
        autofree char *missing = scratch_path(state, "missing"), *none = NULL;
        struct error err = ERROR_INIT;
        size_t n = 7;

        for (size_t i = 0; i < 100000; i++)
                text[i] = (char)(i * 31 % 251);
        path = scratch_file(state, "file", text, 100000, 0600);

        autofree char *whole = file_read(path, 100000, &n, &err);
        assert_non_null(whole);
        assert_int_equal(n, 100000);
        assert_memory_equal(whole, text, n);
        assert_int_equal(whole[n], 0);
        assert_null(file_read(path, 99999, &n, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.message, path));
        none = file_read(empty, 0, &n, &err);
        assert_string_equal(none, "");
        assert_int_equal(n, 0);
        assert_null(file_read(missing, 10, NULL, &err));
        assert_int_equal(err.code, ERR_NOT_FOUND);
        assert_null(file_read("/", 10, NULL, &err)); /* opens, but cannot be read */
        assert_null(file_read("/dev/zero", 1u << 20, NULL, &err));
        assert_int_equal(err.code, ERR_INVALID);
}

static void test_write_atomic(void **state)
{
        autofree char *path = scratch_file(state, "file", "old", 3, 0644), *folder = scratch_path(state, "folder");
        autofree char *in_it = scratch_path(state, "folder/x"), *nowhere = scratch_path(state, "nowhere/x");
        autofree char *text = NULL, *read_before = NULL;
        autoclose int before = open(path, O_RDONLY | O_CLOEXEC);
        struct error err = ERROR_INIT;
        struct stat st;
        size_t fds = scratch_open_fds();
        char old[4] = "";

        umask(077);
        assert_int_equal(file_write_atomic(path, 0640, "ne\0w", 4, &err), 0);
        umask(022);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640); /* whatever the umask */
        text = file_read(path, 10, NULL, &err);
        assert_memory_equal(text, "ne\0w", 5);
        assert_int_equal(read(before, old, 3), 3); /* who has the old one open keeps it whole */
        assert_string_equal(old, "old");

        /* A failed one leaves nothing behind: no temporary file, no fd. */
        assert_int_equal(mkdir(folder, 0700), 0);
        assert_int_equal(mkdir(in_it, 0700), 0);
        assert_int_equal(file_write_atomic(in_it, 0600, "x", 1, &err), -1);
        assert_non_null(strstr(err.message, in_it));
        assert_int_equal(rmdir(in_it), 0);
        assert_int_equal(rmdir(folder), 0); /* was empty */
        assert_int_equal(file_write_atomic(nowhere, 0600, "x", 1, &err), -1);
        assert_int_equal(err.code, ERR_NOT_FOUND);
        assert_int_equal(scratch_open_fds(), fds);
}

/* A link that is in the place of the file is replaced, what it points to stays. */
static void test_write_atomic_replaces_link(void **state)
{
        autofree char *target = scratch_file(state, "target", "keep", 4, 0600), *link = scratch_path(state, "link");
        autofree char *text = NULL;
        struct error err = ERROR_INIT;

        assert_int_equal(symlink("target", link), 0);
        assert_int_equal(file_write_atomic(link, 0600, "new", 3, &err), 0);
        text = file_read(target, 10, NULL, &err);
        assert_string_equal(text, "keep");
}

static void test_dir_make(void **state)
{
        autofree char *deep = scratch_path(state, "a/b//c/"), *a = scratch_path(state, "a");
        autofree char *file = scratch_file(state, "file", "", 0, 0600), *below = scratch_path(state, "file/x");
        autofree char *dangling = scratch_path(state, "dangling");
        struct error err = ERROR_INIT;
        struct stat st;

        assert_int_equal(dir_make(deep, 0711, &err), 0);
        assert_int_equal(stat(deep, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0711);
        assert_int_equal(stat(a, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0711);
        assert_int_equal(dir_make(deep, 0700, &err), 0); /* is there: fine, as it is */
        assert_int_equal(stat(deep, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0711);
        assert_int_equal(dir_make("/", 0700, &err), 0);

        assert_int_equal(dir_make(file, 0700, &err), -1);
        assert_non_null(strstr(err.message, "is not a folder"));
        assert_int_equal(dir_make(below, 0700, &err), -1);
        assert_int_equal(symlink("nowhere", dangling), 0);
        assert_int_equal(dir_make(dangling, 0700, &err), -1);
        assert_int_equal(dir_make("", 0700, &err), -1);
}

static void test_tree_remove(void **state)
{
        autofree char *tree = scratch_path(state, "tree"), *outside = scratch_path(state, "outside");
        autofree char *keep = scratch_path(state, "outside/keep"), *dangling = scratch_path(state, "tree/dangling");
        autofree char *to_folder = scratch_path(state, "tree/to-folder"), *to_file = scratch_path(state, "tree/to-file");
        autofree char *alone = scratch_path(state, "alone"), *fifo = scratch_path(state, "tree/fifo");
        struct error err = ERROR_INIT;
        autobuf struct buf deep = {0};
        size_t fds = scratch_open_fds();

        assert_int_equal(dir_make(outside, 0700, &err), 0);
        free(scratch_file(state, "outside/keep", "x", 1, 0600));
        buf_printf(&deep, "%s", tree);
        for (int i = 0; i < 50; i++) /* deeper than the folders that are kept open */
                buf_printf(&deep, "/d");
        autofree char *bottom = buf_take_string(&deep);
        assert_int_equal(dir_make(bottom, 0700, &err), 0);
        assert_int_equal(symlink("../outside", to_folder), 0);
        assert_int_equal(symlink("../outside/keep", to_file), 0);
        assert_int_equal(symlink("nowhere", dangling), 0);
        assert_int_equal(mkfifo(fifo, 0600), 0);
        free(scratch_file(state, "tree/read-only", "x", 1, 0400));

        assert_int_equal(tree_remove(tree, &err), 0);
        assert_false(exists(tree));
        assert_true(exists(keep));

        assert_int_equal(symlink("outside", alone), 0); /* the link itself, not what it names */
        assert_int_equal(tree_remove(alone, &err), 0);
        assert_false(exists(alone));
        assert_true(exists(keep));
        assert_int_equal(tree_remove(keep, &err), 0); /* a single file */
        assert_false(exists(keep));
        assert_int_equal(tree_remove(tree, &err), 0); /* nothing there */
        assert_int_equal(tree_remove("/proc/version", &err), -1);
        assert_non_null(strstr(err.message, "/proc/version"));
        assert_int_equal(scratch_open_fds(), fds);
}

static void test_tree_size(void **state)
{
        autofree char *data = xcalloc(1u << 20, 1), *file = NULL, *sub = scratch_path(state, "sub");
        autofree char *link = scratch_path(state, "sub/link"), *sparse = scratch_file(state, "sub-sparse", "", 0, 0600);
        autofree char *missing = scratch_path(state, "missing");
        uint64_t size;

        memset(data, 1, 1u << 20);
        assert_int_equal(mkdir(sub, 0700), 0);
        file = scratch_file(state, "sub/file", data, 1u << 20, 0600);
        assert_int_equal(symlink("/", link), 0);
        autoclose int fd = open(file, O_RDONLY | O_CLOEXEC);
        assert_int_equal(fsync(fd), 0); /* blocks are counted when they are allocated */
        size = tree_size(sub);
        assert_true(size >= 1u << 20 && size < 2u << 20);
        assert_int_equal(truncate(sparse, 1 << 30), 0);
        assert_true(tree_size(sparse) < 1u << 20); /* allocated, not apparent */
        assert_int_equal(tree_size(missing), 0);
}

static void test_lock(void **state)
{
        autofree char *path = scratch_path(state, "lock"), *nowhere = scratch_path(state, "nowhere/lock");
        struct error err = ERROR_INIT;
        struct stat st;
        int held = file_lock(path, false, &err), again, pipe_fds[2];
        char c;
        pid_t pid;

        assert_true(held >= 0);
        assert_int_equal(fcntl(held, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(fstat(held, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        size_t fds = scratch_open_fds();
        assert_int_equal(file_lock(path, false, &err), -1);
        assert_int_equal(err.code, ERR_STATE);
        assert_non_null(strstr(err.message, path));
        assert_int_equal(scratch_open_fds(), fds);

        /* One that waits gets it when the holder lets go, not before. */
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                close(held);
                _exit(write(pipe_fds[1], "w", 1) == 1 && file_lock(path, true, NULL) >= 0 && write(pipe_fds[1], "l", 1) == 1 ? 0
                                                                                                                             : 1);
        }
        assert_int_equal(read(pipe_fds[0], &c, 1), 1);
        fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
        assert_int_equal(read(pipe_fds[0], &c, 1), -1);
        fcntl(pipe_fds[0], F_SETFL, 0);
        close(held);
        assert_int_equal(read(pipe_fds[0], &c, 1), 1);
        assert_int_equal(c, 'l');
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        close(pipe_fds[0]);
        close(pipe_fds[1]);

        again = file_lock(path, false, &err); /* the end of a process is enough */
        assert_true(again >= 0);
        close(again);
        assert_int_equal(file_lock(nowhere, false, &err), -1);
        assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* As GRUB orders them: 10 is newer than 9. */
static void test_newest_kernel(void **state)
{
        struct error err = ERROR_INIT;
        static const char *const files[] = {"vmlinuz-6.1.9-1-amd64", "vmlinuz-6.1.10-1-amd64", "initrd.img-6.1.9-1-amd64",
                                            "config-6.2.0"};

        assert_null(boot_newest(*state, false, &err));
        assert_int_equal(err.code, ERR_NOT_FOUND);
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                free(scratch_file(state, files[i], "", 0, 0600));
        autofree char *any = boot_newest(*state, false, &err), *whole = boot_newest(*state, true, &err);
        assert_string_equal(any, "6.1.10-1-amd64");
        assert_string_equal(whole, "6.1.9-1-amd64");
}

static void test_nonblock(void **state)
{
        int fds[2];
        char c;
        (void)state;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(fd_set_nonblock(fds[0], true), 0);
        assert_int_equal(read(fds[0], &c, 1), -1);
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(fd_set_nonblock(fds[0], false), 0);
        assert_int_equal(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
        close(fds[0]);
        close(fds[1]);
        assert_int_equal(fd_set_nonblock(fds[0], true), -1);
        assert_int_equal(fd_write_all(fds[1], "x", 1), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_read, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_write_atomic, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_write_atomic_replaces_link, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_dir_make, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_tree_remove, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_tree_size, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_lock, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_newest_kernel, scratch_setup, scratch_teardown),
                cmocka_unit_test(test_nonblock),
        };

        umask(022);
        return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
